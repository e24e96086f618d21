"""An AWS service's error as moto answers it, with the HTTP status that the service's own model gives it."""

from functools import cache

import botocore.session
from moto.core.exceptions import JsonRESTError


def service_error(service: str, code: str, message: str) -> JsonRESTError:
    """The error `code` of a service such as "bedrock-runtime", to be raised in a moto response method."""
    error = JsonRESTError(code, message)
    error.code = status_of(service, code)
    return error


@cache
def status_of(service: str, code: str) -> int:
    shapes = botocore.session.get_session().get_service_model(service).error_shapes
    found = (shape.metadata.get("error", {}).get("httpStatusCode", 400) for shape in shapes if shape.name == code)
    return next(found, 400)
