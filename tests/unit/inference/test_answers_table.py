"""adapters/inference/answers_table.py: an answer is given again for as long as its class says, and not a moment
longer.
"""

import pytest

from adapters.inference import answers_table

NOW = 1_800_000_000
RECORD = {"request_key": "acme#r-1", "answer_key": "k", "status": "COMPLETED"}


@pytest.mark.parametrize(
    ("kept", "until"),
    [
        ({"cache_until": NOW + 10, "expires_at": NOW + 100}, NOW + 10),
        ({"cache_until": NOW + 10, "held_expires_at": NOW + 100}, NOW + 10),
        ({"expires_at": NOW + 100}, NOW + 100),
        ({"held_expires_at": NOW + 100}, NOW + 100),
    ],
)
def test_an_answer_is_found_until_its_class_ends(requests, cache, kept, until):
    requests.put_item(Item=RECORD | kept)
    answers_table.keep([RECORD | kept])

    assert answers_table.find("k", until - 1)["request_key"] == "acme#r-1"
    assert answers_table.find("k", until) is None
    assert cache.get_item(Key={"answer_key": "k"})["Item"]["expires_at"] == until


def test_a_pointer_that_came_late_leads_to_no_other_question(requests, cache):
    """The request was forgotten, and its id used again."""
    cache.put_item(Item={"answer_key": "acme#q1", "request_key": "acme#r", "expires_at": 2_000_000_000})
    requests.put_item(Item={"request_key": "acme#r", "status": "COMPLETED", "answer_key": "acme#q2"})

    assert answers_table.find("acme#q1", 1_800_000_000) is None
