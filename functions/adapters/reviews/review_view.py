"""How a review looks to a reviewer over HTTP; its task token is never shown, and a blind one gives no hint."""

import json

from adapters import payloads, requests_table, subject_keys
from adapters.api.http import Refused
from adapters.clock import iso
from adapters.reviews import reviews_table
from adapters.sealing import SubjectKey
from domain.api.callers import Caller
from domain.reviews.claims import actions_of, is_claimed, is_own
from domain.reviews.endings import silence_means
from domain.reviews.grounding import marked_sentences
from domain.reviews.review import Tier
from domain.reviews.verdicts import opinions_for

_SHOWN = (
    "review_id tenant use_case request_id risk_class status tier opened_at due_at blind decision decided_at".split()
)
# What would tell a reviewer what the system thought of the answer.
_SYSTEM_S_VIEW = ("reason", "confidence")


def summary_of(review: dict, caller: Caller, now: float) -> dict:
    """A review as a list shows it."""
    shown = {name: review[name] for name in _SHOWN if name in review}
    shown["claimed_by_me"] = False
    if is_claimed(review, iso(now)):
        shown["claimed_by_me"] = review["claimed_by"] == caller.user_id
        shown |= {"claimed_by": review["claimed_by_name"], "claimed_until": review["claimed_until"]}
    if not review["blind"]:
        shown |= {name: review[name] for name in _SYSTEM_S_VIEW if name in review}
    return shown


def visible_review(review_id: str, caller: Caller) -> tuple[dict, dict]:
    """The review and its request, if the caller may see them; another tenant's looks like one that does not exist."""
    caller.require("reviewers", "leads")
    review = reviews_table.find(review_id) or {}
    # A verdict's place in its giver's history is in the table as well, and is no review.
    if "status" not in review or not caller.sees(review["tenant"], review["use_case"]):
        raise Refused(404, "NOT_FOUND", "There is no review with this id.")
    if is_own(review, caller):
        raise Refused(403, "FORBIDDEN", "This review is of a request of your own.")
    return review, requests_table.find(review["request_key"]) or {}


def item_of(review: dict, request: dict, caller: Caller, now: float) -> dict:
    """Everything a person needs to decide on a review."""
    key = subject_keys.of(review)
    body = json.loads(payloads.text_of(request, "payload", key) or "{}")
    retrieved = json.loads(payloads.text_of(request, "retrieved", key) or "[]")
    passages = body.get("passages", []) + [
        {"id": f"retrieved-{number}", "text": text} for number, text in enumerate(retrieved, 1)
    ]
    draft = reviews_table.draft_of(review, request, key)
    shown = summary_of(review, caller, now) | {
        "query": body.get("query", ""),
        "history": body.get("history", []),
        "passages": passages,
        "draft": draft,
        "sentences": marked_sentences(draft, (passage["text"] for passage in passages)),
        "silence": _silence_of(review),
        "opinions": [_opinion(each, review, key) for each in opinions_for(review)],
        "shown_digest": reviews_table.digest_of(review, request, draft),
        "may": actions_of(review, caller),
    }
    if not review["blind"]:
        shown |= {name: request[name] for name in ("model", "signals", "findings") if name in request}
    if edited := payloads.text_of(review, "answer", key):
        shown["edited"] = edited
    return shown


def _silence_of(review: dict) -> dict:
    """What happens if nobody decides, and when; an audit says what a held answer would."""
    to_lead = review["tier"] != Tier.LEAD and review["lead_sla_seconds"]
    return {"at": review["due_at"], "then": Tier.LEAD if to_lead else silence_means(review, review["on_silence"])}


def _opinion(verdict: dict, review: dict, key: SubjectKey) -> dict:
    shown = {name: verdict[name] for name in ("tier", "decision", "reason_code", "given_at") if name in verdict}
    for name, text in (("comment", "comment"), ("edited", "answer")):
        if said := payloads.text_of(verdict, text, key, review["request_key"]):
            shown[name] = said
    return shown
