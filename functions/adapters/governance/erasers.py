"""Erasers: how a person is found in each store, and taken out of it.

Each works in pages and tells where it goes on, so that whoever dies between two lines has lost nothing but time. The
requests are how everything else is found, so they go last; what they were is kept until the search, sealed.
"""

import hashlib
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import boto3

from adapters import payloads, policy, requests_table, subject_keys, workflows
from adapters.clock import epoch, iso, now
from adapters.governance import erasures_table
from adapters.inference import answers_table
from adapters.payloads import NotDeleted, PayloadGone
from adapters.reviews import reviews_table
from adapters.subject_keys import SubjectKey
from domain.errors import SubjectClosed, SubjectErased
from domain.governance import holds
from domain.governance.erasures import event_of, names
from domain.outcomes import review_id_of
from domain.requests import Reason, Status, canonical, request_key
from domain.reviews.review import Next

PAGE = 50
# While a queue is searched, what was looked at is hidden for so long; it is shown again at once when all is seen.
HIDDEN_SECONDS = 120
BUSY_SECONDS = 5
# So long an erasure waits for its turn at a queue before it comes again.
TURN_SECONDS = 20
# What S3 takes as a name; DynamoDB takes twice as much as a key.
MOST_KEY_BYTES = 1024
# Of a position: among objects that requests lead to, or among events that came by reference; and so on.
_EVENTS = "events/"
_OUTLIVING = "outliving"
_USERS = "users "
_SEARCHED = "at_search_"
_NAMED = ("requests/", holds.HELD_OBJECTS, _EVENTS)
# What makes an id another one where it stands beside it.
_OF_AN_ID = r"[\w.:@+-]"

sqs = boto3.client("sqs")

Hurry = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many items went, or were found; where to go on, and when."""

    count: int
    done: bool = True
    position: str | None = None
    wait_seconds: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """An erasure as its functions need it; without a key (it is done again) what only its id finds is left alone."""

    record: dict
    own_account: str
    key: SubjectKey | None
    subject_id: str | None

    @property
    def erasure_id(self) -> str:
        return self.record["erasure_id"]

    @property
    def ref(self) -> str:
        return self.record["subject_ref"]

    @property
    def tenant(self) -> str:
        return self.record["tenant"]

    def takes(self, request: dict) -> bool:
        """Done again after a restore, an erasure takes what was there before it, and nothing that came since."""
        return "before" not in self.record or request.get("admitted_at", "") <= self.record["before"]


def open_case(erasure_id: str, own_account: str) -> Case:
    record = erasures_table.find(erasure_id)
    if record is None:
        raise KeyError(f"there is no erasure {erasure_id}")
    item = subject_keys.find(record["subject_ref"]) if "sealed_subject" in record else None
    if item is None:
        return Case(record, own_account, None, None)
    key = subject_keys.unwrap(record["subject_ref"], item["wrapped_key"])
    try:
        subject_id = key.open(record["sealed_subject"], place_of(erasure_id))
    except SubjectErased:
        # The key was dropped by a run that died, and the one that is there now is of who came again.
        return Case(record, own_account, None, None)
    return Case(record, own_account, key, subject_id)


def place_of(erasure_id: str) -> str:
    return f"erasure#{erasure_id}"


def end_requests(case: Case) -> str | None:
    """End what a subject's requests wait for; gives when the last one that was running was admitted."""
    latest, after = None, None
    while True:
        records, after = requests_table.of_subject(case.ref, "subject-index", after, PAGE)
        for record in filter(case.takes, records):
            if record["status"] == Status.ADMITTED:
                _end(record)
            if record["status"] == Status.ADMITTED or record.get("reason") == Reason.SUBJECT_ERASED:
                latest = max(latest or "", record["admitted_at"])
        if after is None:
            return latest


def _end(record: dict) -> None:
    attributes = {
        "outcome_at": iso(now()),
        "reason": Reason.SUBJECT_ERASED,
        "message": requests_table.ERASED_MESSAGE,
        "decided_by": requests_table.ERASURE,
    }
    requests_table.record_outcome(record["request_key"], record["in_flight_key"], Status.FAILED, attributes)


def erase(store: str, case: Case, hurry: Hurry) -> Progress:
    return ERASERS[store](case, case.record.get(f"at_{store}"), hurry)


def search(store: str, case: Case, hurry: Hurry) -> Progress:
    """Look for a subject in a store that was erased; gives how much was found, with what earlier calls found."""
    before = case.record.get(searched(store), {})
    progress = SEARCHES[store](case, before.get("position"), hurry)
    return replace(progress, count=progress.count + int(before.get("found", 0)))


