"""domain/modes.py and adapters/modes_table.py: the strictest mode holds, as long as its owner renews it."""

import dataclasses

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from adapters import dynamodb, modes_table
from domain.modes import (
    ANY_TENANT,
    MOST_MET,
    NORMAL,
    EffectiveMode,
    Mode,
    degraded,
    effective,
    met_and,
    met_during,
    owner_of,
)
from domain.policy import Policy, UseCase

NOW = 1_800_000_000.0


@pytest.mark.parametrize("items", [[], [{}], [{"control_key": "mode#acme#general_question", "expires_at": 9}]])
def test_without_a_mode_all_is_normal(items):
    assert effective(items, NOW) == NORMAL == EffectiveMode(Mode.NORMAL, None, None)


@pytest.mark.parametrize(("until", "mode"), [(NOW + 1, Mode.REFUSE), (NOW, Mode.NORMAL), (NOW - 1, Mode.NORMAL)])
def test_a_mode_that_is_not_renewed_ends_by_itself(until, mode):
    assert effective([{"by_load": {"mode": "refuse", "until": until}}], NOW).mode is mode


OWNERS = st.dictionaries(
    st.sampled_from(["load", "incident", "person", "rollout"]),
    st.tuples(st.sampled_from(list(Mode)), st.floats(NOW - 10, NOW + 10)),
)


@given(OWNERS)
def test_the_strictest_of_those_in_force_holds(owners):
    item = {f"by_{owner}": {"mode": str(mode), "until": until} for owner, (mode, until) in owners.items()}
    in_force = [mode for mode, until in owners.values() if until > NOW]

    found = effective([item], NOW)

    assert found == effective([{name: entry} for name, entry in item.items()], NOW), "in one item or in several"

    assert found.mode is max([Mode.NORMAL, *in_force], key=list(Mode).index)
    if found.mode is not Mode.NORMAL:
        assert owners[found.owner][0] is found.mode


def test_a_floor_is_that_of_the_mode_that_holds():
    lenient = {"by_load": {"mode": "ask_less", "until": NOW + 1, "confidence_floor": 0.5}}

    assert effective([lenient], NOW).confidence_floor == 0.5
    assert effective([lenient, {"by_person": {"mode": "refuse", "until": NOW + 1}}], NOW).confidence_floor is None


# --- What a mode makes of a use case


@pytest.fixture
def use_case(policy_document) -> UseCase:
    shipped = Policy.from_json(policy_document).use_cases["product_support"]
    return dataclasses.replace(shipped, confidence_threshold=0.5)


def changes(before: UseCase, after: UseCase) -> dict:
    """The fields that differ, models by their names."""
    names = [field.name for field in dataclasses.fields(UseCase)]
    found = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    return found | ({"models": [model.name for model in found["models"]]} if "models" in found else {})


@pytest.mark.parametrize(
    ("mode", "changed"),
    [
        (Mode.NORMAL, {}),
        (Mode.ASK_LESS, {}),
        (Mode.STRICTER_REVIEW, {"confidence_threshold": 0.75}),
        (Mode.FALLBACK_MODEL, {"models": ["nova-pro"]}),
        (Mode.NO_RETRIEVAL, {"passages_to_retrieve": 0}),
        (Mode.CHEAPER, {"models": ["nova-lite"], "max_output_tokens": 500}),
        (Mode.CACHE_ONLY, {}),
        (Mode.REFUSE, {}),
    ],
)
def test_a_mode_changes_what_it_is_named_for_and_nothing_else(use_case, mode, changed):
    assert changes(use_case, degraded(use_case, mode)) == changed


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_always_leaves_a_use_case_that_works(use_case, mode):
    least = dataclasses.replace(use_case, models=use_case.models[:1], max_output_tokens=1, passages_to_retrieve=0)

    assert changes(least, degraded(least, mode)).keys() <= {"confidence_threshold"}


