"""inference/admit/check_mode.py: only a stop refuses, and says who is behind."""

import pytest

from domain.modes import REVIEW_LOAD, EffectiveMode, Mode
from domain.requests import Reason, RequestRefused
from inference.admit.check_mode import check_mode


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.REFUSE])
def test_what_is_degraded_is_let_in(admission, mode):
    before = admission("claim_request", known={"mode": EffectiveMode(mode)})

    assert check_mode(before) is before


@pytest.mark.parametrize(("owner", "reason"), [(REVIEW_LOAD, Reason.REVIEWERS_BEHIND), ("person", Reason.STOPPED)])
def test_what_is_stopped_is_refused_until_later(admission, owner, reason):
    with pytest.raises(RequestRefused) as refused:
        check_mode(admission("claim_request", known={"mode": EffectiveMode(Mode.REFUSE, owner)}))

    assert refused.value.reason is reason
    assert refused.value.retry_after_seconds == 120
