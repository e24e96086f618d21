"""WriteDigest: seals what came into the audit log since the last digest, under the log's key and its chain."""

import os

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.clock import epoch, iso, now
from adapters.governance import audit_log
from domain.governance.audit import CONTROL, REQUESTS, REVIEWS
from domain.governance.audit_chain import Digest, Head, hour_of

HOUR = 3600
# Larger ones would be slow to read; the rest has the next one.
MOST_OBJECTS = 20_000
RESERVE_MILLISECONDS = 10_000

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    """Writes one digest, or several where there is much; gives the head of the chain."""
    head = _current_head()
    while True:
        moment = now()
        digest, is_all = _next_digest(head, moment)
        written = audit_log.write_digest(digest)
        if written is None:
            logger.info("another run was first", number=digest.number)
        else:
            logger.info("digest written", number=digest.number, objects=len(digest.objects), until=digest.until)
        head = _current_head(head)
        if is_all or context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
            return {"number": head.number, "sha256": head.sha256} if head else {}


def _current_head(head: Head | None = None) -> Head | None:
    """The last digest there is; a run that died may have written it and not said so."""
    head = head or audit_log.find_head()
    while found := audit_log.find_digest(head.number + 1 if head else 1):
        head = found[1]
        audit_log.move_head(head)
    return head


def _next_digest(head: Head | None, moment: float) -> tuple[Digest, bool]:
    """What the chain goes on with, and whether that is all there is."""
    last, sealed, opened = None, set[str](), ""
    for digest in audit_log.digests_back_from(head):
        last = last or digest
        opened = last.open_hour
        if hour_of(digest.until) < opened:
            break
        sealed |= {name for name, _ in digest.objects}
    found = [
        each
        for hour in (_hours(opened, moment) if opened else [""])
        for source in (CONTROL, REQUESTS, REVIEWS)
        for each in audit_log.objects_of(source, hour)
        if each[0] not in sealed
    ]
    taken, left = found[:MOST_OBJECTS], found[MOST_OBJECTS:]
    # What a function is writing at this moment may bear the hour before.
    still_open = hour_of(iso(moment - HOUR))
    if left:
        still_open = min(still_open, *(name.split("/", 2)[2][:13] for name, _ in left))
    digest = Digest(
        number=head.number + 1 if head else 1,
        since=last.until if last else "",
        until=iso(moment),
        open_hour=max(still_open, opened),
        kept_days=int(os.environ["AUDIT_DAYS"]),
        previous=head.sha256 if head else "",
        objects=tuple(sorted(taken)),
    )
    return digest, not left


def _hours(first: str, moment: float) -> list[str]:
    """The hours from one to the present one."""
    begun = epoch(f"{first.replace('/', '-', 2).replace('/', 'T')}:00:00Z")
    return [hour_of(iso(begun + HOUR * number)) for number in range(int((moment - begun) // HOUR) + 1)]
