"""ClaimRequest: takes the request's id, once, and its place within its tenant's limits."""

from adapters import requests_table
from adapters.requests_table import Claim, LimitReached
from domain.errors import CallHeldBack, SubjectClosed
from domain.inference.limits import refusal_at, shards_for
from inference.admit.admission import Admission
from inference.admit.refusal import claimed, is_taken, refuse_conflict


def claim_request(admission: Admission) -> Admission:
    if admission.claim:
        # An attempt of ours claimed it and died, and what would refuse it came later: it goes on.
        return admission
    try:
        claim = _claim(admission)
    except SubjectClosed as closed:
        if admission.channel == "sync":
            raise CallHeldBack from closed
        raise
    if is_taken(claim, admission.request):
        return refuse_conflict(admission)
    return claimed(admission, claim)


def _claim(admission: Admission) -> Claim:
    request, tenant, moment = admission.request, admission.tenant, admission.moment
    # A full shard sends on to the next: a tenant may use its whole limit, and pays a call more only near it.
    for shard in shards_for(tenant, request.body_digest, int(moment)):
        try:
            return requests_table.claim(
                request,
                admission.use_case,
                shard,
                admission.rules,
                admission.execution_name,
                moment,
                admission.recorded,
            )
        except LimitReached as error:
            reached = error
    raise refusal_at(reached.which, tenant, int(moment))
