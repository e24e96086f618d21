"""DynamoDB tables, S3 buckets and KMS keys."""

import json

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.loading import Created, Making


def table(making: Making) -> Created:
    name = making.name("TableName", 255)
    expiry = making.take("TimeToLiveSpecification")
    recovery = making.take("PointInTimeRecoverySpecification")
    if "StreamSpecification" in making.properties:
        making.properties["StreamSpecification"]["StreamEnabled"] = True
    if encryption := making.properties.get("SSESpecification"):
        encryption["Enabled"] = encryption.pop("SSEEnabled", True)
    if making.take("ContributorInsightsSpecification", {}).get("Enabled"):
        raise UnsupportedProperty("ContributorInsightsSpecification")
    for index in making.properties.get("GlobalSecondaryIndexes", []):
        index.pop("ContributorInsightsSpecification", None)
    described = making.call("dynamodb", "create_table")["TableDescription"]
    dynamodb = making.client("dynamodb")
    if expiry:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    if recovery:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    attributes = {"Arn": described["TableArn"], "TableId": name}
    if "LatestStreamArn" in described:
        attributes["StreamArn"] = described["LatestStreamArn"]
    return Created(name, attributes)


def bucket(making: Making) -> Created:
    name = making.properties.pop("BucketName", None) or making.generated_name(63).lower()
    s3 = making.client("s3")
    locked = bool(making.take("ObjectLockEnabled"))
    s3.create_bucket(Bucket=name, **({"ObjectLockEnabledForBucket": True} if locked else {}))
    if versioning := making.take("VersioningConfiguration"):
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    if lock := making.take("ObjectLockConfiguration"):
        s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    if lifecycle := making.take("LifecycleConfiguration"):
        rules = [_lifecycle_rule(rule, number) for number, rule in enumerate(lifecycle["Rules"])]
        s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    if encryption := making.take("BucketEncryption"):
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=_encryption(encryption))
    if block := making.take("PublicAccessBlockConfiguration"):
        values = {key: str(value).lower() == "true" for key, value in block.items()}
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=values)
    if ownership := making.take("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership)
    if tags := making.take("Tags"):
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    notification = making.take("NotificationConfiguration") or {}
    if notification.pop("EventBridgeConfiguration", None) is not None:
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    if notification:
        raise UnsupportedProperty(f"NotificationConfiguration.{', '.join(notification)}")
    making.finish()
    return Created(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{REGION}.amazonaws.com",
        },
    )


def _lifecycle_rule(rule: dict, number: int) -> dict:
    rule = dict(rule)
    result: dict = {"ID": rule.pop("Id", f"rule-{number}"), "Status": rule.pop("Status")}
    result["Filter"] = {"Prefix": rule.pop("Prefix", "")}
    if "ExpirationInDays" in rule:
        result["Expiration"] = {"Days": int(rule.pop("ExpirationInDays"))}
    if "NoncurrentVersionExpiration" in rule:
        days = rule.pop("NoncurrentVersionExpiration")["NoncurrentDays"]
        result["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    elif "NoncurrentVersionExpirationInDays" in rule:
        days = rule.pop("NoncurrentVersionExpirationInDays")
        result["NoncurrentVersionExpiration"] = {"NoncurrentDays": int(days)}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule.pop("AbortIncompleteMultipartUpload")["DaysAfterInitiation"]
        result["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    if rule:
        raise UnsupportedProperty(f"LifecycleConfiguration.Rules.{', '.join(rule)}")
    return result


def _encryption(encryption: dict) -> dict:
    rules = []
    for rule in encryption["ServerSideEncryptionConfiguration"]:
        rule = dict(rule)
        default = rule.pop("ServerSideEncryptionByDefault", None)
        converted = {"BucketKeyEnabled": bool(rule.pop("BucketKeyEnabled"))} if "BucketKeyEnabled" in rule else {}
        if default:
            converted["ApplyServerSideEncryptionByDefault"] = default
        if rule:
            raise UnsupportedProperty(f"BucketEncryption.{', '.join(rule)}")
        rules.append(converted)
    return {"Rules": rules}


def bucket_policy(making: Making) -> Created:
    name, policy = making.take("Bucket"), making.take("PolicyDocument")
    # moto applies a statement whatever its Condition says, and would deny every call as one without TLS.
    unconditional = [statement for statement in policy["Statement"] if "Condition" not in statement]
    if unconditional:
        document = json.dumps(policy | {"Statement": unconditional})
        making.client("s3").put_bucket_policy(Bucket=name, Policy=document)
    making.finish()
    return Created(name)


def key(making: Making) -> Created:
    rotated = making.take("EnableKeyRotation", False)
    making.without("PendingWindowInDays", "RotationPeriodInDays")
    enabled = making.take("Enabled", True)
    if policy := making.take("KeyPolicy"):
        making.properties["Policy"] = json.dumps(policy)
    if tags := making.take("Tags"):
        making.properties["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in tags]
    kms = making.client("kms")
    metadata = making.call("kms", "create_key")["KeyMetadata"]
    if str(rotated).lower() == "true":
        kms.enable_key_rotation(KeyId=metadata["KeyId"])
    if str(enabled).lower() == "false":
        kms.disable_key(KeyId=metadata["KeyId"])
    return Created(metadata["KeyId"], {"Arn": metadata["Arn"], "KeyId": metadata["KeyId"]})


def alias(making: Making) -> Created:
    name = making.properties["AliasName"]
    making.call("kms", "create_alias")
    return Created(name, {"Arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:{name}"})


HANDLERS = {
    "AWS::DynamoDB::Table": table,
    "AWS::KMS::Alias": alias,
    "AWS::KMS::Key": key,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": bucket_policy,
}
