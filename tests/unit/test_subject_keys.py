"""adapters/subject_keys.py: words are sealed under a person's key, and are gone with it."""

import json

import pytest

from adapters import key_memory, root_key, subject_keys
from adapters.sealing import SubjectKey
from domain.errors import SubjectErased, SubjectHeld

NOW = 1_800_000_000.0
REF = "0f" * 16


@pytest.fixture
def subject(keys) -> tuple[str, SubjectKey]:
    """A subject whose key is stored."""
    ref = subject_keys.subject_ref("acme", "ana")
    key, item = subject_keys.create(ref, "acme", NOW)
    keys.put_item(Item=item)
    return ref, key


def test_a_text_is_read_again_by_whoever_finds_the_key(subject):
    ref, key = subject
    sealed = key.seal("Eleven hours, to be precise: ä", "acme#r-1/answer")

    assert "hours" not in sealed
    found = subject_keys.unwrap(ref, subject_keys.find(ref)["wrapped_key"])
    assert found.open(sealed, "acme#r-1/answer") == "Eleven hours, to be precise: ä"
    assert found.mac("x") == key.mac("x") != key.mac("y")


def test_a_subject_has_one_name_within_its_tenant_and_none_that_can_be_guessed(keys, monkeypatch):
    ref = subject_keys.subject_ref("acme", "ana")

    monkeypatch.setattr(root_key, "_root", None)
    assert subject_keys.subject_ref("acme", "ana") == ref, "another process, the same root"
    assert (
        len({ref, *(subject_keys.subject_ref(*each) for each in (("acme", "ben"), ("globex", "ana"), ("acme", None)))})
        == 4
    )
    assert len(keys.scan()["Items"]) == 1


def test_a_key_cannot_be_passed_off_as_another_subjects(subject):
    ref, _ = subject

    with pytest.raises(SubjectErased):
        subject_keys.unwrap(REF, subject_keys.find(ref)["wrapped_key"])


def test_a_held_subject_is_not_erased_before_the_hold_is_lifted(subject):
    ref, _ = subject
    held = subject_keys.hold(ref, "acme", "name-of-dpo", "case 12", NOW)
    again = subject_keys.hold(ref, "acme", "name-of-other", "case 13", NOW)

    assert held["hold"] == again["hold"], "who held it first"
    assert [item["subject_ref"] for item in subject_keys.held()] == [ref]
    with pytest.raises(SubjectHeld):
        subject_keys.begin_erasure(ref, "e-1", NOW)
    with pytest.raises(SubjectHeld):
        subject_keys.drop(ref, "e-1")
    hold = subject_keys.begin_lift(ref, "name-of-dpo", "case closed", NOW)["hold"]
    assert subject_keys.lift(ref, hold) and not subject_keys.lift(ref, hold)
    assert subject_keys.find(ref)["last_hold"] == hold, "who, and why"
    assert subject_keys.held() == []
    assert subject_keys.begin_erasure(ref, "e-1", NOW)["erasure"]["erasure_id"] == "e-1"
    assert subject_keys.hold(ref, "acme", "late", "case 14", NOW)["erasure"]["erasure_id"] == "e-1"
    assert subject_keys.held() == [], "who is being erased cannot be held any more"
    subject_keys.drop(ref, "e-1")
    subject_keys.drop(ref, "e-1")
    assert subject_keys.find(ref) is None
    assert subject_keys.begin_erasure(ref, "e-2", NOW) is None


def test_somebody_of_whom_nothing_came_yet_can_be_held(keys):
    ref = subject_keys.subject_ref("acme", "zoe")
    item = subject_keys.hold(ref, "acme", "name-of-dpo", "case 12", NOW)

    key = subject_keys.unwrap(ref, item["wrapped_key"])
    assert key.open(key.seal("text", "p"), "p") == "text"


def test_nothing_in_the_table_tells_a_key_or_a_name(subject, keys):
    stored = json.dumps(keys.scan()["Items"], default=str)

    assert "ana" not in stored and "text" not in stored


def test_a_record_without_a_subject_is_its_tenant_s(keys):
    ref = subject_keys.subject_ref("acme", None)

    assert subject_keys.ref_of({"tenant": "acme"}) == ref
    assert subject_keys.ref_of({"tenant": "acme", "subject_ref": REF}) == REF


def test_the_keys_of_many_records_are_read_together_and_those_that_are_gone_are_left_out(subject):
    ref, key = subject
    records = [{"tenant": "acme", "subject_ref": each} for each in (ref, REF, ref)]

    found = subject_keys.of_many(records)

    assert found.keys() == {ref} and found[ref].open(key.seal("text", "p"), "p") == "text"
    assert subject_keys.of_many([]) == {}


def test_an_erased_subject_s_words_are_read_from_memory_for_a_minute_at_most(subject, clock):
    ref, _ = subject
    record = {"tenant": "acme", "subject_ref": ref}
    subject_keys.of(record)
    # Another process erases the subject.
    known = key_memory._remembered[ref]
    subject_keys.begin_erasure(ref, "e-1", NOW)
    subject_keys.drop(ref, "e-1")
    key_memory._remembered[ref] = known

    clock(59)
    assert subject_keys.of(record).ref == ref and ref in subject_keys.of_many([record])
    clock(1)
    assert subject_keys.of_many([record]) == {}
    with pytest.raises(SubjectErased):
        subject_keys.of(record)
    assert subject_keys.remembered(ref) is None


def test_a_record_of_a_subject_that_was_erased_and_came_again_is_opened_with_its_own_key(subject, keys):
    ref, old = subject
    subject_keys.remember(old)
    new, item = subject_keys.create(ref, "acme", NOW)
    keys.put_item(Item=item)
    record = {"tenant": "acme", "subject_ref": ref, "subject_mac": new.mark}

    assert subject_keys.of_many([record | {"subject_mac": old.mark}, record])[ref].mark == new.mark
    subject_keys.remember(old)
    assert subject_keys.of(record).mark == new.mark


def test_a_plan_carries_its_key(subject):
    ref, key = subject

    for _ in ("unwrapped", "remembered"):
        carried = subject_keys.carried({"ref": ref, "wrapped_key": key.wrapped})
        assert carried.open(key.seal("text", "p"), "p") == "text"
        subject_keys.remember(carried)


def test_who_lifts_a_hold_late_lifts_no_later_one(subject):
    ref, _ = subject
    subject_keys.hold(ref, "acme", "name-of-dpo", "case 12", NOW)
    first = subject_keys.begin_lift(ref, "name-of-dpo", "case 12 closed", NOW)["hold"]
    subject_keys.lift(ref, first)
    subject_keys.hold(ref, "acme", "name-of-dpo", "case 13", NOW + 1)

    assert not subject_keys.lift(ref, first)
    assert subject_keys.find(ref)["hold"]["reason"] == "case 13"


def test_a_hold_that_is_lifted_at_that_moment_leaves_nobody_unclosed(subject, monkeypatch):
    ref, _ = subject
    subject_keys.hold(ref, "acme", "name-of-dpo", "case 12", NOW)
    hold = subject_keys.begin_lift(ref, "name-of-dpo", "over", NOW)["hold"]
    find = subject_keys.find

    def lifted_just_before(ref: str) -> dict | None:
        subject_keys.lift(ref, hold)
        return find(ref)

    monkeypatch.setattr(subject_keys, "find", lifted_just_before)
    assert subject_keys.begin_erasure(ref, "e-1", NOW)["erasure"]["erasure_id"] == "e-1"
