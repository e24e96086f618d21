"""CheckMode: a use case that is stopped answers nothing."""

from domain.modes import Mode, refusal_in
from inference.admit.admission import Admission


def check_mode(admission: Admission) -> Admission:
    if admission.mode.mode is Mode.REFUSE:
        raise refusal_in(admission.mode)
    return admission
