"""RequestErasure: takes a person's wish to be forgotten, keeps it without their name, and starts the erasure once."""

import uuid

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import account, bus, policy, schemas, subject_keys, workflows
from adapters.clock import now
from adapters.governance import asking, audit_notes, erasures_table
from adapters.governance.erasers.cases import place_of
from adapters.schemas import SchemaViolated
from adapters.sealing import SubjectKey
from domain.requests import RequestRefused, check_text

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    """Takes ErasureRequested, or {"reapply": subject_ref} from `bulwark erasure reapply`."""
    detail = _asked(event)
    try:
        schemas.check_event("ErasureRequested", detail)
        check_text(detail)
        tenant = None if "reapply" in event else _tenant(event, context)
    except (SchemaViolated, RequestRefused, LookupError) as refusal:
        # The message names a field, and no value: the event holds a person's name.
        logger.error("erasure refused", event_id=event.get("id"), reason=str(refusal))
        return {"erasure_id": None, "refused": str(refusal)}
    if tenant is None:
        return _reapply(event["reapply"], event["requested_by"])
    ref = subject_keys.subject_ref(tenant, detail["subject_id"])
    record = erasures_table.running(ref) or _begin(tenant, ref, detail)
    return _started(record, "erasure requested")


def _started(record: dict, told: str) -> dict:
    workflows.start_erasure({name: record[name] for name in ("erasure_id", "subject_ref", "tenant")})
    logger.info(told, erasure_id=record["erasure_id"], tenant=record["tenant"])
    return {name: record[name] for name in ("erasure_id", "subject_ref")}


def _asked(event: dict) -> object:
    if "reapply" in event:
        return {"subject_id": event["reapply"], "requested_by": event.get("requested_by"), "reason": "RESTORED"}
    return event.get("detail")


def _tenant(event: dict, context: LambdaContext) -> str:
    """A producer has its own tenant's people erased; only our own command, which no bus delivers, may name a tenant."""
    rules, named = policy.current(), event["detail"].get("tenant")
    if event.get("source") == bus.SOURCE and "account" not in event:
        asking.check_tenant(named, rules.tenants)
        return named
    own_account = account.own(context)
    tenant = rules.tenant_of(event.get("account", ""), event.get("source", ""), own_account)
    if tenant is None or named not in (None, tenant.name):
        raise LookupError("no tenant of the policy has this account and source as a producer")
    return tenant.name


def _begin(tenant: str, ref: str, detail: dict) -> dict:
    moment, erasure_id = now(), f"e-{uuid.uuid4().hex}"
    key, known = _key_of(ref, tenant, moment)
    record = {
        "erasure_id": erasure_id,
        "tenant": tenant,
        "subject_ref": ref,
        "requested_by": _who(detail["requested_by"], tenant, ref),
        "reason": detail["reason"],
        "known": known,
        # Messages that nobody could process name their subject in the clear. It dies with the key.
        "sealed_subject": key.seal(detail["subject_id"], place_of(erasure_id)),
    }
    return erasures_table.begin(record, moment, _note(record, moment))


def _who(requested_by: str, tenant: str, ref: str) -> str:
    """Who asked, to be kept for good: not the name of a person who asked for themselves."""
    return "subject" if subject_keys.subject_ref(tenant, requested_by) == ref else requested_by


def _note(record: dict, moment: float) -> dict:
    return audit_notes.note(
        "ERASURE_REQUESTED",
        record["requested_by"],
        moment,
        f"{record['erasure_id']}-requested",
        **{name: record[name] for name in ("erasure_id", "tenant", "subject_ref", "reason")},
    )


def _key_of(ref: str, tenant: str, moment: float) -> tuple[SubjectKey, bool]:
    """The subject's key, and whether they had one: who is not known gets one, so that they can be closed."""
    if item := subject_keys.find(ref):
        return subject_keys.unwrap(ref, item["wrapped_key"]), True
    return subject_keys.make(ref, tenant, moment), False


def _reapply(ref: str, requested_by: str) -> dict:
    """Erase again what a restored backup brought back; what came after the erasure is none of it."""
    forgotten = erasures_table.forgotten(ref)
    if forgotten is None:
        return {"erasure_id": None, "refused": "nobody was forgotten under this name"}
    moment = now()
    record = {
        "erasure_id": f"e-{uuid.uuid4().hex}",
        "tenant": forgotten["tenant"],
        "subject_ref": ref,
        "requested_by": _who(requested_by, forgotten["tenant"], ref),
        "reason": "RESTORED",
        "known": True,
        "before": forgotten["erased_at"],
    }
    begun = erasures_table.running(ref, again=True) or erasures_table.begin(record, moment, _note(record, moment))
    return _started(begun, "erasure reapplied")
