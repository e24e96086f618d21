"""domain/inference/usage.py: what was used is told by attempt, and what was not is left out."""

import pytest

from domain.inference.usage import line, lines_of, text_units_of

REPORTED = {"InputTokens": 30, "OutputTokens": 7, "TotalTokens": 37}


@pytest.mark.parametrize(
    ("assessed", "units"),
    [
        ([], {}),
        ([{"TopicPolicyUnits": 0}], {}),
        ([{"TopicPolicyUnits": 1, "WordPolicyUnits": 0}, {"TopicPolicyUnits": 2}], {"topic_policy": 3}),
        ([{"SensitiveInformationPolicyFreeUnits": 1}], {"sensitive_information_policy_free": 1}),
        ([{"ContentPolicyImageUnits": 1}], {"content_policy_image": 1}),
    ],
)
def test_units_add_up_by_policy(assessed, units):
    assert text_units_of(assessed) == units


def test_a_line_tells_what_was_used_and_no_more():
    assert line("nova-lite", 30, 7, {}) == {"model": "nova-lite", "input_tokens": 30, "output_tokens": 7}
    assert line("nova-lite", 30, 7, {"topic_policy": 1}, 900, 10) == {
        "model": "nova-lite",
        "input_tokens": 30,
        "output_tokens": 7,
        "cache_read_tokens": 900,
        "cache_write_tokens": 10,
        "text_units": {"topic_policy": 1},
    }


def test_only_attempts_that_answered_have_a_line():
    unanswered = {"model": "nova-lite", "error": "States.Timeout", "input_tokens": 0, "output_tokens": 0}
    empty = unanswered | {"error": "EMPTY_ANSWER", "usage": REPORTED | {"CacheReadInputTokens": 900}}

    [told] = lines_of([unanswered, empty | {"text_units": [{"TopicPolicyUnits": 1}]}])

    assert told == line("nova-lite", 30, 7, {"topic_policy": 1}, 900)
