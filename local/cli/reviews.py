"""reviews and review: the answers that wait for a person, and that person's decision, by the HTTP API."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from local.cli import render
from local.cli.exits import Exit, Problem, command
from local.cli.target import Api, EndpointOption, JsonOption, StackOption, reach

RoleOption = Annotated[
    str,
    typer.Option("--as", metavar="ROLE", help="Locally, who signs in: reviewer, lead, or globex-reviewer."),
]
_PAGE = 100


class Decision(StrEnum):
    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"


class ReasonCode(StrEnum):
    """As in functions/domain/reviews.py."""

    WRONG = "WRONG"
    UNGROUNDED = "UNGROUNDED"
    UNSAFE = "UNSAFE"
    OFF_TOPIC = "OFF_TOPIC"
    POLICY = "POLICY"
    OTHER = "OTHER"


def register(app: typer.Typer) -> None:
    command(app, "reviews")(reviews)
    command(app, "review")(review)


def reviews(
    limit: Annotated[int, typer.Option(min=1, help="The most urgent so many.")] = 25,
    role: RoleOption = "reviewer",
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """List the open reviews of your tenants, the most urgent first.

    \b
    bulwark reviews
    bulwark reviews --json | jq -r '.[].review_id'
    BULWARK_USERNAME=ann BULWARK_PASSWORD=... bulwark reviews --stack bulwark-dev
    """
    open_reviews = list_reviews(reach(stack, endpoint).sign_in(_user(role)), limit)
    if as_json:
        render.print_json(open_reviews)
        return
    rows = [
        (
            one["review_id"],
            one["request_id"],
            one["reason"],
            render.share(one["confidence"]),
            one["tier"],
            render.clock_time(one["due_at"]),
        )
        for one in open_reviews
    ]
    render.table(("!review", "request", "reason", ">conf.", "tier", "due"), rows)
    render.say("Look at one: bulwark review REVIEW" if rows else "Nothing waits for a person.")


def review(
    review_id: Annotated[str, typer.Argument(metavar="ID")],
    decision: Annotated[Decision | None, typer.Argument(help="Leave it out to look first.")] = None,
    answer: Annotated[str | None, typer.Option(help="With edit: the answer to give instead.")] = None,
    answer_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With edit: the answer is in this file; - reads it from stdin."),
    ] = None,
    reason: Annotated[ReasonCode, typer.Option(help="With reject: why.")] = ReasonCode.WRONG,
    comment: Annotated[str | None, typer.Option(help="A note that is kept with the decision.")] = None,
    digest: Annotated[
        str | None, typer.Option(help="Decide only if the draft still has this draft_digest (from --json).")
    ] = None,
    role: RoleOption = "reviewer",
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Look at a held answer, and approve, edit or reject it.

    The first decision counts: a second one, or one after the deadline, is refused and told why (exit code 4).

    \b
    bulwark review r-0f3c...                              # question, passages, draft, signals
    bulwark review r-0f3c... approve --comment "checked"
    bulwark review r-0f3c... edit --answer "It lasts eleven hours."
    bulwark review r-0f3c... reject --reason UNGROUNDED
    """
    text = _answer(decision, answer, answer_file)
    api, path = reach(stack, endpoint).sign_in(_user(role)), f"/reviews/{quote(review_id, safe='')}"
    shown = api.expect("GET", path)
    if decision is None:
        render.print_json(shown) if as_json else _show(shown)
        return
    body = {"decision": decision.upper(), "draft_digest": digest or shown["draft_digest"]}
    body |= {"answer": text} if text else {}
    body |= {"reason_code": str(reason)} if decision is Decision.REJECT else {}
    body |= {"comment": comment} if comment else {}
    decided = api.expect("POST", f"{path}/decision", body)
    if as_json:
        render.print_json(decided)
    else:
        render.say(f"{render.cell(decided['decision'])} is stored; the request ends within seconds:")
        render.say(f"bulwark request {render.cell(decided['request_id'])}")


def list_reviews(api: Api, limit: int) -> list[dict]:
    """The open reviews of the caller's tenants, page by page."""
    found: list[dict] = []
    position = ""
    while len(found) < limit:
        page = api.expect("GET", f"/reviews?limit={min(_PAGE, limit - len(found))}{position}")
        found += page["reviews"]
        if "next" not in page:
            break
        position = f"&next={quote(page['next'], safe='')}"
    return found


def _user(role: str) -> str:
    """reviewer is the output Reviewer..., globex-reviewer GlobexReviewer..."""
    users = ("reviewer", "lead", "globex-reviewer", "caller", "operator", "globex-caller")
    if role not in users:
        raise Problem(f"There is no local user {role}; there are {', '.join(users)}.", code=Exit.USAGE)
    return "".join(part.capitalize() for part in role.split("-"))


def _answer(decision: Decision | None, answer: str | None, file: Path | None) -> str | None:
    if (answer is not None or file is not None) != (decision is Decision.EDIT):
        raise Problem("--answer or --answer-file goes with edit, and edit needs one.", code=Exit.USAGE)
    if file is None:
        return answer
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error}", code=Exit.USAGE) from error


def _show(shown: dict) -> None:
    status = shown.get("decision") or shown["status"]
    render.say(f"[bold]{render.cell(shown['review_id'])}[/]  {render.cell(status)}")
    names = [
        "request_id",
        "use_case",
        "reason",
        "confidence",
        "tier",
        "due_at",
        "on_silence",
        "model",
        "findings",
        "decided_by",
        "decided_at",
    ]
    render.facts(
        {name.replace("_", " "): shown.get(name) for name in names}
        | {"signals": render.signals(shown.get("signals", {}))}
    )
    for turn in shown.get("history") or []:
        render.say(f"\n[bold]Earlier, {turn['role']}[/]\n{render.cell(turn['text'])}")
    render.say(f"\n[bold]Question[/]\n{render.cell(shown['query'])}")
    for passage in shown.get("passages") or []:
        render.say(f"\n[bold]Passage {render.cell(passage['id'])}[/]\n{render.cell(passage['text'])}")
    render.say(f"\n[bold]Draft[/]\n{render.cell(shown['draft'])}")
    if shown["status"] == "OPEN":
        render.say(f"\nDecide: bulwark review {shown['review_id']} approve|edit|reject")
