"""inference/assess/keep_answer.py: words are kept sealed, or not at all."""

import pytest
from words import text_of

from domain.outcomes import Verdict
from domain.requests import Status
from inference.assess.keep_answer import keep_answer


def test_an_answer_is_kept_sealed(assessment):
    kept = keep_answer(assessment(known={"verdict": Verdict(Status.COMPLETED)}))

    assert "Eleven hours." not in str(kept.attributes)
    record = {"request_key": "acme#r-1", "subject_ref": kept.subject.ref, **kept.attributes}
    assert text_of(record, "answer") == "Eleven hours."


def test_what_the_guardrail_blocked_is_not_kept(assessment):
    assert keep_answer(assessment(known={"verdict": Verdict(Status.REFUSED)})).attributes == {}


@pytest.mark.parametrize(("mode", "found_again"), [("normal", True), ("ask_less", True), ("fallback_model", False)])
def test_only_what_is_as_good_as_any_may_be_given_again(assessment, mode, found_again):
    kept = keep_answer(assessment(request={"answer_key": "acme#key", "mode": mode}))

    assert ("answer_key" in kept.attributes) is found_again
