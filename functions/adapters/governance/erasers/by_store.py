"""By store: who takes a subject out of each store, and who looks there once all is erased.

Each works in pages and tells where it goes on, so that whoever dies between two lines has lost nothing but time.
"""

from dataclasses import replace

from adapters.governance import erasures_table
from adapters.governance.erasers import cache, objects, queues, requests, reviews
from adapters.governance.erasers.cases import Case, Hurry, Progress

ERASERS = {
    "UndeliveredQueue": queues.erase_undelivered,
    "DeadLetterQueue": queues.erase_dead_letters,
    "ReviewsTable": reviews.erase,
    "CacheTable": cache.erase,
    "PayloadBucket": objects.erase,
    "RequestsTable": requests.erase,
}
SEARCHES = {
    "UndeliveredQueue": queues.search_undelivered,
    "DeadLetterQueue": queues.search_dead_letters,
    "ReviewsTable": reviews.search,
    "CacheTable": cache.search,
    "PayloadBucket": objects.search,
    "RequestsTable": requests.search,
}
_SEARCHED = "at_search_"


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