def searched(store: str) -> str:
    """The attribute of an erasure that tells how far the search of a store is."""
    return f"{_SEARCHED}{store}"


def search_anew(case: Case) -> None:
    """Forget how far a search was that died: what it has seen may have changed since."""
    if begun := tuple(name for name in case.record if name.startswith(_SEARCHED)):
        erasures_table.change(case.erasure_id, begun)


# --- Reviews, cached answers, objects: found by way of the requests


def _walk(case: Case, position: str | None, hurry: Hurry, erase_page: Callable[[list[dict]], int]) -> Progress:
    count, after = 0, position
    while True:
        records, after = requests_table.of_subject(case.ref, "subject-index", after, PAGE)
        count += erase_page([record for record in records if case.takes(record)])
        if after is None:
            return Progress(count)
        if hurry():
            return Progress(count, False, after)


def _erase_reviews(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        count = 0
        for record in records:
            record, gone = reviews_table.take_out(record, now())
            count += gone
            if token := record.get("erase_token"):
                # Its workflow finds neither review nor held request, and ends.
                workflows.resume_review(token, Next.DONE)
        return count

    count = 0
    if position != _OUTLIVING:
        progress = _walk(case, position, hurry, page)
        if not progress.done:
            return progress
        count = progress.count
    while reviews := _outliving(case):
        for review in reviews:
            _delete(sorted(holds.objects(review)))
            if token := review.get("task_token"):
                workflows.resume_review(token, Next.DONE)
            reviews_table.delete(review["review_id"])
        count += len(reviews)
        if hurry():
            return Progress(count, False, _OUTLIVING)
    return Progress(count)


def _outliving(case: Case) -> list[dict]:
    """Reviews and verdicts that outlive the request they were about, by their class."""
    found = reviews_table.of_subject(case.ref, PAGE)
    return [each for each in found if case.takes({"admitted_at": each.get("opened_at") or each.get("given_at", "")})]


def _erase_cache(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        kept = [record for record in records if "answer_key" in record]
        return sum(answers_table.forget(record["answer_key"], record["request_key"]) for record in kept)

    return _walk(case, position, hurry, page)


def _erase_objects(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        found = [key for record in records for key in _objects_of(record)]
        _delete(found)
        return len(found)

    if position is None or not position.startswith(_EVENTS):
        progress = _walk(case, position, hurry, page)
        if not progress.done or case.subject_id is None:
            return progress
        count, position = progress.count, _EVENTS
    else:
        count = 0
    while keys := payloads.listed(_EVENTS, position, PAGE):
        mine = [key for key in keys if _is_event_of(case, key)]
        _delete(mine)
        count, position = count + len(mine), keys[-1]
        if hurry():
            return Progress(count, False, position)
    return Progress(count)


def _delete(names: list[str]) -> None:
    if failed := payloads.delete(names):
        raise NotDeleted(f"{len(failed)} objects: {sorted(set(failed.values()))}")


def _objects_of(record: dict) -> list[str]:
    """What a request refers to, and what lies beside it: an attempt that was not first leaves texts behind."""
    return sorted(_references_of(record).union(*map(payloads.listed, _folders_of(record))))


def _references_of(record: dict) -> set[str]:
    places = [record, record.get("review") or {}]
    return {value for place in places for name, value in place.items() if _is_reference(name, value)}


def _folders_of(record: dict) -> list[str]:
    """Where a request's objects lie, whether or not something refers to them: under its own name, and its last day."""
    owner = payloads.owner_of(record["request_key"])
    folders = {f"requests/{owner}/"}
    folders |= {ref.rpartition("/")[0] + "/" for ref in _references_of(record) if f"/{owner}/" in ref}
    days = {name: iso(int(record[name]))[:10] for name in ("expires_at", "held_expires_at") if name in record}
    folders |= {f"requests/{day}/{owner}/" for day in days.values()}
    if day := days.get("held_expires_at"):
        folders.add(f"{holds.HELD_OBJECTS}{day}/{owner}/")
    return sorted(folders)


def _is_reference(name: str, value: object) -> bool:
    return name.endswith("_ref") and isinstance(value, str) and value.startswith(_NAMED)


def _is_event_of(case: Case, key: str) -> bool:
    """Whether an event that came by reference became, or was refused as, a request of the subject."""
    try:
        detail = json.loads(payloads.get(key))
        # Half of a surrogate pair is JSON, and no UTF-8.
        digest = hashlib.sha256(canonical(detail).encode(errors="surrogatepass")).hexdigest()
    except (PayloadGone, ValueError, RecursionError):
        return False
    if not isinstance(detail, dict) or not _can_be_key(detail.get("request_id")):
        return False
    # Another tenant may use the same id: the body has to be the same too, or to name the subject.
    own = request_key(case.tenant, detail["request_id"])
    for record in filter(None, map(requests_table.find, (own, f"{own}#{digest[:16]}"))):
        if record.get("body_digest") == digest or names(detail, case.subject_id):
            if record.get("subject_ref") == case.ref:
                return True
            # Somebody else's request, of which this person is the user: its own copy is kept once it has ended.
            if record.get("user_ref") == case.ref and record["status"] != Status.ADMITTED:
                return True
    return False


def _can_be_key(text: object) -> bool:
    """Whether what somebody wrote can name anything in a store: to look for it there would raise otherwise."""
    if not isinstance(text, str):
        return False
    try:
        return 0 < len(text.encode()) <= MOST_KEY_BYTES
    except UnicodeEncodeError:
        return False


# --- Requests


def _erase_requests(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        if records:
            _keep_trace(case, records)
        for record in records:
            if record["status"] == Status.ADMITTED:
                # It was listed too late for EndRequests; its place among those in flight would be lost with it.
                _end(record)
            requests_table.delete(record["request_key"])
        return len(records)

    count, after = 0, None
    if position and position.startswith(_USERS):
        after = position.removeprefix(_USERS)
    else:
        progress = _walk(case, position, hurry, page)
        if not progress.done:
            return progress
        count = progress.count
    while True:
        # Where somebody else is the subject, the request is theirs, and only its user is forgotten.
        records, after = requests_table.of_subject(case.ref, "user-index", after, PAGE)
        for record in records:
            if record.get("user_ref") == case.ref and case.takes(record) and not _is_held(record):
                if "user_id" in record:
                    reviews_table.forget_requester(record["request_key"], record["user_id"])
                requests_table.forget_user(record["request_key"])
                count += 1
        if after is None:
            return Progress(count)
        if hurry():
            return Progress(count, False, f"{_USERS}{after}")


def _is_held(record: dict) -> bool:
    """Whether a legal hold on somebody else keeps a request as it is, with its user."""
    return "held_expires_at" in record


def _keep_trace(case: Case, records: list[dict]) -> None:
    if case.key is None:
        return
    traces = [
        {name: record[name] for name in ("request_key", "answer_key") if name in record}
        | {"folders": _folders_of(record)}
        for record in records
    ]
    name = payloads.owner_of(records[0]["request_key"])[:16]
    sealed = case.key.seal(json.dumps(traces), place_of(case.erasure_id))
    erasures_table.keep_trace(case.erasure_id, name, sealed, now())


def _trace(case: Case, name: str) -> list[dict]:
    """What some of the subject's requests were, though they are gone."""
    sealed = erasures_table.trace(case.erasure_id, name)
    return json.loads(case.key.open(sealed, place_of(case.erasure_id))) if sealed else []


# --- Queues


def _erase_undelivered(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["UNDELIVERED_QUEUE"], case, hurry, True)


def _erase_dead_letters(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["DEAD_LETTER_QUEUE"], case, hurry, True)


def _through(queue: str, case: Case, hurry: Hurry, deletes: bool) -> Progress:
    """Go through all messages of a queue; those that are not the subject's are shown again at once."""
    if case.subject_id is None:
        return Progress(0)
    name = queue.rpartition("/")[2]
    # Whoever searches hides messages from others who do.
    if not _take_turn(name, case, hurry):
        return Progress(0, False, None, BUSY_SECONDS)
    kept, count, seen_all = [], 0, False
    try:
        while not hurry():
            # A long poll asks all of a queue's hosts: nothing means that there is nothing.
            received = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["reason"],
            ).get("Messages", [])
            if not received:
                seen_all = True
                break
            for message in received:
                if _is_held_back(case, message) or not _is_message_of(case, message["Body"], deletes):
                    kept.append(message["ReceiptHandle"])
                    continue
                count += 1
                if deletes:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                else:
                    kept.append(message["ReceiptHandle"])
        if seen_all and _hidden(queue) > len(kept):
            # Somebody else has messages in hand: they come back, or go elsewhere, and have to be looked at then.
            return Progress(count, False, None, BUSY_SECONDS)
        return Progress(count, seen_all)
    finally:
        if seen_all:
            _show(queue, kept)
        erasures_table.unlock(name, case.erasure_id)


def _take_turn(name: str, case: Case, hurry: Hurry) -> bool:
    until = time.monotonic() + TURN_SECONDS
    while not erasures_table.lock(name, case.erasure_id, now()):
        if hurry() or time.monotonic() > until:
            return False
        time.sleep(random.uniform(0.1, 0.3))
    return True


def _hidden(queue: str) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])


def _show(queue: str, handles: list[str]) -> None:
    for start in range(0, len(handles), 10):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + 10])
        ]
        sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries)


