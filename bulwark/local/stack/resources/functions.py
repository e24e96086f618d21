"""Lambda: functions, layers, permissions, event source mappings and what becomes of asynchronous invocations."""

import functools
import io
import uuid
import zipfile
from pathlib import Path

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.functions import Function
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.loading import Created, Making
from bulwark.local.stack.template import DISK, TemplateError


@functools.cache
def _nothing_zipped() -> bytes:
    """moto wants a package; the code stays in its directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("on_disk.txt", "The embedded AWS runs the code from its directory.")
    return buffer.getvalue()


def function(making: Making) -> Created:
    properties = making.properties
    code = making.take("Code") or {}
    if code.get("S3Bucket") != DISK:
        raise UnsupportedProperty(f"Code.{', '.join(code)}")
    if properties.get("PackageType", "Zip") != "Zip":
        raise UnsupportedProperty("PackageType")
    name = making.name("FunctionName")
    host = making.stack.surroundings.functions
    logging = properties.get("LoggingConfig") or {}
    described = Function(
        name=name,
        logical_id=making.logical_id,
        handler=properties["Handler"],
        runtime=properties["Runtime"],
        code=Path(code["S3Key"]),
        timeout=float(properties.get("Timeout", 3)),
        memory=int(properties.get("MemorySize", 128)),
        environment={
            key: str(value) for key, value in (properties.get("Environment") or {}).get("Variables", {}).items()
        },
        layers=tuple(making.stack.surroundings.layers[arn] for arn in properties.get("Layers", [])),
        log_group=logging.get("LogGroup") or f"/aws/lambda/{name}",
        log_format=logging.get("LogFormat", "Text"),
        log_level=logging.get("ApplicationLogLevel", ""),
        reserved_concurrency=_whole(properties.pop("ReservedConcurrentExecutions", None)),
        dead_letter_arn=(properties.get("DeadLetterConfig") or {}).get("TargetArn"),
    )
    making.without("SnapStart", "RuntimeManagementConfig", "RecursiveLoop")
    properties["Code"] = {"ZipFile": _nothing_zipped()}
    properties.setdefault("Environment", {}).setdefault("Variables", {})
    arn = making.call("lambda", "create_function")["FunctionArn"]
    if described.reserved_concurrency is not None:
        making.client("lambda").put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=described.reserved_concurrency
        )
    host.add(described)
    return Created(name, {"Arn": arn})


def layer_version(making: Making) -> Created:
    content = making.take("Content") or {}
    if content.get("S3Bucket") != DISK:
        raise UnsupportedProperty(f"Content.{', '.join(content)}")
    making.name("LayerName", 140)
    making.properties["Content"] = {"ZipFile": _nothing_zipped()}
    arn = making.call("lambda", "publish_layer_version")["LayerVersionArn"]
    making.stack.surroundings.layers[arn] = Path(content["S3Key"])
    return Created(arn, {"LayerVersionArn": arn})


def version(making: Making) -> Created:
    name = making.properties["FunctionName"]
    number = making.call("lambda", "publish_version")["Version"]
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name.split(':')[-1]}:{number}"
    return Created(arn, {"Version": number, "FunctionArn": arn})


def alias(making: Making) -> Created:
    making.without("ProvisionedConcurrencyConfig")
    arn = making.call("lambda", "create_alias")["AliasArn"]
    return Created(arn, {"AliasArn": arn})


def permission(making: Making) -> Created:
    making.properties["StatementId"] = making.logical_id
    making.call("lambda", "add_permission")
    return Created(making.logical_id, {"Id": making.logical_id})


def event_source_mapping(making: Making) -> Created:
    identifier = str(uuid.uuid4())
    making.stack.surroundings.mappings.add(making.properties)
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{identifier}"
    return Created(identifier, {"Id": identifier, "EventSourceMappingArn": arn})


def event_invoke_configuration(making: Making) -> Created:
    name = making.take("FunctionName")
    if making.take("Qualifier", "$LATEST") != "$LATEST":
        raise UnsupportedProperty("Qualifier")
    making.without("MaximumEventAgeInSeconds")
    known = {key: making.take(key) for key in ("MaximumRetryAttempts", "DestinationConfig") if key in making.properties}
    making.finish()
    making.stack.surroundings.asynchronous.configure(name, known)
    return Created(making.logical_id)


def _whole(value: object) -> int | None:
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise TemplateError(f"{value!r} is not a whole number") from None


HANDLERS = {
    "AWS::Lambda::Alias": alias,
    "AWS::Lambda::EventInvokeConfig": event_invoke_configuration,
    "AWS::Lambda::EventSourceMapping": event_source_mapping,
    "AWS::Lambda::Function": function,
    "AWS::Lambda::LayerVersion": layer_version,
    "AWS::Lambda::Permission": permission,
    "AWS::Lambda::Version": version,
}
