"""Bedrock guardrails and their versions."""

from bulwark.local.stack.loading import Created, Making


def guardrail(making: Making) -> Created:
    if tags := making.take("Tags"):
        making.properties["tags"] = [{"key": tag["Key"], "value": tag["Value"]} for tag in tags]
    making.name("Name", 50)
    made = making.call("bedrock", "create_guardrail")
    attributes = {"GuardrailId": made["guardrailId"], "GuardrailArn": made["guardrailArn"], "Version": made["version"]}
    return Created(made["guardrailId"], attributes | {"Status": "READY"})


def guardrail_version(making: Making) -> Created:
    made = making.call("bedrock", "create_guardrail_version")
    identifier, version = made["guardrailId"], str(made["version"])
    return Created(f"{identifier}|{version}", {"GuardrailId": identifier, "Version": version})


HANDLERS = {
    "AWS::Bedrock::Guardrail": guardrail,
    "AWS::Bedrock::GuardrailVersion": guardrail_version,
}
