"""api/read_inference.py: what became of a request, and to its owner alone the answer."""

import pytest
from words import sealed

from api import read_inference


@pytest.fixture
def stored(stores, requests):
    def put(
        request_id: str = "r-1",
        tenant: str = "acme",
        status: str = "COMPLETED",
        answer: str = "Eleven hours.",
    ):
        key = f"{tenant}#{request_id}"
        item = {"request_key": key, "request_id": request_id, "status": status, "user_id": "user-17"}
        item |= {"tenant": tenant, "use_case": "general_question"}
        requests.put_item(Item=item | sealed("answer", key, answer))

    return put


@pytest.fixture
def read(call):
    return lambda request_id, *groups, **more: call(
        read_inference.handler, *groups, path={"request_id": request_id}, **more
    )


@pytest.mark.parametrize("answer", ["Eleven hours.", "word " * 20_000])
def test_its_owner_reads_the_answer(stored, read, answer):
    stored(answer=answer)

    assert read("r-1", "callers", "tenant-acme")[1]["answer"] == answer


@pytest.mark.parametrize("status", ["ADMITTED", "HELD", "REFUSED", "FAILED"])
def test_an_answer_that_is_not_released_is_not_told(stored, read, status):
    stored(status=status)

    code, body = read("r-1", "callers", "tenant-acme")

    assert (code, body["status"]) == (200, status)
    assert body.keys() == {"request_id", "tenant", "use_case", "status"}


@pytest.mark.parametrize(
    ("groups", "user_id", "status", "with_answer"),
    [
        (["callers", "tenant-acme"], "user-17", 200, True),
        (["callers", "tenant-acme"], "user-18", 200, False),
        (["operators", "tenant-acme"], "user-18", 200, False),
        (["operators", "tenant-acme", "tenant-globex"], "user-18", 200, False),
        (["callers", "tenant-globex"], "user-17", 404, False),
        (["operators"], "user-17", 404, False),
        (["operators", "tenant-acme", "use-case-product_support"], "user-18", 404, False),
        # Who reviews sees their own alone: what became of a request is what a blind review must not tell.
        (["operators", "reviewers", "tenant-acme"], "user-18", 404, False),
        (["callers", "leads", "tenant-acme"], "user-18", 404, False),
        (["callers", "reviewers", "tenant-acme"], "user-17", 200, True),
        (["reviewers", "tenant-acme"], "user-17", 403, False),
        (["tenant-acme"], "user-17", 403, False),
        ([], "user-17", 403, False),
    ],
)
def test_who_reads_what(stored, read, groups, user_id, status, with_answer):
    stored()

    code, body = read("r-1", *groups, user_id=user_id)

    assert code == status
    assert ("answer" in body) is with_answer


@pytest.mark.parametrize("request_id", ["unknown", "../r-1", "x" * 5000, "\ud800", "\x00"])
def test_an_id_nobody_has_is_not_found(stored, read, request_id):
    stored()

    status, body = read(request_id, "callers", "tenant-acme")

    assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