@given(st.floats(0, 1))
def test_a_stricter_review_halves_the_doubt_that_is_left(threshold):
    use_case = dataclasses.replace(USE_CASE, confidence_threshold=threshold)

    stricter = degraded(use_case, Mode.STRICTER_REVIEW).confidence_threshold

    assert threshold <= stricter <= 1
    assert 1 - stricter == pytest.approx((1 - threshold) / 2)


USE_CASE = UseCase(**dict.fromkeys(field.name for field in dataclasses.fields(UseCase)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("prices", "cheapest"),
    [
        ({"nova-lite": (0.06, 0.24), "nova-pro": (0.8, 3.2)}, "nova-lite"),
        ({"nova-lite": (0.06, 3.3), "nova-pro": (0.8, 3.2)}, "nova-pro"),
        ({"nova-lite": (0.06, 3.2), "nova-pro": (0.8, 3.2)}, "nova-lite"),
    ],
    ids=["both sides", "its answers above all", "its questions where answers cost the same"],
)
def test_the_cheapest_model_is_the_one_whose_tokens_cost_least(policy_document, prices, cheapest, reverse):
    for name, (per_input, per_output) in prices.items():
        policy_document["models"][name] |= {
            "usd_per_million_input_tokens": per_input,
            "usd_per_million_output_tokens": per_output,
        }
    if reverse:
        policy_document["use_cases"]["product_support"]["models"].reverse()
    use_case = Policy.from_json(policy_document).use_cases["product_support"]

    assert [model.name for model in degraded(use_case, Mode.CHEAPER).models] == [cheapest]


# --- Where modes stand


@pytest.fixture
def mode(control, clock):
    return lambda use_case="general_question", tenant="acme": modes_table.current(tenant, use_case).mode


def hold(owner: str, mode: Mode, seconds: float = 300, floor: float | None = None, tenant: str = "acme") -> None:
    modes_table.hold(tenant, "general_question", owner, mode, NOW + seconds, floor)


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


def test_everybody_s_mode_is_each_tenant_s_and_one_use_case_s(mode):
    hold("incident", Mode.CHEAPER, tenant=ANY_TENANT)

    assert (mode(), mode(tenant="globex"), mode("product_support")) == ("cheaper", "cheaper", "normal")


@pytest.mark.parametrize(
    ("own", "everybody_s", "strictest"),
    [
        (Mode.CACHE_ONLY, Mode.FALLBACK_MODEL, EffectiveMode(Mode.CACHE_ONLY, "own")),
        (Mode.FALLBACK_MODEL, Mode.CACHE_ONLY, EffectiveMode(Mode.CACHE_ONLY, "everybody_s")),
        (Mode.ASK_LESS, Mode.STRICTER_REVIEW, EffectiveMode(Mode.STRICTER_REVIEW, "everybody_s")),
        (Mode.ASK_LESS, Mode.NORMAL, EffectiveMode(Mode.ASK_LESS, "own", 0.5)),
    ],
)
def test_of_a_tenant_s_mode_and_everybody_s_the_strictest_holds(mode, own, everybody_s, strictest):
    hold("own", own, floor=0.5 if own is Mode.ASK_LESS else None)
    hold("everybody_s", everybody_s, tenant=ANY_TENANT)

    assert modes_table.current("acme", "general_question") == strictest


@pytest.mark.parametrize(
    ("tenant", "left"), [("acme", Mode.FALLBACK_MODEL), (ANY_TENANT, Mode.REFUSE)], ids=["own", "everybody's"]
)
def test_one_that_is_lifted_leaves_the_same_owner_s_of_the_other_item(mode, clock, tenant, left):
    hold("incident", Mode.REFUSE)
    hold("incident", Mode.FALLBACK_MODEL, tenant=ANY_TENANT)

    modes_table.lift(tenant, "general_question", "incident")

    assert mode() is left


def test_everybody_s_mode_ends_by_itself_and_leaves_a_tenant_s(mode, clock):
    hold("load", Mode.ASK_LESS, floor=0.5)
    hold("incident", Mode.REFUSE, seconds=3, tenant=ANY_TENANT)
    assert mode() == "refuse"

    clock(3)
    assert modes_table.current("acme", "general_question") == EffectiveMode(Mode.ASK_LESS, "load", 0.5)


def test_what_is_read_afresh_is_of_this_moment_and_of_one_item(mode):
    assert mode() == "normal"
    hold("load", Mode.CACHE_ONLY)
    hold("incident", Mode.CHEAPER, tenant=ANY_TENANT)

    assert mode() == "normal", "as it was read a moment ago"
    assert modes_table.fresh("acme", "general_question") == EffectiveMode(Mode.CACHE_ONLY, "load")
    assert modes_table.fresh(ANY_TENANT, "general_question") == EffectiveMode(Mode.CHEAPER, "incident")
    assert modes_table.fresh("globex", "general_question") == NORMAL


def test_what_the_table_does_not_give_at_once_is_asked_for_again(mode):
    hold("load", Mode.CHEAPER)
    refusing = {
        "control_key": {"S": f"mode#{ANY_TENANT}#general_question"},
        "by_incident": {"M": {"mode": {"S": "refuse"}, "until": {"N": str(NOW + 300)}}},
    }
    unread = {"control": {"Keys": [{"control_key": refusing["control_key"]}]}}
    with Stubber(dynamodb.client) as stubber:
        stubber.add_response("batch_get_item", {"Responses": {"control": []}, "UnprocessedKeys": unread})
        stubber.add_response("batch_get_item", {"Responses": {"control": [refusing]}, "UnprocessedKeys": {}})

        assert mode() == "refuse"


def test_each_incident_owns_its_mode_under_a_name_the_table_takes(mode, clock):
    ids = ["acme/general_question/2027-01-15", "acme/general_question/2027-01-16", "é #:"]
    owners = [owner_of(incident_id) for incident_id in ids]
    assert len(set(owners)) == 3 and owners == [owner_of(incident_id) for incident_id in ids]

    for owner, held in zip(owners, [Mode.CHEAPER, Mode.REFUSE, Mode.CACHE_ONLY], strict=True):
        hold(owner, held)
    assert modes_table.fresh("acme", "general_question").owner == owners[1]

    modes_table.lift("acme", "general_question", owners[1])
    assert modes_table.fresh("acme", "general_question") == EffectiveMode(Mode.CACHE_ONLY, owners[2])


def test_a_mode_is_remembered_when_it_is_met_first_and_only_the_latest_are():
    met = met_and(met_and([], NOW, Mode.CHEAPER), NOW + 60, Mode.CHEAPER)
    assert met == [[NOW, "cheaper"]]

    for number in range(2 * MOST_MET):
        met = met_and(met, NOW + number, Mode.REFUSE if number % 2 else Mode.NORMAL)
    assert len(met) == MOST_MET and met[-1] == [NOW + 2 * MOST_MET - 1, "refuse"]


@pytest.mark.parametrize(
    ("at", "modes"),
    [
        (NOW - 121, {Mode.NORMAL}),
        (NOW - 120, {Mode.NORMAL, Mode.CHEAPER}),
        (NOW, {Mode.CHEAPER}),
        (NOW + 480, {Mode.CHEAPER, Mode.REFUSE}),
        (NOW + 660, {Mode.CHEAPER, Mode.REFUSE}),
        (NOW + 661, {Mode.REFUSE}),
    ],
)
def test_a_minute_may_have_met_the_modes_around_it(at, modes):
    assert met_during([[NOW, "cheaper"], [NOW + 600, "refuse"]], at) == modes


def test_what_was_before_any_mode_was_met_is_normal():
    assert met_during([], NOW) == {Mode.NORMAL}
