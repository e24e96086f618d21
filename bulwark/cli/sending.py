"""Sends requests at a pace the stack can take, and watches each one's record until it has an outcome."""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from urllib.parse import quote

from bulwark.cli.records import read_records
from bulwark.cli.target import Api, Target

# PutEvents takes ten entries of a megabyte in all.
MAX_ENTRIES, MAX_ENTRIES_BYTES = 10, 900_000
OUTCOMES = ("COMPLETED", "HELD", "REFUSED", "FAILED")
UNANSWERED = "UNANSWERED"


@dataclass
class Sent:
    """A request that was sent, and its record once it has an outcome."""

    detail: dict
    keys: list[str] = field(default_factory=list)
    sent_at: float = 0.0
    record: dict = field(default_factory=dict)

    @property
    def status(self) -> str:
        return self.record.get("status", UNANSWERED)

    @property
    def kind(self) -> str:
        """The status as a person says it: a completed answer that no person saw is released."""
        if self.status == "COMPLETED" and self.record.get("decided_by", "policy") == "policy":
            return "RELEASED"
        return self.status


OnOutcome = Callable[[Sent], None]


@dataclass(frozen=True)
class Pace:
    """How many requests may be in flight, put how many at a time, and how long to wait between looks."""

    window: int
    entries: int
    pause: float


# Far below a shard of a tenant's limit; and on a laptop, more at once would only wait for one another.
STACK_PACE, LOCAL_PACE = Pace(32, MAX_ENTRIES, 0.5), Pace(12, 4, 0.05)


def send_events(
    target: Target, details: list[dict], source: str, tenant: str, patience: float, on_outcome: OnOutcome
) -> list[Sent]:
    """Put InferenceRequested events and wait for their outcomes, while one comes within `patience` seconds."""
    everything = [Sent(detail) for detail in details]
    pace = LOCAL_PACE if target.is_local else STACK_PACE
    batches, waiting = deque(_batches(everything, pace.entries)), list[Sent]()
    last_news = time.monotonic()
    while batches or waiting:
        while batches and len(waiting) + len(batches[0]) <= pace.window:
            batch = batches.popleft()
            _put(target, batch, source, tenant)
            waiting += [sent for sent in batch if not sent.record]
            for sent in batch:
                if sent.record:
                    on_outcome(sent)
            last_news = time.monotonic()
        found = read_records(target, [key for sent in waiting for key in sent.keys])
        for sent in waiting:
            if record := _outcome_of(sent, found):
                sent.record, last_news = record, time.monotonic()
                on_outcome(sent)
        waiting = [sent for sent in waiting if not sent.record]
        if time.monotonic() - last_news > patience:
            break
        time.sleep(pace.pause)
    return everything


def send_calls(api: Api, details: list[dict], patience: float, on_outcome: OnOutcome) -> list[Sent]:
    """POST each request to the HTTP API; one not answered at once is asked for until it has an outcome."""
    everything = [Sent(detail) for detail in details]
    with ThreadPoolExecutor(max_workers=8) as calls:
        for done in as_completed([calls.submit(_call, api, sent, patience) for sent in everything]):
            on_outcome(done.result())
    return everything


def _call(api: Api, sent: Sent, patience: float) -> Sent:
    sent.sent_at = time.monotonic()
    status, answer = api.call("POST", "/inferences", sent.detail)
    deadline = time.monotonic() + patience
    while status < 400 and answer.get("status") == "ADMITTED" and time.monotonic() < deadline:
        time.sleep(0.5)
        status, answer = api.call("GET", f"/inferences/{quote(answer['request_id'], safe='')}")
    if status >= 400:
        error = answer.get("error") or {}
        ours = "REFUSED" if status < 500 else "FAILED"
        sent.record = {
            "status": ours,
            "reason": error.get("code", f"HTTP {status}"),
            "message": error.get("message"),
        }
    elif answer.get("status") in OUTCOMES:
        sent.record = answer
    return sent


def _batches(everything: list[Sent], entries: int) -> Iterator[list[Sent]]:
    batch, size = [], 0
    for sent in everything:
        bytes_ = len(json.dumps(sent.detail, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if batch and (len(batch) == entries or size + bytes_ > MAX_ENTRIES_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(sent)
        size += bytes_
    if batch:
        yield batch


def _put(target: Target, batch: list[Sent], source: str, tenant: str) -> None:
    entries = [
        {
            "EventBusName": target.outputs["EventBusName"],
            "Source": source,
            "DetailType": "InferenceRequested",
            "Detail": json.dumps(sent.detail, ensure_ascii=True),
        }
        for sent in batch
    ]
    for sent, entry in zip(batch, target.client("events").put_events(Entries=entries)["Entries"], strict=True):
        sent.sent_at = time.monotonic()
        if "EventId" not in entry:
            sent.record = {
                "status": "FAILED",
                "reason": entry["ErrorCode"],
                "message": entry.get("ErrorMessage"),
            }
            continue
        sent.keys = _keys_of(sent.detail, tenant, entry["EventId"])


def _keys_of(detail: dict, tenant: str, event_id: str) -> list[str]:
    """Where a request's record may stand: under its id; beside it, if the id was taken by another body; or,
    if its id could not be read or trusted, under the event's."""
    keys = [f"{tenant}#event:{event_id}"]
    if isinstance(request_id := detail.get("request_id"), str) and 0 < len(request_id) <= 128:
        keys = [f"{tenant}#{request_id}", f"{tenant}#{request_id}#{_digest(detail)[:16]}", *keys]
    return keys


def _outcome_of(sent: Sent, found: dict[str, dict]) -> dict | None:
    for key in reversed(sent.keys):
        record = found.get(key)
        if record is None or record["status"] not in OUTCOMES:
            continue
        if key == sent.keys[0] and len(sent.keys) > 1 and record["body_digest"] != _digest(sent.detail):
            continue
        return record
    return None


def _digest(detail: dict) -> str:
    """The digest that AdmitRequest keeps of a body (functions/domain/requests.py)."""
    text = json.dumps(detail, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
