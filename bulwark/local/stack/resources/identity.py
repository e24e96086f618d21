"""IAM roles and policies, and Cognito user pools."""

import json
import re

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.hosted_sign_in import HostedSignIn
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.loading import Created, Making
from bulwark.local.stack.template import TemplateError

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def role(making: Making) -> Created:
    name = making.name("RoleName")
    policies = making.take("Policies") or []
    managed = making.take("ManagedPolicyArns") or []
    making.properties["AssumeRolePolicyDocument"] = json.dumps(making.properties["AssumeRolePolicyDocument"])
    created = making.call("iam", "create_role")["Role"]
    iam = making.client("iam")
    for policy in policies:
        document = json.dumps({"Version": "2012-10-17", **policy["PolicyDocument"]})
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    for arn in managed:
        if arn.split(":")[4] == ACCOUNT:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return Created(name, {"Arn": created["Arn"], "RoleId": created["RoleId"]})


def managed_policy(making: Making) -> Created:
    roles = making.take("Roles") or []
    name = making.take("ManagedPolicyName") or making.generated_name()
    document = {"Version": "2012-10-17", **making.take("PolicyDocument")}
    making.properties |= {"PolicyName": name, "PolicyDocument": json.dumps(document)}
    arn = making.call("iam", "create_policy")["Policy"]["Arn"]
    for each in roles:
        making.client("iam").attach_role_policy(RoleName=each, PolicyArn=arn)
    return Created(arn, {"PolicyArn": arn})


def policy(making: Making) -> Created:
    name, document = making.take("PolicyName"), making.take("PolicyDocument")
    for each in making.take("Roles") or []:
        making.client("iam").put_role_policy(
            RoleName=each, PolicyName=name, PolicyDocument=json.dumps({"Version": "2012-10-17", **document})
        )
    making.finish()
    return Created(name, {"Id": name})


def user_pool(making: Making) -> Created:
    making.properties["PoolName"] = making.take("UserPoolName") or making.generated_name(128)
    making.without("EnabledMfas")
    pool = making.call("cognito-idp", "create_user_pool")["UserPool"]
    provider = f"cognito-idp.{REGION}.amazonaws.com/{pool['Id']}"
    attributes = {
        "Arn": pool["Arn"],
        "UserPoolId": pool["Id"],
        "ProviderName": provider,
        "ProviderURL": f"https://{provider}",
    }
    return Created(pool["Id"], attributes)


def user_pool_client(making: Making) -> Created:
    making.name("ClientName", 128)
    if (making.properties.get("RefreshTokenRotation") or {}).get("Feature") == "ENABLED":
        raise UnsupportedProperty("RefreshTokenRotation")
    made = making.call("cognito-idp", "create_user_pool_client")["UserPoolClient"]
    attributes = {"ClientId": made["ClientId"]}
    if "ClientSecret" in made:
        attributes["ClientSecret"] = made["ClientSecret"]
    return Created(made["ClientId"], attributes)


def user_pool_group(making: Making) -> Created:
    name = making.name("GroupName", 128)
    making.call("cognito-idp", "create_group")
    return Created(name)


def user_pool_domain(making: Making) -> Created:
    name = making.properties["Domain"]
    if "CustomDomainConfig" in making.properties:
        raise UnsupportedProperty("CustomDomainConfig")
    # https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-assign-domain-prefix.html
    if not _DOMAIN.fullmatch(name) or any(word in name for word in ("aws", "amazon", "cognito")):
        raise TemplateError(f"Cognito takes no domain {name}: small letters, digits and hyphens, and no name of AWS")
    made = making.call("cognito-idp", "create_user_pool_domain")
    address = f"https://{name}.auth.{REGION}.amazoncognito.com"
    making.stack.surroundings.serve(address, HostedSignIn(name))
    return Created(name, {"Id": name, "CloudFrontDistribution": made["CloudFrontDomain"]})


def user_pool_resource_server(making: Making) -> Created:
    making.call("cognito-idp", "create_resource_server")
    return Created(making.properties["Identifier"])


HANDLERS = {
    "AWS::Cognito::UserPool": user_pool,
    "AWS::Cognito::UserPoolClient": user_pool_client,
    "AWS::Cognito::UserPoolDomain": user_pool_domain,
    "AWS::Cognito::UserPoolGroup": user_pool_group,
    "AWS::Cognito::UserPoolResourceServer": user_pool_resource_server,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::IAM::Policy": policy,
    "AWS::IAM::Role": role,
}
