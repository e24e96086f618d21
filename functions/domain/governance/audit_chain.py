"""The audit log's own proof: records chained within an object, objects named by their content, digests in a chain.

An object of records is lines, each tied to the one before it and to the object's place; its name ends with its
SHA-256. A digest names the objects that came since the one before it, and is signed. So whoever changes, removes, adds
or moves anything breaks something that only the key can mend; `verify` says what and where.
"""

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from domain.foreign_json import NotJson, read_json
from domain.requests import canonical

RECORDS, DIGESTS = "records/", "digests/"
MOST_FLAWS = 100
_OBJECT = re.compile(r"(records/(\w+)/(\d{4}/\d\d/\d\d/\d\d)/\d+-(\d+))-([0-9a-f]{64})\.jsonl")
_DIGEST_NAME = re.compile(r"digests/(\d{8})\.json")
_FIELDS = {"number", "since", "until", "open_hour", "kept_days", "previous", "records", "objects"}


class Broken(ValueError):
    """What stands in a file is not what was written there; the message says in what way, `line` where."""

    def __init__(self, what: str, line: int | None = None):
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where the log is not as it was written, and in what way; `line` is the first bad record."""

    file: str
    line: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last digest of a chain, as somebody knew it: no later chain may be without it."""

    number: int
    sha256: str

    @classmethod
    def from_text(cls, text: str) -> "Head":
        number, _, digest = text.partition(":")
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Digest:
    number: int
    since: str
    until: str
    open_hour: str  # objects of this hour and later may still be taken in by the next one
    kept_days: int
    previous: str  # the SHA-256 of the file before it
    objects: tuple[tuple[str, int], ...]  # name and size

    def text(self) -> str:
        plain = {name: getattr(self, name) for name in self.__slots__}
        return canonical(plain | {"records": sum(count_of(name) for name, _ in self.objects)})


# --- Objects of records ------------------------------------------------------------------


def hour_of(moment: str) -> str:
    """2026/11/25/01 of 2026-11-25T01:41:16.000Z"""
    return moment[:13].replace("-", "/").replace("T", "/")


def count_of(name: str) -> int:
    """How many records an object holds, as its name says; raises Broken if it is no object's name."""
    return int(_parts(name)[3])


def pack(source: str, hour: str, first: str, records: list[dict]) -> tuple[str, bytes]:
    """The object of some records, which came first under this sequence number: its name and what stands in it."""
    place = f"{RECORDS}{source}/{hour}/{first}-{len(records)}"
    link, lines = place, []
    for record in records:
        link = _link(link, canonical(record))
        lines.append(canonical(record | {"link": link}) + "\n")
    data = "".join(lines).encode()
    return f"{place}-{_sha256(data)}.jsonl", data


def unpack(name: str, data: bytes) -> list[dict]:
    """The records of an object; raises Broken with the first line that is not as it was written."""
    place, _, _, count, digest = _parts(name)
    records, link = [], place
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Broken("is not text", data[: error.start].count(b"\n") + 1) from error
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1], 1):
        record = _record(line, number)
        link = _link(link, canonical({key: value for key, value in record.items() if key != "link"}))
        if record["link"] != link:
            raise Broken("is not the record that was written here", number)
        records.append(record)
    if lines[-1] or not records:
        raise Broken("ends within a record", len(lines))
    if len(records) != int(count):
        raise Broken(f"{count} records were written and {len(records)} are there", min(len(records), int(count)) + 1)
    if _sha256(data) != digest:
        raise Broken("was written anew: every line fits and the whole is not what its name says", 1)
    return records


def _record(line: str, number: int) -> dict:
    try:
        record = read_json(line)
    except NotJson as error:
        raise Broken("is no record", number) from error
    if not isinstance(record, dict) or not isinstance(record.get("link"), str) or canonical(record) != line:
        raise Broken("is no record in the form in which records are written", number)
    return record


