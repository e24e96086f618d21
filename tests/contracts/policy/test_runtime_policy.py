"""Holds the shipped policy to its schema, to the rights the template grants, and to its stores."""

import json
import re
import tomllib

import pytest
from machines import ROOT

from adapters import bus
from domain.governance.holds import HELD_OBJECTS
from domain.governance.retention import EVENT_DAYS, MOST_DAYS
from domain.policy import Policy


@pytest.fixture
def rules(policy_document) -> Policy:
    return Policy.from_json(policy_document)


PROFILES = ("{geography}", "us", "eu", "apac", "global")


def granted(template: dict) -> list[str]:
    """What may be called, spelled as in the policy."""
    statements = template["Resources"]["ModelAccessPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    arns = [
        arn for statement in statements if statement["Action"] == "bedrock:InvokeModel" for arn in statement["Resource"]
    ]
    return [arn if isinstance(arn, str) else arn[0].replace("${Geography}", "{geography}") for arn in arns]


def test_every_model_may_be_called_where_its_profile_sends_the_call(rules, template):
    """A profile needs its own ARN, its model's in this region, and its model's in every region it may choose."""
    arns = granted(template)
    for model in rules.models.values():
        prefix, dot, foundation = model.model_id.partition(".")
        is_profile = dot and prefix in PROFILES
        foundation = foundation if is_profile else model.model_id
        assert any(arn.endswith(f":${{AWS::Region}}::foundation-model/{foundation}") for arn in arns), model.name
        if is_profile:
            assert any(arn.endswith(f":inference-profile/{model.model_id}") for arn in arns), model.name
            assert any(arn.endswith(f":bedrock:*::foundation-model/{foundation}") for arn in arns), model.name


def test_no_right_is_left_from_a_model_that_is_gone(rules, template):
    named = {model.model_id for model in rules.models.values()}
    named |= {model_id.partition(".")[2] for model_id in named}

    assert {arn.rpartition("/")[2] for arn in granted(template)} <= named


def test_a_region_s_profiles_begin_as_its_geography_does(template, policy_document):
    """In a Region that is not named here, no request could be answered: CloudFormation refuses the stack."""
    begins = {"us": "us", "eu": "eu", "ap": "apac"}
    regions = template["Mappings"]["Geographies"]

    assert all(found == {"Prefix": begins[region.partition("-")[0]]} for region, found in regions.items())
    assert {found["Prefix"] for found in regions.values()} == set(begins.values())
    samconfig = tomllib.loads((ROOT / "samconfig.toml").read_text())
    del samconfig["version"]
    stages = {name: stage["global"]["parameters"] for name, stage in samconfig.items() if "deploy" in stage}
    assert stages.keys() == {"default", "dev", "staging", "prod"}
    assert {stage["region"] for stage in stages.values()} <= regions.keys()
    models = policy_document["models"].values()
    assert all(model["model_id"].startswith("{geography}.") for model in models), "one policy serves every Region"


