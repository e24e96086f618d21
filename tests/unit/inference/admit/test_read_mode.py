"""inference/admit/read_mode.py: the strictest mode of the tenant's and everybody's shapes the use case."""

from words import NOW

from adapters import modes_table
from domain.modes import ANY_TENANT, Mode
from inference.admit.read_mode import read_mode


def test_a_use_case_in_order_is_as_it_was(admission):
    before = admission("claim_request")
    read = read_mode(before)

    assert (read.mode.mode, read.use_case) == (Mode.NORMAL, before.use_case)


def test_a_mode_shapes_the_use_case(admission):
    modes_table.hold(ANY_TENANT, "general_question", "incident_1", Mode.FALLBACK_MODEL, NOW + 300, None)

    read = read_mode(admission("claim_request"))

    assert read.mode.mode is Mode.FALLBACK_MODEL
    assert [model.name for model in read.use_case.models] == ["nova-pro"]
