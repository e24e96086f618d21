"""adapters/subject_index.py: keys of a person's, in their order, from wherever one goes on."""

import pytest

from adapters import subject_index

KEYS = ["acme#r-1", "acme#r-2", "acme#r-3"]


@pytest.fixture
def listed(requests):
    for key in KEYS:
        requests.put_item(Item={"request_key": key, "subject_ref": "ana", "user_ref": "ben"})
    requests.put_item(Item={"request_key": "acme#r-0", "subject_ref": "ben"})

    return lambda ref="ana", **how: list(subject_index.keys(requests.name, "request_key", ref, **how))


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({}, KEYS),
        ({"after": ""}, KEYS),
        ({"after": "acme#r-1"}, KEYS[1:]),
        ({"after": "acme#r-3"}, []),
        ({"limit": 2}, KEYS[:2]),
        ({"limit": 3}, KEYS),
        ({"limit": 1, "after": "acme#r-1"}, KEYS[1:2]),
        ({"ref": "ben"}, ["acme#r-0"]),
        ({"ref": "ben", "index": "user-index"}, KEYS),
        ({"ref": "nobody"}, []),
    ],
)
def test_an_index_lists_the_keys_of_one_person_behind_a_key(listed, how, found):
    assert listed(**how) == found


def test_a_key_that_is_gone_is_gone_on_behind_all_the_same(listed, requests):
    requests.delete_item(Key={"request_key": "acme#r-2"})

    assert listed(after="acme#r-2") == ["acme#r-3"]
