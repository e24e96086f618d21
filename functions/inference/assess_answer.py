"""AssessAnswer: takes a model's answer through the steps to the request's outcome, recorded once.

Of what is no answer nothing is recorded: the attempt is told, and the machine asks the next model.
"""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy, subject_keys
from adapters.clock import now
from domain.inference.answers import Answer
from inference.assess.assessment import Assessment, NoAnswer
from inference.assess.draw_review import draw_review
from inference.assess.judge_answer import judge_answer
from inference.assess.keep_answer import keep_answer
from inference.assess.price_answer import price_answer
from inference.assess.record_outcome import record_outcome
from inference.assess.take_answer import take_answer

# To come: the cascade behind the price, which asks the next better model before a person is asked.
STEPS = (take_answer, judge_answer, price_answer, keep_answer, draw_review, record_outcome)

logger = Logger()


@logger.inject_lambda_context  # a correlation_id_path would be searched for by JMESPath at each request
def handler(event: dict, context: LambdaContext) -> dict:
    logger.set_correlation_id(event["execution_name"])
    rules, request = policy.current(), event["request"]
    use_case = rules.use_case_of(request["tenant"], request["use_case"])
    answer, subject = Answer.from_converse(event["answer"]), subject_keys.carried(request["subject"])
    assessment = Assessment(event, now(), rules, use_case, subject, answer)
    try:
        for step in STEPS:
            assessment = step(assessment)
    except NoAnswer as no:
        (attempt,) = no.args
        logger.info("no answer", request_id=request["request_id"], model=event["model"], error=attempt["error"])
        return {"attempt": attempt}
    _log(assessment)
    return assessment.told


def _log(assessment: Assessment) -> None:
    request, verdict = assessment.request, assessment.verdict
    if not assessment.ours:
        logger.info("outcome stands", request_id=request["request_id"], status=assessment.told["status"])
        return
    logger.info(
        "answer assessed",
        tenant=request["tenant"],
        request_id=request["request_id"],
        status=verdict.status,
        reason=verdict.reason,
        confidence=assessment.confidence,
        model=assessment.event["model"],
    )
