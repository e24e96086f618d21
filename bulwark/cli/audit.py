"""audit verify, search, seal, export-key: what was decided and by whom, and whether the log still says so."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import (
    ROOT,
    EndpointOption,
    FunctionFailed,
    JsonOption,
    StackOption,
    Target,
    reach,
)

READERS = 16
DAY, HOUR = 86_400, 3600
# No policy promises less, so that whatever is deleted sooner was not deleted by its time.
LEAST_KEPT_DAYS = 89
SHOWN_FLAWS = 20

SinceOption = Annotated[str, typer.Option("--since", metavar="MOMENT", help="2026-11-25, or 2026-11-25T08:00Z.")]
UntilOption = Annotated[str, typer.Option("--until", metavar="MOMENT", help="Before this moment.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Verify and search the audit log.")
    command(group, "verify")(verify)
    command(group, "search")(search)
    command(group, "seal")(seal)
    command(group, "export-key")(export_key)
    app.add_typer(group, name="audit")


def verify(
    since: SinceOption = "",
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="The auditor's own copy of the log's key, instead of KMS's."),
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="NUMBER:SHA256", help="A head that you kept: the log must still hold it."),
    ] = None,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Check the audit log: that each signed digest follows from the one before it, and each record from its digest.

    What was edited, deleted, cut off, moved, added or rewritten is named with the first bad record. With --since,
    records that were sealed before are not read; digests always are. Keep the head that it tells: given back with
    --head later, it proves that nothing has been cut off since.

    \b
    bulwark audit verify
    bulwark audit verify --public-key auditor.pem --head 412:9f86d081... --json

    Ends with 1 if anything is wrong.
    """
    target = reach(stack, endpoint)
    found = check(target, _moment(since), public_key and public_key.read_bytes(), head or [])
    flaws = [asdict(flaw) for flaw in found.flaws]
    if as_json:
        told = {name: getattr(found, name) for name in found.__slots__ if name not in ("flaws", "head")}
        told |= {"verified": not flaws, "head": found.head and str(found.head), "first": flaws[0] if flaws else None}
        render.print_json(told | {"flaws": flaws})
    else:
        render.facts(
            {
                "digests": found.digests,
                "objects": found.objects,
                "records": found.records,
                "sealed until": found.sealed_until,
                "not sealed yet": f"{found.unsealed} objects" if found.unsealed else None,
                "delivered twice": found.repeated or None,
                "expired": found.expired or None,
                "head": found.head and str(found.head),
            }
        )
        if flaws:
            rows = [(flaw["file"], flaw["line"], flaw["what"]) for flaw in flaws[:SHOWN_FLAWS]]
            render.table(("file", ">line", "what is wrong"), rows, "The log is not as it was written")
    if flaws:
        raise Problem(f"{_where(flaws[0])} {flaws[0]['what']}.")
    if not as_json:
        render.say("[green]The log is as it was written.[/]")


