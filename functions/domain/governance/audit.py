"""Audit records: what a change of a table says about who decided what, and no word of what it was about.

Each record is built from named attributes of the images of a stream: what is not named here is never in the log.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.modes import OWNER_PREFIX
from domain.requests import Reason, Status
from domain.reviews.review import ReviewStatus

REQUESTS, REVIEWS, CONTROL = "requests", "reviews", "control"
SYSTEM = "bulwark"  # the actor of what the policy decides by itself
NOTE, MODE, POLICY = "audit#", "mode#", "policy#"
NOTE_SECONDS = 7 * 86_400  # so long a note stays where the log takes it from
_OUTCOMES = {Status.COMPLETED, Status.HELD, Status.REFUSED, Status.FAILED}
# Their use case is whatever the producer wrote.
_UNKNOWN_USE_CASE = {Reason.INVALID_REQUEST, Reason.UNKNOWN_TENANT, Reason.UNKNOWN_USE_CASE}
_MOST_CHARACTERS = 200  # of a text among the facts: names and codes are shorter
# What a note's fact may be: an id, a code or a moment, and no sentence. Nobody could take one back out of the log.
_CODE = re.compile(r"[\w.:#@/+-]{0,200}")

# What of an image is read at all.
READ = {
    REQUESTS: (
        "request_key tenant request_id use_case channel status reason confidence decided_by mode model attempts "
        "input_tokens output_tokens cost_usd findings stop_reason prompt_version policy_version review_id admitted_at "
        "outcome_at due_at subject_mac body_mac answer_mac guardrail"
    ).split(),
    REVIEWS: (
        "review_id tenant use_case request_id kind tier status reason opened_at due_at decision decided_by decided_at "
        "reason_code claimed_by claimed_at claimed_until verdicts late_decisions subject_mac"
    ).split(),
    CONTROL: "control_key action actor at facts version digest".split(),
}
_READ_WITHIN = {
    "attempts": "model error input_tokens output_tokens".split(),
    "verdicts": "person tier decision reason_code given_at seconds".split(),
    "late_decisions": "decision decided_by decided_at".split(),
}
_MODE_READ = ("mode", "until")
# What of a record stands beside its action; all the rest are its facts.
_COLUMNS = "tenant use_case request_id review_id policy_version subject subject_ref body_mac answer_mac".split()


@dataclass(frozen=True, slots=True)
class Change:
    """What a stream tells: an item before and after, of it only what is READ."""

    event_id: str
    sequence: str
    source: str
    at: str  # when the stream took it in
    new: dict = field(default_factory=dict)
    old: dict = field(default_factory=dict)
    expired: bool = False  # by the table's own TTL
    moment: float = 0.0  # `at` in seconds

    @classmethod
    def from_json(cls, raw: dict) -> "Change":
        return cls(**raw)

    def to_json(self) -> dict:
        return _plain({name: getattr(self, name) for name in self.__slots__})


def readable(source: str, image: dict) -> dict:
    """Of an image what may be read, lists and modes included."""
    found = {name: image[name] for name in READ[source] if name in image}
    for name, within in _READ_WITHIN.items():
        if name in found:
            found[name] = [{key: each[key] for key in within if key in each} for each in found[name]]
    if source == CONTROL and str(image.get("control_key", "")).startswith(MODE):
        for name, entry in image.items():
            if name.startswith(OWNER_PREFIX):
                found[name] = {key: entry[key] for key in _MODE_READ}
    return found


def note(note_id: str, action: str, actor: str, facts: dict, at: str, now: float) -> dict:
    """An item of the control table that tells what no table shows by itself; `at` is now, as it is written."""
    return {
        "control_key": f"{NOTE}{note_id}",
        "action": action,
        "actor": actor,
        "at": at,
        "facts": {name: value for name, value in facts.items() if value is not None},
        "expires_at": int(now) + NOTE_SECONDS,
    }


def records_of(change: Change) -> list[dict]:
    """The audit records of a change, in the order in which things happened; the same change gives the same ones."""
    find = {REQUESTS: _of_request, REVIEWS: _of_review, CONTROL: _of_control}[change.source]
    records = []
    for number, (action, at, actor, values) in enumerate(find(change)):
        known = {name: value for name, value in values.items() if value not in (None, [], {}, "")}
        facts = {name: _short(value) for name, value in known.items() if name not in _COLUMNS}
        record = {
            "record_id": _digest(change.event_id, action, str(number))[:32],
            "at": at,
            "action": action,
            "actor": actor,
            **{name: known[name] for name in _COLUMNS if name in known},
        }
        records.append(_plain(record | ({"facts": facts} if facts else {})))
    return records


Told = tuple[str, str, str, dict]


def _of_request(change: Change) -> Iterator[Told]:
    new, old = change.new, change.old
    image = new or old
    about = {name: image[name] for name in "tenant request_id use_case policy_version".split() if name in image}
    about |= {"subject": image.get("subject_mac"), "body_mac": image.get("body_mac")}
    if not new:
        yield "REQUEST_DELETED", change.at, _deleter(change), about
        return
    status, before = new["status"], old.get("status")
    if status == before:
        return
    if status == Status.ADMITTED:
        yield "REQUEST_ADMITTED", new["admitted_at"], SYSTEM, about | _some(new, "channel")
    elif status == "PLANTED":
        yield "REVIEW_PLANTED", new["admitted_at"], "operator", about
    elif status in _OUTCOMES:
        yield from _of_outcome(new, before, about)


def _of_outcome(new: dict, before: str | None, about: dict) -> Iterator[Told]:
    at, status = new["outcome_at"], new["status"]
    if new.get("reason") in _UNKNOWN_USE_CASE:
        about = {name: value for name, value in about.items() if name != "use_case"}
    # What came of the model was told when the answer was held.
    if before == Status.ADMITTED:
        if "model" in new or new.get("attempts"):
            failed = [f"{each['model']}: {each['error']}" for each in new.get("attempts", ())]
            asked = _some(new, "model", "input_tokens", "output_tokens", "cost_usd", "prompt_version", "stop_reason")
            yield (
                "MODEL_CALLED",
                at,
                SYSTEM,
                about | asked | {"attempts": len(failed) + ("model" in new)} | ({"failed": failed} if failed else {}),
            )
        if "findings" in new:
            verdict = {"findings": sorted(new["findings"]), "judgement": "FOUND" if new["findings"] else "CLEAR"}
            if chosen := new.get("guardrail"):
                verdict["guardrail"] = f"{chosen['id']}:{chosen['version']}"
            yield "GUARDRAIL_JUDGED", at, SYSTEM, about | verdict
    decided = _some(new, "reason", "confidence", "decided_by", "mode", "review_id", "answer_mac", "cost_usd")
    if status == Status.HELD:
        decided |= _some(new, "due_at")
    yield f"REQUEST_{status}", at, SYSTEM, about | decided


def _of_review(change: Change) -> Iterator[Told]:
    new, old = change.new, change.old
    image = new or old
    if "status" not in image:  # a verdict's place in its giver's history
        return
    about = _some(image, "tenant", "request_id", "use_case", "review_id", "kind", "tier")
    about |= {"subject": image.get("subject_mac")}
    if not new:
        yield "REVIEW_DELETED", change.at, _deleter(change), about
        return
    given, late = new.get("verdicts", []), new.get("late_decisions", [])
    said = given[len(old.get("verdicts", [])) :]
    for verdict in said:
        told = _some(verdict, "tier", "decision", "reason_code", "seconds")
        yield "REVIEW_VERDICT", verdict["given_at"], verdict["person"], about | told
    for each in late[len(old.get("late_decisions", [])) :]:
        yield "REVIEW_LATE_DECISION", each["decided_at"], each["decided_by"], about | _some(each, "decision")
    if new["status"] != old.get("status") and new["status"] in (ReviewStatus.DECIDED, ReviewStatus.LAPSED):
        lapsed = new["status"] == ReviewStatus.LAPSED
        actor = SYSTEM if lapsed else new["decided_by"]
        yield f"REVIEW_{new['status']}", new["decided_at"], actor, about | _some(new, "decision", "reason_code")
    if new["status"] == ReviewStatus.OPEN and new["opened_at"] != old.get("opened_at"):
        yield "REVIEW_OPENED", new["opened_at"], SYSTEM, about | _some(new, "reason", "due_at")
    yield from _of_claim(change, about, bool(said))


def _of_claim(change: Change, about: dict, judged: bool) -> Iterator[Told]:
    new, old = change.new, change.old
    now, before = new.get("claimed_by"), old.get("claimed_by")
    if now and (now, new["claimed_at"]) != (before, old.get("claimed_at")):
        # Nobody takes a claim that is in force: so it was given.
        given = before and before != now and old["claimed_until"] > new["claimed_at"]
        if given:
            yield "REVIEW_HANDED_OVER", new["claimed_at"], before, about | {"to": now}
        else:
            yield "REVIEW_CLAIMED", new["claimed_at"], now, about
    if before and not now and not judged and new["status"] == ReviewStatus.OPEN and new["tier"] == old["tier"]:
        yield "REVIEW_RELEASED", change.at, before, about


def _of_control(change: Change) -> Iterator[Told]:
    new, old = change.new, change.old
    key = (new or old)["control_key"]
    if key.startswith(NOTE) and new and not old:
        yield new["action"], new["at"], new["actor"], _codes(new.get("facts", {}))
    elif key.startswith(MODE) and not change.expired:
        yield from _of_mode(change, *key.removeprefix(MODE).split("#", 1))
    elif key.startswith(POLICY) and new and new["digest"] != old.get("digest"):
        told = {"policy_version": new["version"], "digest": new["digest"], "was": old.get("version")}
        yield "POLICY_CHANGED", new["at"], "appconfig", told


def _of_mode(change: Change, tenant: str, use_case: str) -> Iterator[Told]:
    """Modes set and lifted; one that its owner only renewed is the same decision."""
    about = {"use_case": use_case} | ({} if tenant == "-" else {"tenant": tenant})
    for name in sorted({*change.new, *change.old}):
        if not name.startswith(OWNER_PREFIX):
            continue
        owner, new, old = name.removeprefix(OWNER_PREFIX), change.new.get(name), change.old.get(name)
        if new and (not old or old["mode"] != new["mode"]):
            told = {"mode": new["mode"], "until": new["until"], "was": old and old["mode"]}
            yield "MODE_SET", change.at, owner, about | told
        elif old and not new and old["until"] > change.moment:
            yield "MODE_LIFTED", change.at, owner, about | {"mode": old["mode"]}


def _deleter(change: Change) -> str:
    return "expiry" if change.expired else SYSTEM


def _some(image: dict, *names: str) -> dict:
    return {name: image[name] for name in names if name in image}


def _codes(facts: dict) -> dict:
    """The facts of a note without what is a sentence, and the names of those that are."""
    sentences = [name for name, value in facts.items() if not _is_code(value)]
    codes = {name: value for name, value in facts.items() if name not in sentences}
    return codes | ({"left_out": sorted(sentences)} if sentences else {})


def _is_code(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_code(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple | set):
        return all(map(_is_code, value))
    return not isinstance(value, str) or _CODE.fullmatch(value) is not None


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MOST_CHARACTERS]
    return [_short(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """In the numbers of JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value))
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
