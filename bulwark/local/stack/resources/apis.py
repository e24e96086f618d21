"""HTTP APIs: each is served from its OpenAPI body as soon as it is made, so that what comes later knows its URL."""

import hashlib

from bulwark.local import http_api
from bulwark.local.clients import REGION
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.loading import Created, Making


def api(making: Making) -> Created:
    body = making.take("Body")
    if body is None or making.take("ProtocolType", "HTTP") != "HTTP":
        raise UnsupportedProperty("Body missing, or ProtocolType other than HTTP")
    making.without("Name", "Description", "Tags", "FailOnWarnings")
    making.finish()
    identifier = hashlib.sha256(f"{making.stack.name}/{making.logical_id}".encode()).hexdigest()[:10]
    around = making.stack.surroundings
    served = http_api.serve(body, around.keys, around.invoke, api_id=identifier)
    url = around.serve(f"https://{identifier}.execute-api.{REGION}.amazonaws.com", served)
    return Created(identifier, {"ApiId": identifier, "ApiEndpoint": url})


def stage(making: Making) -> Created:
    name = making.take("StageName")
    if name != "$default":
        raise UnsupportedProperty(f"StageName {name}")
    making.without("ApiId", "AutoDeploy", "Description", "Tags", "DefaultRouteSettings", "RouteSettings")
    making.without("AccessLogSettings")
    making.finish()
    return Created(name)


HANDLERS = {
    "AWS::ApiGatewayV2::Api": api,
    "AWS::ApiGatewayV2::Stage": stage,
}