def search(
    request: Annotated[str, typer.Option("--request", metavar="ID", help="Of this request.")] = "",
    subject: Annotated[
        tuple[str, str] | None, typer.Option("--subject", metavar="TENANT SUBJECT", help="Of this person's requests.")
    ] = None,
    actor: Annotated[str, typer.Option("--actor", help="By this user id, owner or 'bulwark'.")] = "",
    action: Annotated[str, typer.Option("--action", help="REVIEW_READ, MODE_SET, ...")] = "",
    since: SinceOption = "",
    until: UntilOption = "",
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Find records of the audit log, in the order in which things happened.

    A person's requests are found by a digest under their own key, which is gone once they are erased; what was done
    about them as a person (holds, erasures) is found still. What is not as it was written is left out and told.

    \b
    bulwark audit search --request ticket-4711
    bulwark audit search --subject acme user-17 --since 2026-11-01
    bulwark audit search --action REVIEW_READ --json | jq -r '.[].actor' | sort | uniq -c
    """
    target = reach(stack, endpoint)
    ref, mac = named_in_log(target, *subject) if subject else ("", None)
    log = Log(target)
    records = log.records(_moment(since))
    wanted = {"request_id": request, "actor": actor, "action": action}
    found = [
        record
        for record in records
        if all(not value or record.get(name) == value for name, value in wanted.items())
        and (not since or record["at"] >= _moment(since))
        and (not until or record["at"] < _moment(until))
    ]
    if ref:
        # A review's record names its request, and only the request's own records name the subject.
        theirs = {_request_of(each) for each in records if mac and each.get("subject") == mac} - {None}
        found = [one for one in found if one.get("subject_ref") == ref or _request_of(one) in theirs]
        if not mac and not found:
            raise Problem("This subject has no key: it was erased, or nothing of it ever came.", code=Exit.REFUSED)
    if as_json:
        render.print_json(found)
    else:
        rows = [
            (one["at"][:19], one["action"], one["actor"], one.get("request_id") or one.get("use_case"), _facts(one))
            for one in found
        ]
        render.table(("!at", "!action", "actor", "about", "facts"), rows)
        render.say(f"{len(found)} records.")
    if log.broken:
        raise Problem(f"{len(log.broken)} objects are not as they were written: bulwark audit verify")


def seal(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """Write a digest of the audit log now, and not on the hour.

    \b
    bulwark audit seal
    """
    target = reach(stack, endpoint)
    try:
        said = target.invoke(target.outputs["WriteDigestFunctionName"], {})
    except FunctionFailed as failed:
        raise Problem(f"WriteDigest failed: {failed}") from failed
    render.print_json(said) if as_json else render.say(f"Sealed. Head: {said['number']}:{said['sha256']}")


def export_key(stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """Print the public key that digests are signed with, for an auditor to keep.

    \b
    bulwark audit export-key > auditor.pem
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = _key(_key_of(reach(stack, endpoint)))
    print(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), end="")


def check(target: Target, since: str = "", public_key: bytes | None = None, heads: Iterable[str] = ()) -> Any:
    """Verify the whole log; gives domain.audit_chain.Findings."""
    from domain.governance import audit_chain

    try:
        kept = [audit_chain.Head.from_text(text) for text in heads]
    except ValueError as error:
        raise Problem("A head is NUMBER:SHA256, as verify tells it.", code=Exit.USAGE) from error
    log, known = Log(target), _known_head(target)
    names = sorted(log.digests)
    found = audit_chain.verify(
        dict(zip(names, log.read(names), strict=True)),
        log.objects,
        log.read,
        _checker(public_key or _key_of(target)),
        heads=[*kept, *known],
        since=since,
        # A clock may be a little ahead.
        now_hour=audit_chain.hour_of(_iso(time.time() + HOUR)),
        expired_before=lambda days: _iso(time.time() - days * DAY),
    )
    if len(names) > 1 and not known:
        found.add(target.outputs["ControlTable"], None, "does not know the last digest of the log any more")
    for name in sorted(log.altered):
        found.add(name, None, log.altered[name])
    return found


@dataclass(slots=True)
class Log:
    """The audit bucket, as a reader sees it; what was overwritten or deleted shows in its versions."""

    target: Target
    objects: dict[str, int] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    altered: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from domain.governance.audit_chain import DIGESTS

        seen: set[str] = set()
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket):
            for version in page.get("Versions", ()):
                name = version["Key"]
                if name in seen:
                    self.altered[name] = "was overwritten: an earlier version stands behind it"
                seen.add(name)
                if version["IsLatest"]:
                    (self.digests if name.startswith(DIGESTS) else self.objects)[name] = version["Size"]
            for marker in page.get("DeleteMarkers", ()):
                # A lock keeps the version, and lets anybody who may delete hide it; its time over, S3 does so itself.
                age = marker["LastModified"].timestamp() - _begun(marker["Key"])
                if marker["IsLatest"] and age < LEAST_KEPT_DAYS * DAY:
                    self.altered[marker["Key"]] = "was deleted: its version stands behind a marker"

    def read(self, names: list[str]) -> Iterator[bytes]:
        with ThreadPoolExecutor(READERS) as readers:
            yield from readers.map(self._get, names)

    def records(self, since: str) -> list[dict]:
        """The records that were written since a moment, each once, in their order."""
        from domain.governance.audit_chain import RECORDS, Broken, hour_of, unpack

        first = hour_of(since) if since else ""
        names = sorted(name for name in self.objects if name.startswith(RECORDS) and _hour_in(name) >= first)
        found: dict[str, dict] = {}
        for name, data in zip(names, self.read(names), strict=True):
            try:
                for record in unpack(name, data):
                    found.setdefault(record["record_id"], record)
            except Broken:
                self.broken.append(name)
        return sorted(found.values(), key=lambda record: record["at"])

    def _get(self, name: str) -> bytes:
        return self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")

    @property
    def _bucket(self) -> str:
        return self.target.outputs["AuditBucket"]


