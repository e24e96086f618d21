"""domain/policy.py: names are resolved, and what contradicts itself is named by its path."""

from decimal import Decimal

import pytest

from domain.policy import Policy, PolicyInvalid


def change(document: dict, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for name in parents:
        document = document[int(name) if isinstance(document, list) else name]
    document[int(last) if isinstance(document, list) else last] = value


def test_names_are_resolved(policy_document):
    rules = Policy.from_json(policy_document)
    use_case = rules.use_cases["policy_advice"]

    assert [model.model_id for model in use_case.models] == ["{geography}.amazon.nova-pro-v1:0"]
    assert use_case.system == policy_document["prompts"]["answer_from_passages"]["system"]
    assert use_case.prompt_version == "answer_from_passages@1"
    assert (use_case.risk_class.name, use_case.risk_class.always_review) == ("high", True)
    assert use_case.review.overload.gives == "refuse"
    assert (use_case.request_days, use_case.review_days) == (7, 30)


def test_a_token_s_price_is_exact(policy_document):
    model = Policy.from_json(policy_document).models["nova-lite"]

    assert model.usd_per_input_token * 1_000_000 == Decimal("0.06")


def test_time_runs_faster_for_incidents_in_a_drill_alone(policy_document):
    assert Policy.from_json(policy_document).drill_speed == 1

    change(policy_document, "incidents.drill_speed", 30)
    assert Policy.from_json(policy_document).drill_speed == 30


def test_an_answer_to_passages_is_no_longer_than_the_grounding_check_takes(policy_document):
    change(policy_document, "use_cases.general_question.max_output_tokens", 4096)
    Policy.from_json(policy_document)

    change(policy_document, "use_cases.product_support.max_output_tokens", 1001)
    with pytest.raises(PolicyInvalid, match=r"^use_cases.product_support.max_output_tokens: 1001 would leave"):
        Policy.from_json(policy_document)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("use_cases.general_question.prompt", "use_cases.general_question.prompt"),
        ("use_cases.general_question.models.0", "use_cases.general_question.models"),
        ("use_cases.general_question.confidence", "use_cases.general_question.confidence"),
        ("use_cases.general_question.risk_class", "use_cases.general_question.risk_class"),
        ("use_cases.general_question.retention_class", "use_cases.general_question.retention_class"),
        ("tenants.acme.use_cases.0", "tenants.acme.use_cases"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_with_its_path(policy_document, path, told):
    change(policy_document, path, "nowhere")

    with pytest.raises(PolicyInvalid) as invalid:
        Policy.from_json(policy_document)

    assert str(invalid.value).startswith(f"{told}: there is no 'nowhere'; there are ")


def test_a_producer_belongs_to_one_tenant(policy_document):
    change(policy_document, "tenants.globex.producers.0.source", "acme.app")

    with pytest.raises(PolicyInvalid, match=r"tenants\.globex\.producers: acme\.app of account own is acme's"):
        Policy.from_json(policy_document)


def test_what_all_use_cases_run_on_is_none_of_them(policy_document):
    policy_document["use_cases"]["system"] = policy_document["use_cases"].pop("policy_advice")

    with pytest.raises(PolicyInvalid, match=r"use_cases\.system"):
        Policy.from_json(policy_document)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "path", ["use_cases.general_question.confidence_threshold", "confidence.open_question.intercept"]
)
def test_a_number_that_is_none_cannot_open_the_gate(policy_document, path, number):
    change(policy_document, path, number)

    with pytest.raises(PolicyInvalid, match=path):
        Policy.from_json(policy_document)


def test_whole_numbers_stay_whole_however_they_are_written(policy_document):
    """JSON Schema calls 200.0 an integer; DynamoDB's client takes no float."""
    change(policy_document, "tenants.acme.requests_in_flight", 200.0)
    change(policy_document, "use_cases.general_question.review.reviewer_sla_seconds", 60.0)

    rules = Policy.from_json(policy_document)

    assert type(rules.tenants["acme"].requests_in_flight) is int
    assert type(rules.use_cases["general_question"].review.reviewer_sla_seconds) is int


@pytest.mark.parametrize(
    ("account", "source", "tenant"),
    [
        ("111122223333", "acme.app", "acme"),
        ("444455556666", "acme.app", None),
        ("111122223333", "nobody.app", None),
        ("444455556666", "partner.app", "acme"),
        ("111122223333", "partner.app", None),
        ("own", "acme.app", "acme"),
        ("", "", None),
    ],
)
def test_a_tenant_is_an_account_and_a_source(policy_document, account, source, tenant):
    partner = {"account": "444455556666", "source": "partner.app"}
    policy_document["tenants"]["acme"]["producers"].append(partner)

    found = Policy.from_json(policy_document).tenant_of(account, source, own_account="111122223333")

    assert (found and found.name) == tenant


def test_a_queue_that_is_too_long_is_not_helped_by_more_reviews(policy_document):
    change(policy_document, "use_cases.general_question.review.overload.confidence_floor", 0.9)

    with pytest.raises(PolicyInvalid, match=r"use_cases\.general_question\.review\.overload\.confidence_floor"):
        Policy.from_json(policy_document)


def test_a_blind_review_is_not_always_an_audit(policy_document):
    change(policy_document, "use_cases.general_question.review.blind_share", 0)

    with pytest.raises(PolicyInvalid, match=r"use_cases\.general_question\.review\.blind_share"):
        Policy.from_json(policy_document)

    change(policy_document, "use_cases.general_question.review.audit_share", 0)
    assert Policy.from_json(policy_document)


@pytest.mark.parametrize(
    ("rungs", "keep"),
    [
        (["fallback_model", "cache_only"], {"general_question", "product_support", "policy_advice"}),
        (["fallback_model", "refuse"], {"product_support"}),
        ([], {"product_support"}),
    ],
)
def test_answers_are_kept_where_load_or_an_incident_may_leave_nothing_else(policy_document, rungs, keep):
    """Of the shipped use cases product_support alone gives way to the store when its reviewers are behind."""
    policy_document["incidents"]["mitigation"]["ladders"] = {"MODEL_ERRORS": ["refuse"], "LATENCY": rungs}

    use_cases = Policy.from_json(policy_document).use_cases

    assert {name for name, use_case in use_cases.items() if use_case.keeps_answers} == keep


def test_the_settings_of_incidents_are_handed_on_as_they_stand(policy_document):
    change(policy_document, "incidents.correlation", {"a_setting": 300.0})

    assert Policy.from_json(policy_document).incidents == policy_document["incidents"]


def test_a_tenant_may_keep_a_use_case_for_less_long(policy_document):
    policy_document["tenants"]["acme"]["retention_class"] = {"general_question": "sensitive"}
    rules = Policy.from_json(policy_document)

    days = {tenant: rules.use_case_of(tenant, "general_question").request_days for tenant in rules.tenants}

    assert days == {"acme": 7, "globex": 30}
    assert rules.use_case_of("acme", "product_support").request_days == 30


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"policy_advice": "standard"}, "standard has more request_days than sensitive"),
        ({"general_question": "nowhere"}, "there is no 'nowhere'"),
        ({"somewhere": "standard"}, "the tenant has no such use case"),
    ],
)
def test_a_tenant_may_not_keep_anything_longer(policy_document, chosen, told):
    policy_document["tenants"]["acme"]["retention_class"] = chosen

    with pytest.raises(PolicyInvalid, match=rf"tenants\.acme\.retention_class\.\w+: .*{told}"):
        Policy.from_json(policy_document)


def test_an_answer_is_not_promised_for_longer_than_it_is_kept(policy_document):
    change(policy_document, "retention_classes.sensitive.cache_days", 8)

    with pytest.raises(PolicyInvalid, match=r"retention_classes\.sensitive\.cache_days: 8 is more than .* of 7"):
        Policy.from_json(policy_document)
