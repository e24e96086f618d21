"""domain/modes.py and adapters/modes_table.py: the strictest mode holds, as long as its owner renews it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import modes_table
from domain.modes import NORMAL, EffectiveMode, Mode, effective

NOW = 1_800_000_000.0


@pytest.mark.parametrize("item", [None, {}, {"control_key": "mode#acme#general_question", "expires_at": 9}])
def test_without_a_mode_all_is_normal(item):
    assert effective(item, NOW) == NORMAL == EffectiveMode(Mode.NORMAL, None, None)


@pytest.mark.parametrize(("until", "mode"), [(NOW + 1, Mode.REFUSE), (NOW, Mode.NORMAL), (NOW - 1, Mode.NORMAL)])
def test_a_mode_that_is_not_renewed_ends_by_itself(until, mode):
    assert effective({"by_load": {"mode": "refuse", "until": until}}, NOW).mode is mode


OWNERS = st.dictionaries(
    st.sampled_from(["load", "incident", "person", "rollout"]),
    st.tuples(st.sampled_from(list(Mode)), st.floats(NOW - 10, NOW + 10)),
)


@given(OWNERS)
def test_the_strictest_of_those_in_force_holds(owners):
    item = {f"by_{owner}": {"mode": str(mode), "until": until} for owner, (mode, until) in owners.items()}
    in_force = [mode for mode, until in owners.values() if until > NOW]

    found = effective(item, NOW)

    assert found.mode is max([Mode.NORMAL, *in_force], key=list(Mode).index)
    if found.mode is not Mode.NORMAL:
        assert owners[found.owner][0] is found.mode


def test_a_floor_is_that_of_the_mode_that_holds():
    lenient = {"by_load": {"mode": "ask_less", "until": NOW + 1, "confidence_floor": 0.5}}

    assert effective(lenient, NOW).confidence_floor == 0.5
    assert effective(lenient | {"by_person": {"mode": "refuse", "until": NOW + 1}}, NOW).confidence_floor is None


@pytest.fixture
def mode(control, clock):
    return lambda use_case="general_question", tenant="acme": modes_table.current(tenant, use_case).mode


def hold(owner: str, mode: Mode, seconds: float = 300, floor: float | None = None) -> None:
    modes_table.hold("acme", "general_question", owner, mode, NOW + seconds, floor)


def test_a_mode_is_one_use_case_s_of_one_tenant(mode):
    hold("load", Mode.REFUSE)

    assert (mode(), mode("product_support"), mode(tenant="globex")) == ("refuse", "normal", "normal")


def test_one_that_is_lifted_leaves_those_of_others(mode, clock):
    hold("load", Mode.REFUSE)
    hold("person", Mode.CACHE_ONLY)
    assert mode() == "refuse"

    modes_table.lift("acme", "general_question", "load")
    clock(modes_table.MAX_AGE_SECONDS)
    assert mode() == "cache_only"

    modes_table.lift("acme", "general_question", "nobody")
    modes_table.lift("acme", "general_question", "person")
    clock(modes_table.MAX_AGE_SECONDS)
    assert mode() == "normal"


def test_an_owner_who_holds_again_takes_the_place_of_its_own(mode):
    hold("load", Mode.REFUSE)
    hold("load", Mode.ASK_LESS, floor=0.5)

    assert modes_table.current("acme", "general_question") == EffectiveMode(Mode.ASK_LESS, "load", 0.5)


def test_a_mode_is_read_once_for_all_requests_of_a_while(mode, clock):
    assert mode() == "normal"
    hold("load", Mode.REFUSE)

    clock(modes_table.MAX_AGE_SECONDS - 0.1)
    assert mode() == "normal"
    clock(0.1)
    assert mode() == "refuse"


def test_what_is_remembered_ends_with_its_time_all_the_same(mode, clock):
    hold("load", Mode.REFUSE, seconds=3)
    assert mode() == "refuse"

    clock(3)
    assert mode() == "normal"


def test_a_mode_s_item_goes_a_day_after_it(mode, control):
    hold("load", Mode.REFUSE)

    [item] = control.scan()["Items"]
    assert item["expires_at"] == NOW + 300 + 86_400
