"""adapters/sealing.py: what is sealed is read with the same key at the same place alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sealing import SubjectKey
from domain.errors import SubjectErased

REF = "0f" * 16


@given(text=st.text(), place=st.text(max_size=20))
def test_any_text_comes_back_and_at_its_place_alone(text, place):
    text = text.encode(errors="replace").decode()
    place = place.encode(errors="replace").decode()
    key = SubjectKey(REF, bytes(32))
    sealed = key.seal(text, place)

    assert key.open(sealed, place) == text
    assert key.seal(text, place) != sealed
    with pytest.raises(SubjectErased):
        key.open(sealed, place + "!")
    with pytest.raises(SubjectErased):
        SubjectKey(REF, b"1" * 32).open(sealed, place)
