"""inference/admit/choose_guardrail.py: the risk class's guardrail is the plan's and the record's."""

import pytest

from domain.errors import PolicyUnavailable
from inference.admit.choose_guardrail import choose_guardrail

STRICT = '{"standard": {"id": "guardrail", "version": "1"}, "strict": {"id": "other", "version": "7"}}'


@pytest.mark.parametrize(
    ("use_case", "chosen"),
    [("general_question", {"id": "guardrail", "version": "1"}), ("policy_advice", {"id": "other", "version": "7"})],
)
def test_a_risk_class_chooses(admission, deploy_policy, policy_document, monkeypatch, use_case, chosen):
    monkeypatch.setenv("GUARDRAILS", STRICT)
    policy_document["risk_classes"]["high"]["guardrail"] = "strict"
    rules = deploy_policy(policy_document)

    before = admission("choose_guardrail", known={"use_case": rules.use_cases[use_case]})

    assert choose_guardrail(before).recorded == {"guardrail": chosen}


def test_without_the_one_chosen_nothing_is_claimed(admission, deploy_policy, policy_document, requests):
    policy_document["risk_classes"]["low"]["guardrail"] = "strict"
    rules = deploy_policy(policy_document)

    with pytest.raises(PolicyUnavailable, match="strict"):
        choose_guardrail(admission("choose_guardrail", known={"use_case": rules.use_cases["general_question"]}))
    assert requests.scan()["Count"] == 0
