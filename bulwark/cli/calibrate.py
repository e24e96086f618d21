"""calibrate: which confidence threshold reviewers' verdicts prove for a use case."""

from collections.abc import Iterator
from typing import Annotated

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.records import plain, projection
from bulwark.cli.target import EndpointOption, JsonOption, StackOption, Target, reach

# No word of a verdict, and no token.
_READ = ["review_id", "tenant", "use_case", "status", "kind", "reason", "confidence", "decision", "audit_share"]


def register(app: typer.Typer) -> None:
    command(app, "calibrate")(calibrate)


def calibrate(
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE")],
    promise: Annotated[float, typer.Option(min=0.001, max=0.5, help="At most this share of releases is wrong.")] = 0.05,
    risk: Annotated[float, typer.Option(min=0.001, max=0.5, help="The chance that the proof is luck.")] = 0.05,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Say which confidence_threshold the verdicts of reviewers prove for a use case.

    Takes the audits of released answers and the held answers that people decided, thinned to a uniform sample,
    and tests thresholds from the surest answers downward (Learn then Test). It changes nothing: put the
    threshold into the policy yourself. Exits with 1 where the verdicts prove no threshold.

    \b
    bulwark calibrate general_question
    bulwark calibrate general_question --promise 0.1 --json | jq .threshold
    """
    from domain.reviews.calibration import judged_of, prove

    target = reach(stack, endpoint)
    known = target.policy().get("use_cases", {})
    if use_case not in known:
        raise Problem(f"The policy has no use case {use_case}; it has {', '.join(sorted(known))}.", code=Exit.USAGE)
    judged = judged_of(_reviews(target, use_case))
    steps = prove(judged, promise, risk)
    proven = [step for step in steps if step.proven]
    threshold = proven[-1].threshold if proven else None
    now = known[use_case]["confidence_threshold"]
    if as_json:
        tested = [
            {"threshold": step.threshold, "released": step.released, "wrong": step.wrong, "proven": step.proven}
            for step in steps
        ]
        render.print_json({"threshold": threshold, "now": now, "judged": len(judged), "tested": tested})
    else:
        rows = [
            (
                f"{step.threshold:.4f}",
                step.released,
                step.wrong,
                f"{step.wrong / step.released:.1%}",
                _told(step.proven),
            )
            for step in steps
        ]
        render.table((">threshold", ">released", ">wrong", ">share", ""), rows, f"{use_case}: {len(judged)} verdicts")
        if proven:
            render.say(
                f"Proven down to {threshold}: at most {promise:.0%} wrong, {1 - risk:.0%} sure. In force: {now}."
            )
    if not proven:
        hint = (
            "More audits (audit_share) prove more; a weaker promise needs fewer." if judged else "None was judged yet."
        )
        raise Problem(f"The verdicts on {use_case} prove no threshold for at most {promise:.0%} wrong.", hint)


def _told(proven: bool) -> str:
    return "proven" if proven else "not proven"


def _reviews(target: Target, use_case: str) -> Iterator[dict]:
    pages = (
        target.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=target.outputs["ReviewsTable"], **projection(_READ))
    )
    for page in pages:
        yield from (review for review in map(plain, page["Items"]) if review.get("use_case") == use_case)
