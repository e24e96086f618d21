"""AdmitRequest: takes a request through the steps to its plan, or to the refusal that one of them raises."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import account, policy
from adapters.clock import now
from domain.requests import RequestRefused
from inference.admit.admission import Admission
from inference.admit.answer_from_store import answer_from_store
from inference.admit.check_body import check_body
from inference.admit.check_mode import check_mode
from inference.admit.check_use_case import check_use_case
from inference.admit.choose_guardrail import choose_guardrail
from inference.admit.claim_request import claim_request
from inference.admit.identify_tenant import identify_tenant
from inference.admit.plan_call import plan_call
from inference.admit.read_body import read_body
from inference.admit.read_mode import read_mode
from inference.admit.refusal import record_refusal

# Nothing is paid for before the claim. To come: authorisation (Cedar) and variants behind the mode, the exact cache and
# the route before the claim, the guard of what passes no model and the semantic cache behind it.
STEPS = (
    read_body,
    identify_tenant,
    check_body,
    check_use_case,
    read_mode,
    check_mode,
    choose_guardrail,
    claim_request,
    answer_from_store,
    plan_call,
)

logger = Logger()


@logger.inject_lambda_context  # a correlation_id_path would be searched for by JMESPath at each request
def handler(event: dict, context: LambdaContext) -> dict:
    logger.set_correlation_id(event["execution_name"])
    own_account = account.own(context)
    admission = Admission(event, event["execution_name"], own_account, now(), policy.current())
    for step in STEPS:
        try:
            admission = step(admission)
        except RequestRefused as refusal:
            admission = record_refusal(admission, refusal)
        if admission.told:
            break
    _log(admission)
    return admission.told


def _log(admission: Admission) -> None:
    told, record = admission.told["admission"], admission.claim.record
    if told == "ADMITTED":
        # Not at INFO: AssessAnswer's line tells of the same request, and at a million of them a line has a price.
        logger.debug("request admitted", tenant=record["tenant"], request_id=record["request_id"])
        return
    message = "request repeated" if told == "DUPLICATE" else "request refused"
    logger.info(message, tenant=record["tenant"], status=record["status"], reason=record.get("reason"))
