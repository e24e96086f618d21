"""Holds each event to its schema, and the two readers of schemas to one another."""

import copy
import json
import re

import fastjsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from machines import PATHS, ROOT, machine_of

from domain import outcomes
from domain.incidents.incidents import IncidentType
from domain.incidents.ladders import Rung
from domain.incidents.mitigation import Phase
from domain.modes import Mode
from domain.requests import Reason, Status
from domain.reviews.notices import ANNOUNCED
from domain.reviews.review import Next, Tier
from domain.reviews.verdicts import VERDICTS

SCHEMAS = sorted(ROOT.glob("events/schemas/*.json"))
EVENTS = [path.stem for path in SCHEMAS]
# What tells of reviews, their queues and of incidents, and is no request's outcome.
REVIEW_NOTICES = {"ReviewRequested", "ReviewDue", "ReviewOverdue", "AuditDecided"}
NOTICES = REVIEW_NOTICES | {"ReviewLoadChanged", "IncidentChanged", "ModeChanged", "SubjectErased", "ErasureDelayed"}
# What both readers understand alike: fastjsonschema implements draft 7, the schemas are written in 2020-12.
COMMON = {
    "$schema",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "items",
    "enum",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minProperties",
    "maxProperties",
}
POLICY_SCHEMA = json.loads((ROOT / "policies/runtime.schema.json").read_text())
POLICY = json.loads((ROOT / "policies/runtime.json").read_text())


def read(folder: str, name: str) -> dict:
    return json.loads((ROOT / f"events/{folder}/{name}.json").read_text())


DOCUMENTS = {name: (read("schemas", name), read("samples", name)) for name in EVENTS}
DOCUMENTS["runtime"] = (POLICY_SCHEMA, POLICY)
COMPILED = {name: fastjsonschema.compile(schema, use_default=False) for name, (schema, _) in DOCUMENTS.items()}
VALIDATORS = {
    name: Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for name, (schema, _) in DOCUMENTS.items()
}


def subschemas(schema: dict):
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from subschemas(inner)
    for keyword in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield from subschemas(schema[keyword])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_schema_is_valid_and_in_the_words_both_readers_know(name):
    schema, _ = DOCUMENTS[name]
    Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for part in subschemas(schema):
        assert part.keys() <= COMMON
        re.compile(part.get("pattern", ""))
        # Inside a class or escaped, fastjsonschema would take a dollar for the end of the text.
        assert "$" not in part.get("pattern", "").removesuffix("$")


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_says_who_publishes_it_when_and_how_often(name):
    schema, _ = DOCUMENTS[name]

    assert schema["title"] == name
    assert re.search(r"Published (at least once|by|once)", schema["description"])
    assert set(schema["required"]) <= schema["properties"].keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_schema_describes_its_sample(name):
    VALIDATORS[name].validate(DOCUMENTS[name][1])
    COMPILED[name](DOCUMENTS[name][1])


def test_each_sample_is_an_event():
    assert {path.stem for path in ROOT.glob("events/samples/*.json")} == set(EVENTS)


def test_each_outcome_has_its_event_and_each_event_its_cause():
    triggers = {"InferenceRequested", "IncidentReported", "ErasureRequested"}

    assert set(outcomes.DETAIL_TYPES.values()) == set(EVENTS) - triggers - NOTICES
    assert set(outcomes.DETAIL_TYPES) == set(Status) - {Status.ADMITTED}


def test_each_notice_has_its_event():
    """What can be told of beside outcomes: none is without a schema, no schema without its teller."""
    told = set()
    for path in ROOT.glob("functions/**/*.py"):
        told |= set(re.findall(r'(?:tell|bus\.entry|bus\.announce)\("(\w+)"', path.read_text()))

    assert told == NOTICES


@pytest.mark.parametrize("name", sorted(REVIEW_NOTICES))
def test_a_notice_of_a_review_says_which_whose_turn_and_where(name):
    schema, _ = DOCUMENTS[name]

    assert {*ANNOUNCED, "event_id", "at", "link"} <= set(schema["required"])
    assert set(schema["properties"]["tier"]["enum"]) == set(Tier)


def test_an_audit_s_decision_is_a_verdict_and_what_follows_silence_a_lead_or_the_policy_s_word():
    assert set(DOCUMENTS["AuditDecided"][0]["properties"]["decision"]["enum"]) == set(VERDICTS)
    on_silence = POLICY_SCHEMA["properties"]["use_cases"]["additionalProperties"]["properties"]["review"]["properties"]
    then = {Next.LEAD, *on_silence["on_silence"]["enum"]}
    assert set(DOCUMENTS["ReviewOverdue"][0]["properties"]["then"]["enum"]) == then


