"""AppConfig applications and what belongs to them, and SSM parameters."""

from bulwark.local.stack.loading import Created, Making


def application(making: Making) -> Created:
    return _created(making, "create_application", "ApplicationId")


def environment(making: Making) -> Created:
    making.without("DeletionProtectionCheck")
    return _created(making, "create_environment", "EnvironmentId")


def configuration_profile(making: Making) -> Created:
    making.without("DeletionProtectionCheck")
    for validator in making.properties.get("Validators", []):
        if validator["Type"] == "LAMBDA":
            making.stack.surroundings.functions.prepare(validator["Content"])
    return _created(making, "create_configuration_profile", "ConfigurationProfileId")


def deployment_strategy(making: Making) -> Created:
    return _created(making, "create_deployment_strategy", "Id")


def hosted_configuration_version(making: Making) -> Created:
    made = making.call("appconfig", "create_hosted_configuration_version")
    number = str(made["VersionNumber"])
    return Created(number, {"VersionNumber": number})


def deployment(making: Making) -> Created:
    number = str(making.call("appconfig", "start_deployment")["DeploymentNumber"])
    return Created(number, {"DeploymentNumber": number})


def _created(making: Making, operation: str, attribute: str) -> Created:
    if tags := making.take("Tags"):
        making.properties["Tags"] = {tag["Key"]: tag["Value"] for tag in tags}
    identifier = making.call("appconfig", operation)["Id"]
    return Created(identifier, {attribute: identifier})


def parameter(making: Making) -> Created:
    name = making.name("Name", 500)
    if tags := making.take("Tags"):
        making.properties["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    making.call("ssm", "put_parameter")
    return Created(name, {"Type": making.properties["Type"], "Value": making.properties["Value"]})


HANDLERS = {
    "AWS::AppConfig::Application": application,
    "AWS::AppConfig::ConfigurationProfile": configuration_profile,
    "AWS::AppConfig::Deployment": deployment,
    "AWS::AppConfig::DeploymentStrategy": deployment_strategy,
    "AWS::AppConfig::Environment": environment,
    "AWS::AppConfig::HostedConfigurationVersion": hosted_configuration_version,
    "AWS::SSM::Parameter": parameter,
}