def _is_held_back(case: Case, message: dict) -> bool:
    """Whether it is a request that waits for the erasure's end: what was asked since is the person's new life."""
    reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    return reason == SubjectClosed.__name__ and sent >= epoch(case.record["requested_at"])


def _is_message_of(case: Case, text: str, deletes: bool) -> bool:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        # Nobody can replay it; it is somebody's all the same.
        return re.search(rf"(?<!{_OF_AN_ID}){re.escape(case.subject_id)}(?!{_OF_AN_ID})", text) is not None
    event = event_of(body)
    if _can_be_key(event.get("request_key")):
        return (requests_table.find(event["request_key"]) or {}).get("subject_ref") == case.ref
    if _tenant_of(case, event) != case.tenant:
        return False
    detail = event.get("detail")
    if _can_be_key(ref := event.get("detail_ref")):
        try:
            detail = json.loads(payloads.get(ref))
        except (PayloadGone, ValueError, RecursionError):
            return False
        if mine := names(detail, case.subject_id):
            if deletes:
                _delete([ref])
        return mine
    return names(detail, case.subject_id)


def _tenant_of(case: Case, event: dict) -> str | None:
    if "tenant" in event:
        return event["tenant"]
    account, source = event.get("account"), event.get("source")
    if not isinstance(account, str) or not isinstance(source, str):
        return None
    tenant = policy.current().tenant_of(account, source, case.own_account)
    return tenant.name if tenant else None


