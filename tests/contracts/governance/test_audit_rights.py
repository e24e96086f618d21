"""Holds the audit log's bucket and key to the rights that the template gives: written once, and deleted by nobody."""

import json
import re

from machines import ROOT

TEMPLATE = (ROOT / "template.yaml").read_text()
MAY_WRITE = {"RecordAuditFunction": "records/*", "WriteDigestFunction": "digests/*"}


def statements(template: dict) -> list[tuple[str, dict]]:
    """Every statement of a policy, by the resource that it stands in."""
    found = []

    def walk(name: str, value: object) -> None:
        if isinstance(value, dict):
            if "Effect" in value:
                found.append((name, value))
            for each in value.values():
                walk(name, each)
        elif isinstance(value, list):
            for each in value:
                walk(name, each)

    for name, resource in template["Resources"].items():
        walk(name, resource)
    return found


def of_bucket(template: dict) -> list[tuple[str, list[str], str]]:
    return [
        (name, [one["Action"]] if isinstance(one["Action"], str) else one["Action"], json.dumps(one["Resource"]))
        for name, one in statements(template)
        if one["Effect"] == "Allow" and "AuditBucket" in json.dumps(one.get("Resource", ""))
    ]


def test_only_the_two_functions_of_the_log_may_use_its_bucket_and_each_writes_its_own(template):
    rights = of_bucket(template)

    assert {name for name, _, _ in rights} == set(MAY_WRITE)
    for name, actions, resource in rights:
        assert set(actions) <= {"s3:PutObject", "s3:GetObject", "s3:ListBucket"}, name
        if "s3:PutObject" in actions:
            assert MAY_WRITE[name] in resource
        if name == "RecordAuditFunction":
            assert actions == ["s3:PutObject"]


def test_the_log_is_locked_and_its_key_and_bucket_outlive_the_stack(template):
    bucket, key = template["Resources"]["AuditBucket"], template["Resources"]["AuditKey"]
    rule = bucket["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]

    assert bucket["Properties"]["ObjectLockEnabled"] is True
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert rule["Mode"] == ["IsProd", "COMPLIANCE", "GOVERNANCE"] and rule["Days"] == "AuditDays"
    assert key["Properties"]["KeyUsage"] == "SIGN_VERIFY"
    assert {bucket["UpdateReplacePolicy"], key["UpdateReplacePolicy"]} == {"Retain"}
    assert "TlsOnly" in json.dumps(template["Resources"]["AuditBucketPolicy"])


def test_only_write_digest_may_sign_for_the_log(template):
    signing = {
        name: json.dumps(one["Resource"])
        for name, one in statements(template)
        if "kms:Sign" in json.dumps(one.get("Action", ""))
    }

    assert [name for name, key in signing.items() if "AuditKey" in key] == ["WriteDigestFunction"]
    assert [name for name, key in signing.items() if "AuditKey" not in key] == ["IssueReceiptFunction"]


def test_the_log_is_kept_for_as_long_as_the_policy_promises(template, policy_document):
    assert template["Parameters"]["AuditDays"]["Default"] == policy_document["retention"]["audit_days"]


def test_the_stream_of_the_control_table_lets_no_counter_through(template):
    events = template["Resources"]["RecordAuditFunction"]["Properties"]["Events"]
    patterns = [
        json.loads(each["Pattern"]) for each in events["ControlChanged"]["Properties"]["FilterCriteria"]["Filters"]
    ]
    prefixes = {each["dynamodb"]["Keys"]["control_key"]["S"][0]["prefix"] for each in patterns}

    assert prefixes == {"audit#", "mode#", "policy#"}


def test_a_table_s_stream_has_no_more_readers_than_it_may(template):
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html: two for each shard."""
    readers = re.findall(r"Stream: !GetAtt (\w+)\.StreamArn", TEMPLATE)

    assert readers and all(readers.count(table) <= 2 for table in set(readers))