def test_each_reason_can_be_announced_and_no_other():
    outcomes_and_reviews = set(EVENTS) - {"ErasureDelayed"}
    named = {
        reason
        for name in outcomes_and_reviews
        for reason in DOCUMENTS[name][0]["properties"].get("reason", {}).get("enum", [])
    }

    assert named == set(Reason)


@pytest.mark.parametrize("name", outcomes.DETAIL_TYPES.values())
def test_an_outcome_may_come_of_each_mode_and_of_no_other(name):
    assert DOCUMENTS[name][0]["properties"]["mode"]["enum"] == list(Mode)


def test_an_incident_s_mode_is_normal_or_a_rung():
    assert DOCUMENTS["ModeChanged"][0]["properties"]["mode"]["enum"] == [Mode.NORMAL, *Rung]
    assert DOCUMENTS["ModeChanged"][0]["properties"]["phase"]["enum"] == list(Phase)
    assert DOCUMENTS["IncidentChanged"][0]["properties"]["type"]["enum"] == list(IncidentType)


@pytest.mark.parametrize("name", outcomes.DETAIL_TYPES.values())
def test_an_announcement_says_nothing_but_what_its_schema_lists(name):
    announced = {*outcomes.ANNOUNCED, "event_id"}

    # Readers may rely on each field being one of the schema's, or of another outcome's.
    listed = set().union(*(DOCUMENTS[event][0]["properties"] for event in outcomes.DETAIL_TYPES.values()))
    assert announced <= listed
    assert set(DOCUMENTS[name][0]["properties"]) <= announced | {"answer"}


WORDS = {
    "task_token",
    "payload",
    "payload_ref",
    "answer_ref",
    "query",
    "passages",
    "history",
    "draft",
    "draft_ref",
    "retrieved",
    "comment",
    "verdicts",
}


def test_no_words_are_announced_but_an_answer_that_is_delivered():
    assert not (WORDS | {"answer"}) & set(outcomes.ANNOUNCED)
    for name in {*outcomes.DETAIL_TYPES.values()} | NOTICES:
        properties = DOCUMENTS[name][0]["properties"].keys()
        assert not WORDS & properties
        assert "answer" not in properties or name == "InferenceCompleted"


def test_no_words_and_no_token_stand_in_an_index(template):
    for name in ("RequestsTable", "ReviewsTable"):
        for index in template["Resources"][name]["Properties"]["GlobalSecondaryIndexes"]:
            projection = index["Projection"]
            assert projection["ProjectionType"] in ("KEYS_ONLY", "INCLUDE")
            assert not (WORDS | {"answer"}) & set(projection.get("NonKeyAttributes", []))


def test_the_rule_starts_inference_on_what_the_schema_calls_it(template):
    rule = template["Resources"]["InferenceStateMachine"]["Properties"]["Events"]["InferenceRequested"]

    assert rule["Properties"]["Pattern"]["detail-type"] == ["InferenceRequested"]
    assert [machine_of(path) for path in PATHS if machine_of(path) == "inference"]


def places(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


PLACES = [(name, place) for name, (_, sample) in DOCUMENTS.items() for place in places(sample)]
# Without a line feed at the end: Python's $ allows one, that of JSON Schema and of fastjsonschema does not.
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2**40)
    | st.floats(-1e6, 1e6)
    | st.text(max_size=8).filter(lambda text: not text.endswith("\n"))
    | st.sampled_from(["x" * 129, "../x", "2026-11-23T09:30:02Z", "2026-11-23", "a" * 32, "acme", "own", "event"])
    | st.sampled_from([[], {}, [{}], {"a": 1}, {"id": "p", "text": "t"}, [{"id": "p", "text": "t"}], 1.0, 0.0])
)


def mutate(document: object, path: tuple, operation: str, value: object) -> object:
    """Set the value at a place, drop it, or add it under a name of its own."""
    if not path:
        return value if operation == "set" else {**document, "unforeseen": value}
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if operation == "set":
        inner[path[-1]] = value
    elif operation == "drop":
        del inner[path[-1]]
    elif isinstance(inner, dict):
        inner["unforeseen"] = value
    else:
        inner.append(value)
    return document


def accepts(validate, document: object) -> bool:
    try:
        validate(document)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


@given(st.sampled_from(PLACES), st.sampled_from(["set", "drop", "add"]), VALUES)
def test_both_readers_agree_on_any_change_of_a_document(place, operation, value):
    name, path = place
    changed = mutate(DOCUMENTS[name][1], path, operation, value)

    assert accepts(COMPILED[name], changed) == VALIDATORS[name].is_valid(changed)
