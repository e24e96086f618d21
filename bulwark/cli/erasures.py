"""erase, erasures, erasure: forget a person everywhere, see how far that is, and check the receipt."""

import base64
import hashlib
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.records import plain
from bulwark.cli.target import EndpointOption, FunctionFailed, JsonOption, StackOption, Target, reach
from bulwark.documents import read_text
from bulwark.rules import read_json

POLL_SECONDS = 0.3
REAPPLIED = "RESTORED"
_SHOWN = (
    "erasure_id tenant subject_ref status outcome reason requested_by requested_at delayed_at erased_at key_dropped_at "
    "round erased residual before receipt_ref"
).split()


class _Group(TyperGroup):
    """`bulwark erasure ID` shows it: an argument that is no command is an id."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = not args or args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["show", *args])


def register(app: typer.Typer) -> None:
    command(app, "erase")(erase)
    command(app, "erasures")(erasures)
    group = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        rich_markup_mode="rich",
        help="Show an erasure (bulwark erasure ID), its receipt, and erase again after a restore.",
    )
    command(group, "show")(show)
    command(group, "receipt")(receipt)
    command(group, "verify-receipt")(verify_receipt)
    command(group, "reapply")(reapply)
    app.add_typer(group, name="erasure")


def erase(
    tenant: Annotated[str, typer.Argument(metavar="TENANT")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="As requests name them.")],
    reason: Annotated[str, typer.Option(help="A code, and no words: it stands in the receipt.")] = "SUBJECT_REQUEST",
    by: Annotated[str | None, typer.Option(help="Who asks for it; you, if left out.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until they are forgotten.")] = False,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Forget a person: in every store, in waiting reviews and dead letters, and then their key.

    Said again while it runs, it goes on with the same erasure; a legal hold delays it until it is lifted.

    \b
    bulwark erase acme patient-88 --reason SUBJECT_REQUEST --wait
    bulwark erase acme patient-88 --wait --json | jq .outcome

    Ends with 1 if something was still found at the end, or while a legal hold stands.
    """
    target = reach(stack, endpoint)
    asked = {"tenant": tenant, "subject_id": subject, "reason": reason, "requested_by": by or _me()}
    erasure_id = _request(target, {"source": "bulwark", "detail": asked})
    record = _watch(target, erasure_id, quiet=as_json) if wait else _read(target, erasure_id)
    if as_json:
        render.print_json(_shown(record))
    elif not wait:
        render.say(f"{erasure_id} is on its way. See how far: bulwark erasure {erasure_id}")
    if wait and record.get("outcome") not in ("ERASED", "UNKNOWN_SUBJECT"):
        why = "A legal hold stands; it goes on when that is lifted." if record["status"] == "WAITING" else ""
        raise Problem(f"{erasure_id} is {record.get('outcome') or record['status']}.", why)


