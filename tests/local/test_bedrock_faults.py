"""Faults scripted into the emulator: each kind, how often it strikes, whom, and when."""

import time

import pytest

from bulwark.local.bedrock import Emulator
from bulwark.local.bedrock.errors import BedrockError
from bulwark.local.bedrock.faults import Faults

LITE, PRO = "amazon.nova-lite-v1:0", "amazon.nova-pro-v1:0"
SCENARIO = {
    "models": {LITE: {"skill": 1}, PRO: {"skill": 1}},
    "embeddings": {"amazon.titan-embed-text-v2:0": {}},
}
SOURCE = "Refunds are paid within 30 days. Damaged items are returned for free."


@pytest.fixture
def emulator():
    return Emulator(SCENARIO)


def ask(emulator, text="When are refunds paid?", model=LITE, **body):
    source = {"guardContent": {"text": {"text": SOURCE, "qualifiers": ["grounding_source"]}}}
    messages = [{"role": "user", "content": [source, {"guardContent": {"text": {"text": text}}}]}]
    try:
        answer = emulator.converse(model, {"messages": messages, **body}, lambda *_: GUARDRAIL)
    except BedrockError as error:
        return error.code
    return answer


def text_of(answer):
    return "".join(block["text"] for block in answer["output"]["message"]["content"])


GUARDRAIL = {
    "guardrailId": "g",
    "blockedInputMessaging": "no",
    "blockedOutputsMessaging": "no",
    "contextualGroundingPolicyConfig": {"filtersConfig": [{"type": "GROUNDING", "threshold": 0.5, "action": "NONE"}]},
}
GUARDED = {"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"}}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "ThrottlingException"),
        ("service_unavailable", "ServiceUnavailableException"),
        ("internal_error", "InternalServerException"),
        ("model_timeout", "ModelTimeoutException"),
        ("model_not_ready", "ModelNotReadyException"),
        ("model_error", "ModelErrorException"),
        ("access_denied", "AccessDeniedException"),
    ],
)
def test_an_error_strikes_as_often_as_it_was_told_to_and_no_more(emulator, kind, code):
    emulator.load_faults({"faults": [{"kind": kind, "count": 2}]})

    outcomes = [ask(emulator) for _ in range(3)]

    assert outcomes[:2] == [code, code]
    assert outcomes[2]["stopReason"] == "end_turn"
    assert emulator.faults() == []
    assert emulator.calls.count("converse", LITE, code) == 2


def test_a_fault_strikes_only_its_model_even_behind_an_inference_profile(emulator):
    emulator.load_faults({"faults": [{"kind": "throttle", "model": f"us.{LITE}"}]})

    assert ask(emulator, model=LITE) == "ThrottlingException"
    assert ask(emulator, model=f"eu.{LITE}") == "ThrottlingException"
    assert ask(emulator, model=PRO)["stopReason"] == "end_turn"


def test_a_fault_can_wait_for_a_word_of_the_prompt(emulator):
    emulator.load_faults({"faults": [{"kind": "throttle", "match": "VOLCANO"}]})

    assert ask(emulator)["stopReason"] == "end_turn"
    assert ask(emulator, "Is the volcano open?") == "ThrottlingException"


def test_an_empty_answer_is_a_success_with_nothing_in_it(emulator):
    emulator.load_faults({"faults": [{"kind": "empty"}]})

    answer = ask(emulator)

    assert (answer["stopReason"], answer["output"]["message"]["content"]) == ("end_turn", [])
    assert answer["usage"]["outputTokens"] == 0


def test_a_truncated_answer_stops_half_way(emulator):
    whole = text_of(ask(emulator))
    emulator.load_faults({"faults": [{"kind": "truncated"}]})

    answer = ask(emulator)

    assert answer["stopReason"] == "max_tokens"
    assert whole.startswith(text_of(answer)) and 0 < len(text_of(answer)) < len(whole)


def test_an_ungrounded_answer_falls_short_of_the_grounding_filter(emulator):
    def score():
        trace = ask(emulator, **GUARDED)["trace"]["guardrail"]
        return trace["outputAssessments"]["g"][0]["contextualGroundingPolicy"]["filters"][0]["score"]

    assert score() == 1
    emulator.load_faults({"faults": [{"kind": "ungrounded"}]})
    assert score() == 0


def test_a_refusal_is_an_answer_that_declines(emulator):
    emulator.load_faults({"faults": [{"kind": "refusal"}]})

    assert "can't help" in text_of(ask(emulator))


def test_a_token_blowup_costs_more_and_still_ends_by_itself(emulator):
    usual = ask(emulator)["usage"]["outputTokens"]
    emulator.load_faults({"faults": [{"kind": "token_blowup", "factor": 10}]})

    swollen = ask(emulator)
    limited = ask(emulator, inferenceConfig={"maxTokens": 3 * usual})

    assert 8 * usual <= swollen["usage"]["outputTokens"] <= 10 * usual
    assert swollen["stopReason"] == limited["stopReason"] == "end_turn"
    assert limited["usage"]["outputTokens"] <= 3 * usual


