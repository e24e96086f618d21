"""Measures: what one request's record says about the quality, cost and health of its use case.

Each is a value per request under the name of its metric; of a 0/1 metric the mean is a rate. Detectors see them by the
minute, through CloudWatch.
"""

from collections.abc import Mapping
from typing import Any

from domain.inference.answers import shape_of
from domain.requests import Reason, Status

# Metrics that are a signal under another name.
_SIGNALS = {"grounding": "Grounding", "relevance": "Relevance", "retrieval": "RetrievalScore", "hedging": "Hedges"}
# An attempt ended so though the model was there.
_NO_ERRORS = {Reason.EMPTY_ANSWER, Reason.MODEL_REFUSED}
_INTERVENED = {Reason.GUARDRAIL_BLOCKED, Reason.GUARDRAIL_FINDING}


def measures_of(record: Mapping[str, Any], latency_seconds: float) -> dict[str, list[float]]:
    """The metrics of a request whose model was asked; of a repeat by an earlier answer there are none."""
    measured: dict[str, list[float]] = {}
    attempts = record.get("attempts", [])
    if record.get("decided_by") == "store" or (record["status"] == Status.REFUSED and "model" not in record):
        return measured
    answered = "model" in record
    for name, metric in _SIGNALS.items():
        if name in record.get("signals", {}):
            measured[metric] = [float(record["signals"][name])]
    if "RetrievalScore" in measured:
        measured["RetrievalEmpty"] = [float(measured["RetrievalScore"][0] <= 0)]
    # One value per attempt: a chain that recovers by its next model has failed once all the same.
    failed = [attempt["error"] for attempt in attempts]
    if failed or answered:
        well = [0.0] * answered
        measured["ModelErrors"] = [float(error not in _NO_ERRORS) for error in failed] + well
        measured["EmptyAnswers"] = [float(error == Reason.EMPTY_ANSWER) for error in failed] + well
    # Who declines says as little as who hedges.
    if refused := failed.count(Reason.MODEL_REFUSED):
        measured["Hedges"] = [1.0] * refused + measured.get("Hedges", [])
    if answered:
        measured["Latency"] = [latency_seconds]
        measured["Interventions"] = [float(bool(record.get("findings")) or record.get("reason") in _INTERVENED)]
        if "confidence" in record and not record.get("refused"):
            measured["Confidence"] = [float(record["confidence"])]
        if "output_tokens" in record:
            measured["OutputTokens"] = [float(record["output_tokens"])]
        # What the guardrail says in place of an answer was not written by the model.
        if "answer_characters" in record and record.get("reason") != Reason.GUARDRAIL_BLOCKED:
            measured[f"AnswerShape{shape_of(int(record['answer_characters']))}"] = [1.0]
    if "cost_usd" in record:
        measured["CostUsd"] = [float(record["cost_usd"])]
    return measured