def _link(before: str, text: str) -> str:
    return _sha256(f"{before}\0{text}".encode())[:16]


# --- Digests -------------------------------------------------------------------------------


def digest_name(number: int) -> str:
    return f"{DIGESTS}{number:08d}.json"


def seal(digest: Digest, signature: bytes) -> bytes:
    """A digest's file: its text, and the signature over its SHA-256."""
    return f"{digest.text()}\n{b64encode(signature).decode()}\n".encode()


def signed_message(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def open_digest(data: bytes) -> tuple[Digest, str, bytes]:
    """A digest, its text and its signature; raises Broken."""
    try:
        text, *rest = data.decode().split("\n")
        raw = read_json(text)
    except ValueError as error:
        raise Broken("is no digest") from error
    if not isinstance(raw, dict) or raw.keys() != _FIELDS or canonical(raw) != text:
        raise Broken("is no digest in the form in which digests are written")
    if len(rest) != 2 or not rest[0] or rest[1]:
        raise Broken("is not signed")
    try:
        signature = b64decode(rest[0], validate=True)
    except Base64Error as error:
        raise Broken("has a signature that is none") from error
    if b64encode(signature).decode() != rest[0]:
        raise Broken("has a signature that is none")
    try:
        objects = tuple((str(name), int(size)) for name, size in raw["objects"])
        known = {name: raw[name] for name in _FIELDS - {"records", "objects"}}
        return Digest(**known, objects=objects), text, signature
    except (TypeError, ValueError) as error:
        raise Broken("is no digest in the form in which digests are written") from error


# --- Verification -----------------------------------------------------------------------------


@dataclass(slots=True)
class Findings:
    """What verification saw, and what is wrong, the first thing first."""

    digests: int = 0
    objects: int = 0
    records: int = 0
    repeated: int = 0  # records that a delivery brought twice
    unsealed: int = 0  # objects that the next digest will name
    expired: int = 0  # objects whose promised time is over, and which are gone
    sealed_until: str = ""
    head: Head | None = None
    flaws: list[Flaw] = field(default_factory=list)

    def add(self, file: str, line: int | None, what: str) -> None:
        if len(self.flaws) < MOST_FLAWS:
            self.flaws.append(Flaw(file, line, what))


def verify(
    digests: Mapping[str, bytes],
    objects: Mapping[str, int],
    read: Callable[[list[str]], Iterable[bytes]],
    is_signed: Callable[[bytes, bytes], bool],
    *,
    heads: Iterable[Head] = (),
    since: str = "",
    now_hour: str = "9",
    expired_before: Callable[[int], str] = lambda days: "",
) -> Findings:
    """Check a whole log: files of digests, names and sizes of objects, and how objects are read, in the order asked.

    `is_signed` says whether a message has this signature. Objects sealed before `since` are not read. What was sealed
    before `expired_before(days)` may be gone.
    """
    findings = Findings()
    chain = list(_chain(digests, is_signed, findings))
    _check_heads(digests, heads, findings)
    wanted: dict[str, str] = {}  # by object: the digest that names it
    opened = ""
    for file, digest in chain:
        for name, size in digest.objects:
            try:
                hour = _parts(name)[2]
            except Broken as error:
                findings.add(file, None, f"names {name}, which {error}")
                continue
            if name in wanted:
                findings.add(name, None, f"is named by {wanted[name]} and again by {file}")
            elif hour < opened:
                findings.add(name, None, f"bears an hour that was closed before {file} named it")
            elif name not in objects:
                if digest.until < expired_before(digest.kept_days):
                    findings.expired += 1
                else:
                    findings.add(name, None, f"is missing; {file} names it")
            elif objects[name] != size:
                findings.add(name, _line_of(name, read), f"has {objects[name]} bytes; {file} says {size}")
            wanted[name] = file
        opened = digest.open_hour
    until = {file: digest.until for file, digest in chain}
    sealed = {name for name, file in wanted.items() if until[file] > since}
    strangers = sorted(objects.keys() - wanted.keys())
    for name in strangers:
        try:
            hour = _parts(name)[2]
        except Broken as error:
            findings.add(name, None, str(error))
            continue
        if not opened <= hour <= now_hour:
            findings.add(name, None, "is named by no digest, and its hour is closed" if hour < opened else "is early")
        findings.unsealed += 1
        sealed.add(name)
    flawed = {flaw.file for flaw in findings.flaws}
    _check_objects([name for name in sorted(sealed) if name in objects and name not in flawed], read, findings)
    return findings


def _chain(
    digests: Mapping[str, bytes], is_signed: Callable[[bytes, bytes], bool], findings: Findings
) -> Iterator[tuple[str, Digest]]:
    """The digests that can be believed, in their order."""
    previous, until, opened, expected = "", "", "", 1
    for file in sorted(digests):
        named = _DIGEST_NAME.fullmatch(file)
        if not named:
            findings.add(file, None, "is no name of a digest")
            continue
        number = int(named[1])
        for missing in range(expected, number):
            findings.add(digest_name(missing), None, f"is missing, and {file} is there")
        try:
            digest, text, signature = open_digest(digests[file])
            if digest.number != number:
                raise Broken(f"is digest {digest.number}")
            if not is_signed(signed_message(text), signature):
                raise Broken("is not signed with the key of this log")
            if number == expected and digest.previous != previous:
                raise Broken("does not follow from the digest before it")
            if number == expected and digest.since != until or digest.until < digest.since:
                raise Broken("does not begin where the one before it ended")
            if digest.open_hour < opened:
                raise Broken("opens an hour that was closed")
            if list(digest.objects) != sorted(set(digest.objects)):
                raise Broken("does not name its objects in order")
            yield file, digest
            until, opened = digest.until, digest.open_hour
            findings.sealed_until = digest.until
        except Broken as error:
            findings.add(file, None, str(error))
        previous, expected = _sha256(digests[file]), number + 1
        findings.digests += 1
        findings.head = Head(number, previous)


def _check_heads(digests: Mapping[str, bytes], heads: Iterable[Head], findings: Findings) -> None:
    last = findings.head.number if findings.head else 0
    for head in sorted(heads, key=lambda head: head.number):
        file = digest_name(head.number)
        for missing in range(last + 1, head.number + 1):
            findings.add(digest_name(missing), None, f"is missing, and {file} was the last once: the log was cut off")
        last = max(last, head.number)
        if file not in digests:
            continue
        if _sha256(digests[file]) != head.sha256:
            findings.add(file, None, "is not the digest that was once the last one")


def _check_objects(names: list[str], read: Callable[[list[str]], Iterable[bytes]], findings: Findings) -> None:
    by_content = {_parts(name)[4]: name for name in names}
    seen: set[int] = set()
    for name, data in zip(names, read(names), strict=True):
        findings.objects += 1
        try:
            records = unpack(name, data)
        except Broken as error:
            other = by_content.get(_sha256(data), name)
            what = str(error) if other == name else f"holds what was written to {other}"
            findings.add(name, error.line, what)
            continue
        findings.records += len(records)
        known = len(seen)
        seen |= {int(record["record_id"][:16], 16) for record in records}
        findings.repeated += len(records) - (len(seen) - known)


def _line_of(name: str, read: Callable[[list[str]], Iterable[bytes]]) -> int | None:
    try:
        unpack(name, next(iter(read([name]))))
    except Broken as error:
        return error.line
    return None


def _parts(name: str) -> tuple[str, str, str, str, str]:
    """Place, source, hour, count and SHA-256 of an object, by its name."""
    found = _OBJECT.fullmatch(name)
    if not found:
        raise Broken("is no name of an object of records")
    return found.groups()  # type: ignore[return-value]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
