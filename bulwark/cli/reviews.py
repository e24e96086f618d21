"""reviews, review and plant: the answers that wait for a person, and that person's decision, by the HTTP API."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import Api, EndpointOption, JsonOption, StackOption, reach
from bulwark.documents import read_lines, read_text

RoleOption = Annotated[
    str,
    typer.Option(
        "--as", metavar="ROLE", help="Locally, who signs in: reviewer, second-reviewer, lead, globex-reviewer ..."
    ),
]
_PAGE = 100


class Decision(StrEnum):
    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    ESCALATE = "escalate"
    CANNOT_JUDGE = "cannot-judge"


class ReasonCode(StrEnum):
    """As in functions/domain/reviews/decisions.py."""

    WRONG = "WRONG"
    UNGROUNDED = "UNGROUNDED"
    UNSAFE = "UNSAFE"
    OFF_TOPIC = "OFF_TOPIC"
    POLICY = "POLICY"
    OTHER = "OTHER"


def register(app: typer.Typer) -> None:
    command(app, "reviews")(reviews)
    command(app, "review")(review)
    command(app, "plant")(plant)


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
    target = reach(stack, endpoint)
    api = target.sign_in(_user(role))
    if as_json:
        render.print_json(list_reviews(api, limit))
        return
    shown = show_queue(api, limit)
    render.say("Look at one: bulwark review REVIEW" if shown else "Nothing waits for a person.")
    render.say(f"Or at the desk: {render.cell(target.outputs['DeskUrl'])}")


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
        str | None, typer.Option(help="Decide only if the review still has this shown_digest (from --json).")
    ] = None,
    role: RoleOption = "reviewer",
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Look at an answer under review, and approve, edit or reject it, ask a lead, or say that you cannot judge.

    Deciding claims the review first. What somebody else has claimed or decided, or what came after the
    deadline, is refused and told why (exit code 4).

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
    api.expect("POST", f"{path}/claim", {})
    body = {"decision": decision.name, "shown_digest": digest or shown["shown_digest"]}
    body |= {"answer": text} if text else {}
    body |= {"reason_code": str(reason)} if decision is Decision.REJECT else {}
    body |= {"comment": comment} if comment else {}
    decided = api.expect("POST", f"{path}/decision", body)
    if as_json:
        render.print_json(decided)
    else:
        render.say(f"{decision.name} is stored; {_FOLLOWS[decided['next']]}:")
        render.say(f"bulwark request {render.cell(decided['request_id'])}")


_FOLLOWS = {
    "done": "the request ends within seconds",
    "second": "a second reviewer judges the answer as well",
    "lead": "a lead decides",
    "reviewer": "the review went back to its queue, for somebody else",
}


def plant(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines: use_case, query, passages, answer.")],
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Put answers that are known to be bad among the reviews, to measure whether reviewers look.

    Who approves one let a bad answer pass; the desk's quality page counts it. They look like any other blind
    review and touch no request. You sign in as an operator.

    \b
    echo '{"use_case": "general_question", "query": "Is 91 prime?", "answer": "Yes."}' > bad.jsonl
    bulwark plant bad.jsonl
    """
    lines = [line for _, line in read_lines(file)]
    api = reach(stack, endpoint).sign_in("Operator")
    planted = [api.expect("POST", "/planted-reviews", line) for line in lines]
    if as_json:
        render.print_json(planted)
    else:
        render.say(f"{len(planted)} planted: " + ", ".join(render.cell(one["review_id"]) for one in planted))


def show_queue(api: Api, limit: int) -> int:
    """Show the most urgent reviews as a table; gives how many."""
    rows = [
        (
            one["review_id"],
            one["request_id"],
            one.get("reason", "(blind)"),
            render.share(one.get("confidence")),
            f"{one['tier']}, {one['claimed_by']}'s" if "claimed_by" in one else one["tier"],
            render.clock_time(one["due_at"]),
        )
        for one in list_reviews(api, limit)
    ]
    columns = ("!review", "request", "!reason", ">conf.", "tier", "!due")
    render.table(columns, rows, "Waiting for a person, the most urgent first" if rows else None)
    return len(rows)


def list_reviews(api: Api, limit: int) -> list[dict]:
    """The open reviews that the caller may take, page by page."""
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
    users = ("reviewer", "second-reviewer", "lead", "second-lead", "globex-reviewer", "narrow-reviewer", "operator")
    if role not in users:
        raise Problem(f"There is no local user {role}; there are {', '.join(users)}.", code=Exit.USAGE)
    return "".join(part.capitalize() for part in role.split("-"))


def _answer(decision: Decision | None, answer: str | None, file: Path | None) -> str | None:
    if (answer is not None or file is not None) != (decision is Decision.EDIT):
        raise Problem("--answer or --answer-file goes with edit, and edit needs one.", code=Exit.USAGE)
    if file is None:
        return answer
    return read_text(file)


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
        "model",
        "findings",
        "claimed_by",
        "decided_at",
    ]
    silence = shown["silence"]
    render.facts(
        {name.replace("_", " "): shown.get(name) for name in names}
        | {
            "in silence": f"{silence['then']} at {render.clock_time(silence['at'])}"
            if shown["status"] == "OPEN"
            else None
        }
        | {"signals": render.signals(shown.get("signals", {}))}
    )
    for turn in shown.get("history") or []:
        render.say(f"\n[bold]Earlier, {render.cell(turn['role'])}[/]\n{render.cell(turn['text'])}")
    render.say(f"\n[bold]Question[/]\n{render.cell(shown['query'])}")
    for passage in shown.get("passages") or []:
        render.say(f"\n[bold]Passage {render.cell(passage['id'])}[/]\n{render.cell(passage['text'])}")
    render.say(f"\n[bold]Draft[/]\n{render.cell(shown['draft'])}")
    for sentence in (one for one in shown["sentences"] if one["marked"]):
        missing = ", ".join(sentence["missing"])
        render.say(f"[yellow]In no passage: {render.cell(missing)}[/]  {render.cell(sentence['text'].strip())}")
    for opinion in shown["opinions"]:
        told = " ".join(opinion[name] for name in ("reason_code", "comment") if name in opinion)
        said = render.cell(f"A {opinion['tier']} said {opinion['decision']}")
        render.say(f"\n[bold]{said}[/] {render.cell(told)}")
    if shown["status"] == "OPEN":
        review_id = render.cell(shown["review_id"])
        render.say(f"\nDecide: bulwark review {review_id} approve|edit|reject|escalate|cannot-judge")
