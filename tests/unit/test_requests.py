"""domain/requests.py: what a body may hold, and what makes two deliveries the same."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.policy import Policy, Tenant
from domain.requests import (
    MAX_DEPTH,
    Reason,
    RequestRefused,
    canonical,
    check_allowed,
    check_conversation,
    check_text,
    invalid,
    read_request,
    request_key,
)

ACME = Tenant("acme", frozenset({"general_question"}), 60, 10)
CLEAN = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | CLEAN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4),
    max_leaves=12,
)


def nested(levels: int) -> object:
    value: object = "leaf"
    for _ in range(levels):
        value = [value]
    return value


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(JSON)
def test_clean_json_passes_up_to_its_depth(value):
    if depth_of(value) <= MAX_DEPTH:
        check_text(value)
    else:
        with pytest.raises(RequestRefused):
            check_text(value)


@given(JSON, st.text(min_size=1))
def test_whatever_the_json_the_refusal_is_ours(value, text):
    """Any text in any place either passes or is refused by name; nothing else is ever raised."""
    try:
        check_text({"query": value, text: [text]})
    except RequestRefused as refusal:
        assert refusal.reason is Reason.INVALID_REQUEST
        assert 1 <= len(refusal.field) <= 80
        assert refusal.message.isprintable()
        refusal.message.encode()


@pytest.mark.parametrize(
    ("value", "field", "what"),
    [
        ({"query": "a\x00b"}, "query", "control character"),
        ({"query": "a\x1bb"}, "query", "control character"),
        ({"query": "a\x7fb"}, "query", "control character"),
        ({"passages": [{"text": "ok"}, {"text": "\x08"}]}, "passages[1].text", "control character"),
        ({"metadata": {"a\x01": "x"}}, "metadata", "control character"),
        ({"query": "\ud800"}, "query", "surrogate"),
        ({"\udfff": 1}, "body", "surrogate"),
        ({"metadata": {"n": float("nan")}}, "metadata.n", "not a number"),
        ({"metadata": {"n": float("-inf")}}, "metadata.n", "not a number"),
        ({"metadata": nested(MAX_DEPTH)}, "metadata" + "[0]" * (MAX_DEPTH - 1), "nested deeper"),
        ("\x00", "body", "control character"),
    ],
)
def test_what_a_schema_cannot_see_is_refused_by_its_field(value, field, what):
    with pytest.raises(RequestRefused, match=what) as refused:
        check_text(value)

    assert refused.value.field == field


@pytest.mark.parametrize("text", ["tab\tline\nreturn\r", "na\u00efve \U0001f600 \u202e", ""])
def test_whitespace_and_every_script_are_text(text):
    check_text({"query": text, "passages": [{"text": text}]})


def test_nesting_without_end_is_refused_at_once():
    with pytest.raises(RequestRefused, match="nested deeper"):
        check_text({"query": nested(900)})


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [("x" * 5000, "x" * 80), ("a\nb\u202ec", "a?b?c"), ("", "body")],
)
def test_a_field_name_is_shown_cut_and_printable(given_name, shown):
    assert invalid(given_name, "is wrong").message == f"{shown} is wrong."


@given(st.dictionaries(CLEAN, JSON, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_make_another_body(body, random):
    keys = list(body)
    random.shuffle(keys)

    assert canonical({key: body[key] for key in keys}) == canonical(body)


@given(JSON, JSON)
def test_different_bodies_differ(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (canonical({"v": one}) == canonical({"v": other})) == same


@given(
    st.text(string.ascii_lowercase + "-", min_size=1),
    st.text(),
    st.text(string.ascii_lowercase + "-", min_size=1),
    st.text(),
)
def test_no_two_tenants_share_a_key(tenant, request_id, other_tenant, other_id):
    same = (tenant, request_id) == (other_tenant, other_id)

    assert (request_key(tenant, request_id) == request_key(other_tenant, other_id)) == same


DETAIL = {"request_id": "r-1", "use_case": "general_question", "query": "Why?"}


@pytest.mark.parametrize(
    ("body", "proven", "user_id", "subject_id"),
    [
        ({}, None, None, None),
        ({"user_id": "u"}, None, "u", "u"),
        ({"user_id": "u", "subject_id": "s"}, None, "u", "s"),
        ({"subject_id": "s"}, "token", "token", "s"),
        ({"user_id": "u"}, "token", "token", "token"),
    ],
)
def test_a_proven_user_beats_the_body_s(body, proven, user_id, subject_id):
    request = read_request(DETAIL | body, ACME, proven, "event")

    assert (request.user_id, request.subject_id) == (user_id, subject_id)


def test_a_request_keeps_its_body_and_a_digest_of_it():
    request = read_request(DETAIL, ACME, None, "event")

    assert json.loads(request.body) == DETAIL
    assert request.key == "acme#r-1"
    assert request.body_digest == read_request(dict(reversed(DETAIL.items())), ACME, None, "sync").body_digest
    assert request.body_digest != read_request(DETAIL | {"query": "How?"}, ACME, None, "event").body_digest


@pytest.mark.parametrize(
    ("use_case", "reason"),
    [("nowhere", Reason.UNKNOWN_USE_CASE), ("policy_advice", Reason.USE_CASE_NOT_ALLOWED)],
)
def test_a_tenant_asks_only_for_its_use_cases(policy_document, use_case, reason):
    rules = Policy.from_json(policy_document)
    check_allowed(rules, rules.tenants["globex"], "general_question")

    with pytest.raises(RequestRefused) as refused:
        check_allowed(rules, rules.tenants["globex"], use_case)

    assert (refused.value.reason, refused.value.field) == (reason, "use_case")


def turns(*roles: str) -> list[dict]:
    return [{"role": role, "text": "words"} for role in roles]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query": " \n"}, "query"),
        ({"passages": [{"text": "ok"}, {"text": "\t"}]}, "passages[1].text"),
        ({"history": [{"role": "user", "text": " "}, {"role": "assistant", "text": "a"}]}, "history[0].text"),
        ({"history": turns("assistant", "user")}, "history[0].role"),
        ({"history": turns("user", "user")}, "history[1].role"),
        ({"history": turns("user", "assistant", "user")}, "history[2].role"),
    ],
)
def test_a_conversation_no_model_takes_is_refused_by_its_field(change, field):
    with pytest.raises(RequestRefused) as refused:
        check_conversation(DETAIL | change)

    assert refused.value.field == field


@pytest.mark.parametrize("history", [[], turns("user", "assistant"), turns(*["user", "assistant"] * 50)])
def test_turns_that_alternate_are_a_conversation(history):
    check_conversation(DETAIL | {"history": history, "passages": [{"text": "ok"}]})
