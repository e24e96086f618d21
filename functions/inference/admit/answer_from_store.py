"""AnswerFromStore: where only stored answers are given, the same question's earlier one, or when to come back."""

from aws_lambda_powertools import Logger

from adapters import payloads, requests_table, subject_keys
from adapters.inference import answers_table
from domain.errors import PayloadGone, SubjectErased
from domain.inference.answers import answer_key
from domain.modes import Mode, refusal_in
from domain.requests import Status
from inference.admit.admission import Admission
from inference.admit.refusal import end, end_claimed

# What an answer that is given again keeps of how it was made.
_KEPT = ("model", "confidence", "prompt_version")

logger = Logger(child=True)


def answer_from_store(admission: Admission) -> Admission:
    if admission.use_case.keeps_answers:
        key = answer_key(admission.use_case, admission.tenant.name, admission.detail)
        admission = admission._replace(answer_key=key)
    if admission.mode.mode is not Mode.CACHE_ONLY:
        return admission
    earlier = _earlier_answer(admission)
    if earlier is None:
        return end_claimed(admission, refusal_in(admission.mode))
    record = admission.claim.record
    outcome = {"decided_by": "store", "cost_usd": 0} | {name: earlier[name] for name in _KEPT if name in earlier}
    ends_at = requests_table.ends_at(record)
    outcome |= payloads.answer(record["request_key"], earlier["text"], admission.subject, ends_at)
    if admission.use_case.deliver_answer:
        outcome["deliver"] = "event"
    return end(admission, Status.COMPLETED, outcome)


def _earlier_answer(admission: Admission) -> dict | None:
    """The request that answered this question, with its text; none if the store is out of order, too."""
    if admission.answer_key is None:
        return None
    try:
        earlier = answers_table.find(admission.answer_key, admission.moment)
        text = payloads.text_of(earlier, "answer", subject_keys.of(earlier)) if earlier else None
    except (PayloadGone, SubjectErased):
        return None
    except Exception:
        logger.exception("store of answers not read")
        return None
    return {**earlier, "text": text} if text else None
