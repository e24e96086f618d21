"""Step Functions state machines, their versions and aliases."""

import json
import re
from pathlib import Path

import yaml

from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.loading import Created, Making
from bulwark.local.stack.template import DISK, TemplateError

_PLACE = re.compile(r"\$\{([^}!][^}]*)\}")


def state_machine(making: Making) -> Created:
    text = _definition(making)
    substitutions = {key: str(value) for key, value in (making.take("DefinitionSubstitutions") or {}).items()}
    definition = _PLACE.sub(lambda match: substitutions.get(match[1], match[0]), text)
    if left := sorted(set(_PLACE.findall(definition))):
        raise TemplateError(f"DefinitionSubstitutions lacks {', '.join(left)}")
    name = making.take("StateMachineName") or making.generated_name(80)
    making.properties |= {
        "name": name,
        "definition": definition,
        "type": making.take("StateMachineType", "STANDARD"),
        "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in making.take("Tags") or []],
    }
    arn = making.call("stepfunctions", "create_state_machine")["stateMachineArn"]
    return Created(arn, {"Arn": arn, "Name": name, "StateMachineRevisionId": "INITIAL"})


def _definition(making: Making) -> str:
    location, inline = making.take("DefinitionS3Location"), making.take("Definition")
    text = making.take("DefinitionString")
    if location:
        if location.get("Bucket") != DISK:
            raise UnsupportedProperty("DefinitionS3Location")
        path = Path(location["Key"])
        text = path.read_text(encoding="utf-8")
        if path.suffix in (".yaml", ".yml"):
            return json.dumps(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        return text
    return text if text is not None else json.dumps(inline)


def state_machine_version(making: Making) -> Created:
    arn = making.take("StateMachineArn")
    making.without("Description", "StateMachineRevisionId")
    making.finish()
    return Created(f"{arn}:1", {"Arn": f"{arn}:1"})


def state_machine_alias(making: Making) -> Created:
    name = making.take("Name", "live")
    preference, routing = making.take("DeploymentPreference"), making.take("RoutingConfiguration")
    version = preference["StateMachineVersionArn"] if preference else routing[0]["StateMachineVersionArn"]
    making.without("Description")
    making.finish()
    arn = f"{version.rpartition(':')[0]}:{name}"
    return Created(arn, {"Arn": arn})


HANDLERS = {
    "AWS::StepFunctions::StateMachine": state_machine,
    "AWS::StepFunctions::StateMachineAlias": state_machine_alias,
    "AWS::StepFunctions::StateMachineVersion": state_machine_version,
}
