"""ReadMode: the use case works as its mode leaves it."""

from adapters import modes_table
from domain.modes import degraded
from inference.admit.admission import Admission


def read_mode(admission: Admission) -> Admission:
    mode = modes_table.current(admission.tenant.name, admission.use_case.name)
    return admission._replace(mode=mode, use_case=degraded(admission.use_case, mode.mode))
