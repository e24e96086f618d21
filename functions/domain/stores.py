"""Stores: each place that keeps anything, what it keeps, and how a person is erased from it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    TABLE = "TABLE"
    STREAM = "STREAM"
    BUCKET = "BUCKET"
    QUEUE = "QUEUE"
    LOG_GROUP = "LOG_GROUP"
    HISTORY = "HISTORY"


class Erased(StrEnum):
    BY_ITEM = "ERASED"  # what is a person's is found and deleted
    BY_KEY = "SEALED"  # it cannot be searched or changed; what is left in it is noise once the key is gone
    NOTHING_TO_ERASE = "NONE"


@dataclass(frozen=True, slots=True)
class Store:
    name: str  # its logical id in the template; a stream's or a history's is that of its table or machine
    kind: Kind
    content: str
    personal: bool
    retention_class: str
    readers: str
    erased: Erased

    @property
    def title(self) -> str:
        """Its name, told apart from that of the table it is the stream of."""
        return f"{self.name} stream" if self.kind is Kind.STREAM else self.name


STORES = (
    Store(
        "UndeliveredQueue",
        Kind.QUEUE,
        "events that EventBridge could not deliver, whole, for minutes",
        True,
        "payloads",
        "RecoverEvent",
        Erased.BY_ITEM,
    ),
    Store(
        "DeadLetterQueue",
        Kind.QUEUE,
        "events that nobody could process, whole, with the reason; keys of outcomes that could not be announced",
        True,
        "payloads",
        "operators who replay it",
        Erased.BY_ITEM,
    ),
    Store(
        "ReviewsTable",
        Kind.TABLE,
        "reviews: drafts, edited answers, verdicts with comments, who asked; each verdict in its giver's history",
        True,
        "reviews",
        "the API for reviewers, leads and operators of the tenant",
        Erased.BY_ITEM,
    ),
    Store(
        "CacheTable",
        Kind.TABLE,
        "where the released answer to a question stands: a digest of the question and a request's key",
        True,
        "cache",
        "AdmitRequest",
        Erased.BY_ITEM,
    ),
    Store(
        "PayloadBucket",
        Kind.BUCKET,
        "texts too large for an item (bodies, answers, drafts, passages), large events, and receipts of erasures",
        True,
        "payloads",
        "functions on a request's way, and the API for those who may read the request",
        Erased.BY_ITEM,
    ),
    Store(
        "RequestsTable",
        Kind.TABLE,
        "requests: who asked about whom, body, answer, model, cost, outcome",
        True,
        "answers",
        "functions on a request's way, and the API for those who may read the request",
        Erased.BY_ITEM,
    ),
    Store(
        "KeysTable",
        Kind.TABLE,
        "each subject's key, wrapped, under a name that only the root's holder can compute; legal holds",
        True,
        "keys",
        "functions that seal or open words",
        Erased.BY_ITEM,
    ),
    Store(
        "RequestsTable",
        Kind.STREAM,
        "requests before and after each change, for 24 hours: words sealed, ids of persons as they are",
        True,
        "answers",
        "PublishOutcome and RecordAudit",
        Erased.BY_KEY,
    ),
    Store(
        "ReviewsTable",
        Kind.STREAM,
        "reviews before and after each change, for 24 hours: words sealed, ids of persons as they are",
        True,
        "reviews",
        "PublishReview and RecordAudit",
        Erased.BY_KEY,
    ),
    Store(
        "ControlTable",
        Kind.TABLE,
        "limits, modes, incidents, counters; erasures, with the subject's id sealed under its own key",
        False,
        "metrics detail",
        "functions and operators",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "ControlTable",
        Kind.STREAM,
        "images of modes, notes for the audit log and policies before and after each change, for 24 hours",
        False,
        "metrics detail",
        "RecordAudit",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "AuditBucket",
        Kind.BUCKET,
        "who decided what and when, with digests of a subject and of words that tell nothing without the subject's key",
        False,
        "audit",
        "auditors; nobody may change or delete it before its time",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "RetentionCleanupStateMachine",
        Kind.HISTORY,
        "what was cleaned up, as counts per store",
        False,
        "metrics detail",
        "operators",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "FunctionsLogGroup",
        Kind.LOG_GROUP,
        "ids, outcomes and errors of functions; no words, no person",
        False,
        "metrics detail",
        "operators",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "InferenceLogGroup",
        Kind.LOG_GROUP,
        "which states an execution entered; no execution data",
        False,
        "metrics detail",
        "operators",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "InferenceStateMachine",
        Kind.HISTORY,
        "nothing: Express keeps no history, and its log no data",
        False,
        "metrics detail",
        "nobody",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "HumanReviewStateMachine",
        Kind.HISTORY,
        "references to a request and its review, and task tokens",
        False,
        "metrics detail",
        "operators with the right to HistoryKey",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "IncidentDetectionStateMachine",
        Kind.HISTORY,
        "nothing: Express keeps no history, and its log no data",
        False,
        "metrics detail",
        "nobody",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "IncidentMitigationStateMachine",
        Kind.HISTORY,
        "an incident's id, and task tokens",
        False,
        "metrics detail",
        "operators with the right to HistoryKey",
        Erased.NOTHING_TO_ERASE,
    ),
    Store(
        "ErasureStateMachine",
        Kind.HISTORY,
        "an erasure's id, its tenant, the subject's name in our stores, counts",
        False,
        "audit",
        "operators with the right to HistoryKey",
        Erased.NOTHING_TO_ERASE,
    ),
)

# A subject's key is dropped in a step of its own, once all else has been searched.
DROPPED = "KeysTable"
# Requests last: they are how everything else is found.
ERASED_IN_ORDER = tuple(store.name for store in STORES if store.erased is Erased.BY_ITEM and store.name != DROPPED)
