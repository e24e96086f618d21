"""HTTP APIs: kept as the template describes them; the cloud serves their OpenAPI body."""

import hashlib

from local.stack.api_calls import UnsupportedProperty
from local.stack.loading import Created, Making
from local.surroundings import Api


def api(making: Making) -> Created:
    body = making.take("Body")
    if body is None or making.properties.get("ProtocolType", "HTTP") != "HTTP":
        raise UnsupportedProperty(f"Body missing, or ProtocolType {making.properties.get('ProtocolType')}")
    identifier = hashlib.sha256(f"{making.stack.name}/{making.logical_id}".encode()).hexdigest()[:10]
    described = Api(making.logical_id, identifier, body, dict(making.properties))
    making.stack.surroundings.add_api(described)
    return Created(identifier, {"ApiId": identifier, "ApiEndpoint": described.placeholder})


def stage(making: Making) -> Created:
    properties = making.properties
    making.stack.surroundings.add_stage(properties["ApiId"], dict(properties))
    return Created(properties["StageName"])


HANDLERS = {
    "AWS::ApiGatewayV2::Api": api,
    "AWS::ApiGatewayV2::Stage": stage,
}