def named_in_log(target: Target, tenant: str, subject: str) -> tuple[str, str | None]:
    """What a person is called in the log, and the digest that their requests bear, or None if they have no key."""
    asks = (
        "import json, sys; from adapters import subject_keys as keys; ref = keys.subject_ref(*json.load(sys.stdin)); "
        "item = keys.find(ref) or {}; key = item.get('wrapped_key'); "
        "print(json.dumps([ref, key and keys.unwrap(ref, key).mac('subject')]))"
    )
    # In a process of its own: adapters take their endpoint and their tables from the environment.
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "functions"),
        "KEYS_TABLE": target.outputs["KeysTable"],
        "SUBJECTS_KEY": target.outputs["SubjectsKeyArn"],
    }
    if target.is_local:
        environment |= {
            "AWS_ENDPOINT_URL": str(target.endpoint),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
    asked = subprocess.run(
        [sys.executable, "-c", asks],
        input=json.dumps([tenant, subject]),
        capture_output=True,
        text=True,
        env=environment,
    )
    if asked.returncode:
        raise Problem(f"The subject's key cannot be read: {asked.stderr.strip().splitlines()[-1]}", code=Exit.REFUSED)
    ref, mac = json.loads(asked.stdout)
    return ref, mac


def _key_of(target: Target) -> bytes:
    return target.client("kms").get_public_key(KeyId=target.outputs["AuditKeyArn"])["PublicKey"]


def _key(data: bytes) -> Any:
    """A public key in DER, as KMS gives it, or in PEM."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    try:
        return load_pem_public_key(data) if data.startswith(b"-----") else load_der_public_key(data)
    except ValueError as error:
        raise Problem("The public key cannot be read; bulwark audit export-key writes one.", code=Exit.USAGE) from error


def _checker(public_key: bytes) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    key = _key(public_key)

    def is_signed(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    return is_signed


def _known_head(target: Target) -> list[Any]:
    from domain.governance.audit_chain import Head

    item = (
        target.client("dynamodb")
        .get_item(TableName=target.outputs["ControlTable"], Key={"control_key": {"S": "audit-head"}})
        .get("Item")
    )
    return [Head(int(item["number"]["N"]), item["sha256"]["S"])] if item else []


def _moment(text: str) -> str:
    """A moment as records bear it."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(f"{text} is no moment; write 2026-11-25 or 2026-11-25T08:00Z.", code=Exit.USAGE) from error
    return _iso((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _begun(name: str) -> float:
    """The hour of an object of records; of a digest, which has no end, none."""
    try:
        return datetime.strptime(_hour_in(name), "%Y/%m/%d/%H").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.inf


def _hour_in(name: str) -> str:
    return "/".join(name.split("/")[2:6])


def _where(flaw: dict) -> str:
    return f"{flaw['file']}, line {flaw['line']}," if flaw["line"] else flaw["file"]


def _request_of(record: dict) -> tuple[str, str] | None:
    return (record["tenant"], record["request_id"]) if {"tenant", "request_id"} <= record.keys() else None


def _facts(record: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.get("facts", {}).items() if value != [])
