"""AssessAnswer: judges a model's answer and records the request's outcome, once."""

import json
from secrets import SystemRandom

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import payloads, policy, requests_table, subject_keys
from adapters.clock import iso, now
from adapters.requests_table import REVIEW_START_SECONDS, decimal
from domain.inference.answers import Answer, cost_of, cost_of_chain
from domain.inference.confidence import confidence_of, signals_of
from domain.modes import NOT_DEGRADED
from domain.outcomes import judge, review_id_of
from domain.requests import Status
from domain.reviews.reviews import Kind, kind_of, plan_review

# Nobody who sends requests may foresee which of them are audited.
chance = SystemRandom().random

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    moment = now()
    rules = policy.current()
    request = event["request"]
    use_case = rules.use_case_of(request["tenant"], request["use_case"])

    answer = Answer.from_converse(event["answer"])
    signals = signals_of(answer, event["retrieval_scores"], request.get("query_signals"))
    confidence = confidence_of(signals, use_case.confidence)
    verdict = judge(answer, confidence, use_case, request.get("confidence_threshold", use_case.confidence_threshold))

    attributes = {
        "outcome_at": iso(moment),
        "policy_version": rules.version,
        "mode": request["mode"],
        "prompt_version": use_case.prompt_version,
        "model": event["model"],
        "attempts": event["attempts"],
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "answer_characters": len(answer.text),
        "cost_usd": cost_of_chain(rules.models, event["attempts"])
        + cost_of(rules.models[event["model"]], answer.input_tokens, answer.output_tokens),
        "stop_reason": answer.stop_reason,
        "signals": {name: decimal(value) for name, value in signals.items()},
        "confidence": decimal(confidence),
        "findings": list(answer.findings),
    }
    if "answer_key" in request and request["mode"] in NOT_DEGRADED:
        attributes["answer_key"] = request["answer_key"]
    if use_case.deliver_answer:
        attributes["deliver"] = "event"
    if verdict.reason:
        attributes["reason"] = verdict.reason
    if verdict.message:
        attributes["message"] = verdict.message
    key = subject_keys.carried(request["subject"])
    if verdict.status is not Status.REFUSED:
        attributes |= payloads.answer(request["request_key"], answer.text, key, request["expires_at"])
    review, sweep_at = None, None
    if kind := kind_of(verdict.status, chance() < use_case.review.audit_share):
        review = {
            "review_id": review_id_of(request["request_key"]),
            **{
                name: request[name]
                for name in ("tenant", "request_id", "request_key", "subject_ref")
                if name in request
            },
            "reason": verdict.reason,
            "confidence": confidence,
            **plan_review(kind, use_case, chance(), chance()),
        }
        attributes["review"] = requests_table.as_item(review)
        if passages := [passage["GuardContent"]["Text"]["Text"] for passage in event["passages"]]:
            found = json.dumps(passages, ensure_ascii=False)
            attributes |= payloads.keep("retrieved", request["request_key"], found, key, request["expires_at"])
        sweep_at = moment + REVIEW_START_SECONDS
    if kind is Kind.HELD:
        attributes |= {
            "review_id": review["review_id"],
            "held_at": attributes["outcome_at"],
            "due_at": iso(moment + use_case.review.reviewer_sla_seconds),
        }
    else:
        attributes["decided_by"] = "policy"

    first = requests_table.record_outcome(
        request["request_key"], request["in_flight_key"], verdict.status, attributes, sweep_at
    )
    if first is not None:
        # A retry of ours, or the sweeper, was first: its record is the outcome.
        logger.info("outcome stands", request_id=request["request_id"], status=first.get("status"))
        return {"status": first.get("status"), "review": requests_table.as_json(first.get("review"))}
    logger.info(
        "answer assessed",
        tenant=request["tenant"],
        request_id=request["request_id"],
        status=verdict.status,
        reason=verdict.reason,
        confidence=confidence,
        model=event["model"],
    )
    return {"status": verdict.status, "review": review}