def test_latency_is_added_to_an_answer_and_to_an_error(emulator):
    emulator.load_faults({"faults": [{"kind": "latency", "latency_ms": 80}, {"kind": "throttle", "count": 1}]})

    for outcome in ("ThrottlingException", "end_turn"):
        started = time.perf_counter()
        answer = ask(emulator)
        assert time.perf_counter() - started >= 0.08
        assert outcome in (answer, isinstance(answer, dict) and answer["stopReason"])


def test_probability_is_drawn_from_the_seed():
    def outcomes(seed):
        emulator = Emulator(SCENARIO, seed=seed)
        emulator.load_faults({"faults": [{"kind": "throttle", "probability": 0.3}]})
        return [ask(emulator) == "ThrottlingException" for _ in range(100)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 15 < sum(outcomes(1)) < 45


def test_a_schedule_turns_a_fault_on_and_off_by_the_clock():
    now = [100.0]
    faults = Faults([], seed=0, clock=lambda: now[0])
    schedule = {"after_seconds": 5, "on_seconds": 10, "off_seconds": 20}
    faults.load({"faults": [{"kind": "throttle", "schedule": schedule}]})

    def strikes(elapsed):
        now[0] = 100.0 + elapsed
        return bool(faults.strike("converse", LITE))

    assert [strikes(second) for second in (0, 4.9, 5, 14.9, 15, 34.9, 35, 44.9, 45)] == [
        False, False, True, True, False, False, True, True, False,
    ]  # fmt: skip


def test_retrieve_guardrail_and_embedding_have_faults_of_their_own(emulator):
    emulator.load_faults(
        {
            "faults": [
                {"operation": "retrieve", "kind": "internal_error", "count": 1},
                {"operation": "guardrail", "kind": "service_unavailable", "count": 2},
                {"operation": "embed", "kind": "throttle", "count": 1},
            ]
        }
    )

    def code(call, *arguments):
        with pytest.raises(BedrockError) as raised:
            call(*arguments)
        return raised.value.code

    query = {"retrievalQuery": {"text": "refunds"}}
    content = {"source": "INPUT", "content": [{"text": {"text": "hello"}}]}
    assert code(emulator.retrieve, "KB", query) == "InternalServerException"
    assert code(emulator.apply_guardrail, "g", "1", content, lambda *_: GUARDRAIL) == "ServiceUnavailableException"
    assert ask(emulator, **GUARDED) == "ServiceUnavailableException"
    assert code(emulator.embed, "amazon.titan-embed-text-v2:0", {"inputText": "x"}) == "ThrottlingException"
    assert emulator.retrieve("KB", query) == {"retrievalResults": []}
    assert ask(emulator, **GUARDED)["stopReason"] == "end_turn"


def test_retrieve_can_come_back_empty(tmp_path):
    (tmp_path / "refunds.txt").write_text(SOURCE)
    emulator = Emulator(SCENARIO, documents=tmp_path)
    query = {"retrievalQuery": {"text": "refunds"}}

    assert emulator.retrieve("KB", query)["retrievalResults"]
    emulator.load_faults({"faults": [{"operation": "retrieve", "kind": "empty"}]})
    assert emulator.retrieve("KB", query)["retrievalResults"] == []


def test_loading_replaces_what_was_loaded_and_the_scenarios_own_faults_stay():
    own = {"models": {LITE: {"faults": [{"kind": "throttle", "match": "alpha"}]}}}
    emulator = Emulator(own)
    emulator.load_faults({"faults": [{"kind": "throttle", "match": "beta"}]})
    emulator.load_faults({"faults": [{"kind": "throttle", "match": "gamma"}]})

    assert [fault["match"] for fault in emulator.faults()] == ["alpha", "gamma"]
    emulator.clear_faults()
    assert [fault["match"] for fault in emulator.faults()] == ["alpha"]
    assert ask(emulator, "alpha?") == "ThrottlingException"


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "faults"),
        ({"faults": [{"kind": "earthquake"}]}, "earthquake"),
        ({"faults": [{"kind": "throttle", "often": 3}]}, "often"),
        ({"faults": [{"kind": "throttle", "probability": "high"}]}, "probability"),
        ({"faults": [{"kind": "throttle", "operation": "sing"}]}, "sing"),
        ({"faults": [{"operation": "retrieve", "kind": "refusal"}]}, "refusal"),
        ({"faults": [{"kind": "throttle", "schedule": {"off_seconds": 3}}]}, "schedule"),
    ],
)
def test_faults_that_make_no_sense_are_refused_by_name_and_change_nothing(emulator, document, named):
    emulator.load_faults({"faults": [{"kind": "throttle"}]})

    with pytest.raises(ValueError, match=named):
        emulator.load_faults(document)

    assert ask(emulator) == "ThrottlingException"


def test_calls_are_counted_without_a_word_of_them(emulator):
    ask(emulator, "What about the secret volcano?")

    assert emulator.calls.summary() == [{"operation": "converse", "model": LITE, "outcome": "end_turn", "calls": 1}]
    assert "volcano" not in repr(emulator.calls.latest()) and "Refunds" not in repr(emulator.calls.latest())