def test_a_model_in_any_region_is_reached_through_its_profile_alone(template):
    statements = template["Resources"]["ModelAccessPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for statement in statements:
        if any(":bedrock:*:" in str(arn) for arn in statement["Resource"]):
            assert "bedrock:InferenceProfileArn" in statement["Condition"]["StringLike"]


def test_what_is_kept_in_the_bucket_outlives_its_records(rules, template):
    lifecycle = template["Resources"]["PayloadBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    [days] = [rule["ExpirationInDays"] for rule in lifecycle if rule["Prefix"] == "requests/"]

    assert max(max(one.request_days, one.review_days) for one in rules.use_cases.values()) <= days


def test_a_held_answer_outlives_its_review(rules):
    for use_case in rules.use_cases.values():
        waiting = use_case.review.reviewer_sla_seconds + use_case.review.lead_sla_seconds
        assert waiting < min(use_case.request_days, use_case.review_days) * 86_400


def test_every_tenant_of_the_policy_can_be_a_group(rules):
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in rules.tenants)


def test_every_role_a_function_asks_for_is_a_group_of_the_pool(template):
    asked = {
        role
        for path in ROOT.glob("functions/**/*.py")
        for call in re.findall(r"\.require\(([^)]*)\)", path.read_text())
        for role in re.findall(r'"(\w+)"', call)
    }
    groups = {
        resource["Properties"]["GroupName"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Cognito::UserPoolGroup"
    }

    assert asked == groups


def test_the_bus_takes_the_sources_of_the_shipped_policy_s_producers_and_no_other(rules, template):
    parameters = template["Parameters"]
    account, sources = (parameters[name]["Default"] for name in ("ProducerAccount", "ProducerSources"))

    assert set(rules.producers) == {(account, source) for source in sources.split(",")}
    strangers = template["Resources"]["StrangersPolicy"]["Properties"]["Statement"]
    assert strangers["Effect"] == "Deny" and "StringNotEquals" in strangers["Condition"]


def test_nobody_else_speaks_on_the_bus_as_we_do(template):
    """Tenants act on what they are told there."""
    announcing = {
        f"{logical_id}Role.Arn"
        for logical_id, resource in template["Resources"].items()
        if "EVENT_BUS" in resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
    }

    statement = template["Resources"]["OwnSourcePolicy"]["Properties"]["Statement"]
    assert statement["Effect"] == "Deny" and statement["Principal"] == "*"
    assert statement["Condition"]["StringEquals"] == {"events:source": bus.SOURCE}
    assert set(statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]) == announcing


def test_what_producers_may_ask_for_the_bus_takes_of_them_alone(template):
    """A rule without a source would take it of whoever may put an event."""
    rules = {
        event["Properties"]["Pattern"]["detail-type"][0]: event["Properties"]["Pattern"]
        for resource in template["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "EventBridgeRule" and "EventBusName" in event["Properties"]
    }

    assert {name: rule.get("source") for name, rule in rules.items()} == {
        # Its function knows whose source it is, and keeps what it refuses.
        "InferenceRequested": None,
        "ErasureRequested": "ProducerSources",
        "IncidentReported": "ProducerSources",
    }


def test_the_longest_class_that_may_be_is_the_one_that_cleanup_waits_for():
    schema = json.loads((ROOT / "policies/runtime.schema.json").read_text())
    spans = schema["properties"]["retention_classes"]["additionalProperties"]["properties"]

    assert {span["maximum"] for span in spans.values()} == {MOST_DAYS}
    assert schema["properties"]["retention"]["properties"]["audit_days"]["minimum"] >= MOST_DAYS


def test_the_bucket_s_lifecycle_is_a_net_behind_the_cleanup_and_not_under_what_is_held(template):
    rules = template["Resources"]["PayloadBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules}

    assert days["requests/"] > MOST_DAYS + 1 and days["events/"] > EVENT_DAYS + 1
    assert not [prefix for prefix in days if HELD_OBJECTS.startswith(prefix)]


def statements(resource: dict) -> list[dict]:
    """Those of a managed policy, or those that a function has inline."""
    properties = resource.get("Properties", {})
    inline = [one for one in properties.get("Policies", []) if isinstance(one, dict)]
    document = [properties["PolicyDocument"]] if resource["Type"] == "AWS::IAM::ManagedPolicy" else []
    return [statement for policy in [*inline, *document] for statement in policy.get("Statement", [])]


def test_whoever_reads_a_request_s_objects_reads_them_while_they_are_held(template):
    """A hold moves what a record refers to."""
    found = 0
    for name, resource in template["Resources"].items():
        for statement in statements(resource):
            resources = str(statement["Resource"])
            if "s3:GetObject" in str(statement["Action"]) and "/requests/*" in resources:
                assert f"/{HELD_OBJECTS}*" in resources, name
                found += 1
    assert found >= 2


def test_whoever_reads_an_object_may_list_its_bucket(template):
    """Else what is gone would be as forbidden as what is there, and a denial would be taken for an absence."""
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "PayloadBucket.Arn"}
    readers = {
        name: resource
        for name, resource in template["Resources"].items()
        if any(
            "s3:GetObject" in str(each["Action"]) and "PayloadBucket" in str(each["Resource"])
            for each in statements(resource)
        )
    }

    for name, resource in readers.items():
        policies = [one for one in resource["Properties"].get("Policies", []) if isinstance(one, str)]
        of_them = [each for policy in policies for each in statements(template["Resources"].get(policy, {"Type": ""}))]
        assert listing in [*statements(resource), *of_them], name
    assert {"AdmitRequestFunction", "PayloadReadPolicy", "HoldAccessPolicy", "EraseStorePolicy"} <= readers.keys()