# --- The search, once all is erased


def _search_undelivered(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["UNDELIVERED_QUEUE"], case, hurry, False)


def _search_dead_letters(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["DEAD_LETTER_QUEUE"], case, hurry, False)


def _search_traces(case: Case, position: str | None, hurry: Hurry, look: Callable[[list[dict]], int]) -> Progress:
    names = sorted(case.record.get("traces", ())) if case.key else []
    count = 0
    for name in (name for name in names if name > (position or "")):
        count += look(_trace(case, name))
        if name != names[-1] and hurry():
            return Progress(count, False, name)
    return Progress(count)


def _search_reviews(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        return sum(reviews_table.find(review_id_of(one["request_key"])) is not None for one in requests)

    progress = _search_traces(case, position, hurry, look)
    return replace(progress, count=progress.count + len(_outliving(case))) if progress.done else progress


def _search_cache(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        kept = [one for one in requests if "answer_key" in one]
        return sum(answers_table.forget(one["answer_key"], one["request_key"]) for one in kept)

    return _search_traces(case, position, hurry, look)


def _search_objects(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        left = [key for one in requests for folder in one["folders"] for key in payloads.listed(folder)]
        # Nothing leads to them any more: they go now.
        _delete(left)
        return len(left)

    return _search_traces(case, position, hurry, look)


def _search_requests(case: Case, position: str | None, hurry: Hurry) -> Progress:
    count, kept = 0, 0
    for index, name in (("subject-index", "subject_ref"), ("user-index", "user_ref")):
        after = None
        while True:
            records, after = requests_table.of_subject(case.ref, index, after, PAGE)
            left = [record for record in records if record.get(name) == case.ref and case.takes(record)]
            count += len(left)
            kept += sum(name == "user_ref" and _is_held(record) for record in left)
            if after is None:
                break
    if kept != case.record.get("kept_under_hold", 0):
        erasures_table.change(case.erasure_id, kept_under_hold=kept)
    return Progress(count)


ERASERS = {
    "UndeliveredQueue": _erase_undelivered,
    "DeadLetterQueue": _erase_dead_letters,
    "ReviewsTable": _erase_reviews,
    "CacheTable": _erase_cache,
    "PayloadBucket": _erase_objects,
    "RequestsTable": _erase_requests,
}
SEARCHES = {
    "UndeliveredQueue": _search_undelivered,
    "DeadLetterQueue": _search_dead_letters,
    "ReviewsTable": _search_reviews,
    "CacheTable": _search_cache,
    "PayloadBucket": _search_objects,
    "RequestsTable": _search_requests,
}
