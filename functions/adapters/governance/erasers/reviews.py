"""Reviews of a subject's requests, and those reviews and verdicts that outlive the request they were about."""

from dataclasses import replace

from adapters import workflows
from adapters.clock import now
from adapters.governance.erasers import objects, traces
from adapters.governance.erasers.cases import Case, Hurry, Progress
from adapters.governance.erasers.walks import PAGE, through_requests
from adapters.reviews import reviews_table
from domain.governance import holds
from domain.outcomes import review_id_of
from domain.reviews.review import Next

# Of a position: among what outlives its request.
_OUTLIVING = "outliving"


def erase(case: Case, position: str | None, hurry: Hurry) -> Progress:
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
        progress = through_requests(case, position, hurry, page)
        if not progress.done:
            return progress
        count = progress.count
    while reviews := _outliving(case):
        for review in reviews:
            objects.delete(sorted(holds.objects(review)))
            if token := review.get("task_token"):
                workflows.resume_review(token, Next.DONE)
            reviews_table.delete(review["review_id"])
        count += len(reviews)
        if hurry():
            return Progress(count, False, _OUTLIVING)
    return Progress(count)


def search(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        return sum(reviews_table.find(review_id_of(one["request_key"])) is not None for one in requests)

    progress = traces.search(case, position, hurry, look)
    return replace(progress, count=progress.count + len(_outliving(case))) if progress.done else progress


def _outliving(case: Case) -> list[dict]:
    """Reviews and verdicts that outlive the request they were about, by their class."""
    found = reviews_table.of_subject(case.ref, PAGE)
    return [each for each in found if case.takes({"admitted_at": each.get("opened_at") or each.get("given_at", "")})]