def erasures(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """List erasures, the latest first, with what became of them.

    \b
    bulwark erasures
    bulwark erasures --json | jq -r '.[] | select(.status == "WAITING") | .erasure_id'
    """
    target = reach(stack, endpoint)
    found = sorted(_all(target, "erasure#e-"), key=lambda one: one.get("requested_at", ""), reverse=True)
    found = [one for one in found if "erasure_id" in one]
    if as_json:
        render.print_json([_shown(one) for one in found])
        return
    rows = [
        (one["erasure_id"], one["tenant"], one.get("outcome") or one["status"], one["reason"], one["requested_at"])
        for one in found
    ]
    render.table(("!erasure", "tenant", "!is", "reason", "!requested at"), rows)
    if not rows:
        render.say("Nobody has asked to be forgotten.")


def show(
    erasure_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Show how far an erasure is, store by store.

    \b
    bulwark erasure e-0c1d2e3f40516273849506a7b8c9dae1
    """
    record = _shown(_read(reach(stack, endpoint), erasure_id))
    if as_json:
        render.print_json(record)
        return
    erased, residual = record.pop("erased", {}), record.pop("residual", {})
    render.facts({name.replace("_", " "): value for name, value in record.items()})
    rows = [(store, erased.get(store), residual.get(store)) for store in sorted({*erased, *residual})]
    render.table(("store", ">erased", ">found by search"), rows)


def receipt(
    erasure_id: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Print an erasure's signed receipt.

    \b
    bulwark erasure receipt e-0c1d2e3f... > receipt.json
    bulwark erasure verify-receipt receipt.json
    """
    target = reach(stack, endpoint)
    record = _read(target, erasure_id)
    if "receipt_ref" not in record:
        raise Problem(f"{erasure_id} is {record['status']}; the receipt comes at its end.", code=Exit.UNFINISHED)
    found = target.client("s3").get_object(Bucket=target.outputs["PayloadBucket"], Key=record["receipt_ref"])
    render.print_json(read_json(found["Body"].read()))


def verify_receipt(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Check that a receipt is this stack's own, word for word.

    \b
    bulwark erasure verify-receipt receipt.json

    Ends with 1 if it is not.
    """
    target = reach(stack, endpoint)
    if why := fault_of(target, read_text(file)):
        raise Problem(f"{file} is no receipt of this stack: {why}.")
    render.say(f"{render.cell(file)} is genuine, and says what was signed.")


def reapply(
    wait: Annotated[bool, typer.Option("--wait", help="Stay until all are forgotten again.")] = False,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Erase again all who were forgotten: after a table was restored from a backup (docs/restore.md).

    What came of a person after they were forgotten is not touched.

    \b
    bulwark erasure reapply --wait
    """
    target, told = reach(stack, endpoint), []
    register = _all(target, "erased#")
    started = [_request(target, {"reapply": one["subject_ref"], "requested_by": _me()}) for one in register]
    with render.Progress("forgetting again", len(started), quiet=as_json) as progress:
        for erasure_id in started:
            record = _watch(target, erasure_id, quiet=True) if wait else _read(target, erasure_id)
            progress.count(record.get("outcome") or record["status"])
            told.append(_shown(record))
    if as_json:
        render.print_json(told)
    else:
        brought = sum(sum(map(int, one.get("erased", {}).values())) for one in told)
        done = f"; {brought} items were there again" if wait else ", and are on their way"
        render.say(f"{len(told)} people had been forgotten{done}.")
    if wait and any(one.get("outcome") != "ERASED" for one in told):
        raise Problem("Some could not be forgotten again; see bulwark erasures.")


def fault_of(target: Target, text: str) -> str | None:
    """What is wrong with a receipt, if anything is."""
    try:
        document = read_json(text)
        given, signature = document["receipt"], base64.b64decode(document["signature"], validate=True)
    except (ValueError, KeyError, TypeError):
        return "it cannot be read"
    key = target.outputs["ReceiptKeyArn"]
    if document.get("key") != key:
        return "it names another key"
    from domain.requests import canonical

    kms = target.client("kms")
    try:
        valid = kms.verify(
            KeyId=key,
            Message=hashlib.sha256(canonical(given).encode()).hexdigest().encode(),
            MessageType="RAW",
            Signature=signature,
            SigningAlgorithm="ECDSA_SHA_256",
        )["SignatureValid"]
    except kms.exceptions.KMSInvalidSignatureException:
        valid = False
    return None if valid else "its signature is not of these words"


def _request(target: Target, event: dict) -> str:
    try:
        said = target.invoke(target.outputs["RequestErasureFunctionName"], event)
    except FunctionFailed as failed:
        raise Problem(f"The erasure could not be asked for: {failed.kind}; the functions' log says why.") from failed
    if not said["erasure_id"]:
        raise Problem(f"Refused: {said['refused']}", code=Exit.REFUSED)
    return said["erasure_id"]


def _watch(target: Target, erasure_id: str, quiet: bool) -> dict:
    """Follow an erasure to its end, or to where it waits for a hold to be lifted."""
    told: dict[str, Any] = {}
    while True:
        record = _read(target, erasure_id)
        if not quiet:
            for store, count in record["erased"].items():
                if told.get(store) != count:
                    render.say(f"  {store}: {count} erased")
            if (status := record.get("outcome") or record["status"]) != told.get("status"):
                render.say(f"{erasure_id}: {render.cell(status)}")
            told = dict(record["erased"]) | {"status": status}
        if record["status"] in ("DONE", "WAITING"):
            return record
        time.sleep(POLL_SECONDS)


def _read(target: Target, erasure_id: str) -> dict:
    item = (
        target.client("dynamodb")
        .get_item(
            TableName=target.outputs["ControlTable"],
            Key={"control_key": {"S": f"erasure#{erasure_id}"}},
            ConsistentRead=True,
        )
        .get("Item")
    )
    if item is None:
        raise Problem(f"There is no erasure {erasure_id}.", "bulwark erasures lists them.", Exit.USAGE)
    return plain(item)


def _all(target: Target, prefix: str) -> list[dict]:
    """Items of the control table whose key begins so; it has no index of them, since only a person ever asks."""
    pages = (
        target.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=target.outputs["ControlTable"],
            FilterExpression="begins_with(control_key, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
            ConsistentRead=True,
        )
    )
    return [plain(item) for page in pages for item in page["Items"]]


def _shown(record: dict) -> dict:
    return {name: record[name] for name in _SHOWN if name in record}


def _me() -> str:
    return os.environ.get("BULWARK_USERNAME") or os.environ.get("USER") or "operator"
