"""domain/incidents/measures.py: what one request's record says of its use case, and what it says nothing of."""

from decimal import Decimal

import pytest

from domain.incidents.measures import measures_of
from domain.inference.answers import SHAPE_BOUNDS

ANSWERED = {"status": "COMPLETED", "model": "nova-lite", "decided_by": "policy"}
# What a record says whose model was asked once, answered, and told nothing more.
PLAIN = {"ModelErrors": [0.0], "EmptyAnswers": [0.0], "Latency": [2.5], "Interventions": [0.0]}


def attempt(error: str) -> dict:
    return {"model": "nova-lite", "error": error, "input_tokens": Decimal(9), "output_tokens": Decimal(0)}


def signals(**values: str) -> dict:
    return ANSWERED | {"signals": {name: Decimal(value) for name, value in values.items()}}


@pytest.mark.parametrize(
    ("record", "measured"),
    [
        (ANSWERED, PLAIN),
        (ANSWERED | {"status": "HELD", "reason": "LOW_CONFIDENCE", "decided_by": None}, PLAIN),
        # Signals, under the names of their metrics; of the others a detector needs none.
        (
            signals(grounding="0.9", relevance="0.8", retrieval="0.7", hedging="0.01", figures="1"),
            PLAIN
            | {
                "Grounding": [0.9],
                "Relevance": [0.8],
                "RetrievalScore": [0.7],
                "Hedges": [0.01],
                "RetrievalEmpty": [0.0],
            },
        ),
        (signals(retrieval="0"), PLAIN | {"RetrievalScore": [0.0], "RetrievalEmpty": [1.0]}),
        (signals(hedging="0"), PLAIN | {"Hedges": [0.0]}),
        (
            ANSWERED | {"confidence": Decimal("0.93"), "output_tokens": Decimal(8), "cost_usd": Decimal("0.0002")},
            PLAIN | {"Confidence": [0.93], "OutputTokens": [8.0], "CostUsd": [0.0002]},
        ),
        # Each attempt counts, and so does the answer that came in the end.
        (
            ANSWERED | {"attempts": [attempt("States.Timeout"), attempt("EMPTY_ANSWER")]},
            PLAIN | {"ModelErrors": [1.0, 0.0, 0.0], "EmptyAnswers": [0.0, 1.0, 0.0]},
        ),
        # Who declines is no error, and no answer that one could be sure of.
        (
            ANSWERED | {"attempts": [attempt("MODEL_REFUSED")], **signals(hedging="0")},
            PLAIN | {"ModelErrors": [0.0, 0.0], "EmptyAnswers": [0.0, 0.0], "Hedges": [1.0, 0.0]},
        ),
        (
            ANSWERED | {"status": "REFUSED", "reason": "MODEL_REFUSED", "refused": True, "confidence": Decimal(0)},
            PLAIN,
        ),
        # A chain that no model ended with an answer has no latency of one, and cost what it cost.
        (
            {
                "status": "FAILED",
                "reason": "MODEL_UNAVAILABLE",
                "attempts": [attempt("EMPTY_ANSWER"), attempt("BedrockRuntime.ThrottlingException")],
                "cost_usd": Decimal("0.0001"),
            },
            {"ModelErrors": [0.0, 1.0], "EmptyAnswers": [1.0, 0.0], "CostUsd": [0.0001]},
        ),
        ({"status": "FAILED", "reason": "DEADLINE", "decided_by": "policy"}, {}),
        # The guardrail intervened: it found something, or let nothing out.
        (
            ANSWERED | {"status": "HELD", "reason": "GUARDRAIL_FINDING", "findings": ["ContentPolicy:HATE"]},
            PLAIN | {"Interventions": [1.0]},
        ),
        (ANSWERED | {"status": "REFUSED", "reason": "GUARDRAIL_BLOCKED"}, PLAIN | {"Interventions": [1.0]}),
        (ANSWERED | {"status": "HELD", "reason": "RISK_CLASS", "findings": []}, PLAIN),
        # No model was asked.
        ({"status": "REFUSED", "reason": "INVALID_REQUEST"}, {}),
        ({"status": "REFUSED", "reason": "STOPPED", "decided_by": "policy"}, {}),
        ({"status": "REFUSED", "reason": "CACHE_ONLY", "decided_by": "policy", "cost_usd": Decimal(0)}, {}),
        # An earlier answer once more says nothing of the model that gave it then.
        (ANSWERED | {"decided_by": "store", "confidence": Decimal("0.9"), "cost_usd": Decimal(0)}, {}),
    ],
)
def test_a_record_is_measured_by_what_it_says(record, measured):
    found = measures_of(record, 2.5)

    assert found == measured
    assert all(type(value) is float for values in found.values() for value in values)


@pytest.mark.parametrize(
    ("characters", "shape"),
    [(0, 0), (79, 0), (80, 1), (199, 1), (200, 2), (400, 3), (800, 4), (1500, 5), (3000, 6), (6000, 7), (10**6, 7)],
)
def test_an_answer_s_length_falls_into_one_of_eight_buckets(characters, shape):
    found = measures_of(ANSWERED | {"answer_characters": Decimal(characters)}, 2.5)

    assert found == PLAIN | {f"AnswerShape{shape}": [1.0]}
    assert len(SHAPE_BOUNDS) + 1 == 8
