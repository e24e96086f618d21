"""adapters/root_key.py: one root for all processes, asked of KMS once by each."""

import pytest

from adapters import root_key
from domain.errors import SubjectErased

REF = "0f" * 16


def another_process(monkeypatch) -> None:
    monkeypatch.setattr(root_key, "_root", None)


def test_every_process_has_the_same_root_and_another_key_for_each_purpose(keys, monkeypatch):
    refs, wrap = root_key.derived(b"refs"), root_key.derived(b"wrap")
    another_process(monkeypatch)

    assert (root_key.derived(b"refs"), root_key.derived(b"wrap")) == (refs, wrap)
    assert refs != wrap
    assert [item["subject_ref"] for item in keys.scan()["Items"]] == [root_key.ROOT]


def test_a_process_asks_kms_once(keys, monkeypatch):
    root_key.derived(b"refs")
    monkeypatch.setattr(root_key, "kms", None)

    assert root_key.unwrap(REF, root_key.wrap(REF, bytes(32))) == bytes(32)


def test_who_makes_the_root_a_moment_later_takes_the_first_one(keys, monkeypatch):
    first = root_key.derived(b"refs")
    another_process(monkeypatch)
    found = root_key.get
    answers = iter([lambda *_: None, found])
    monkeypatch.setattr(root_key, "get", lambda *key: next(answers)(*key))

    assert root_key.derived(b"refs") == first


def test_a_wrapped_key_is_its_subject_s_alone(keys):
    wrapped = root_key.wrap(REF, bytes(32))

    assert root_key.wrap(REF, bytes(32)) != wrapped
    with pytest.raises(SubjectErased):
        root_key.unwrap("1e" * 16, wrapped)
