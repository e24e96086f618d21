"""JudgeAnswer: whether an answer is released, held or refused, and how sure that is."""

from adapters.dynamodb import decimal
from domain.inference.confidence import confidence_of, signals_of
from domain.outcomes import judge
from inference.assess.assessment import Assessment


def judge_answer(assessment: Assessment) -> Assessment:
    answer, use_case, request = assessment.answer, assessment.use_case, assessment.request
    # Of what declines nothing is wrong, since nothing is said: that is no answer to be sure of.
    signals, confidence = {"hedging": 1.0}, 0.0
    if not assessment.is_refusal:
        signals = signals_of(answer, assessment.event["retrieval_scores"], request.get("query_signals"))
        confidence = confidence_of(signals, use_case.confidence)
    # The one it was admitted with: while something is wrong it is not the use case's own.
    threshold = request.get("confidence_threshold", use_case.confidence_threshold)
    verdict = judge(answer, confidence, use_case, threshold, assessment.is_refusal)
    told = {"reason": verdict.reason, "message": verdict.message}
    return assessment.recording(
        {
            "prompt_version": use_case.prompt_version,
            "model": assessment.event["model"],
            "stop_reason": answer.stop_reason,
            "answer_characters": len(answer.text),
            "signals": {name: decimal(value) for name, value in signals.items()},
            "confidence": decimal(confidence),
            "findings": list(answer.findings),
            **({"refused": True} if assessment.is_refusal else {}),
            **{name: value for name, value in told.items() if value},
        },
        verdict=verdict,
        confidence=confidence,
    )
