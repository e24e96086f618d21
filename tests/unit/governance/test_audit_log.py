"""The audit log as RecordAudit and WriteDigest write it: whole after any death, and telling whatever was changed."""

import hashlib
import json
from types import SimpleNamespace

import boto3
import pytest
from audit_files import T0, admitted, change, files, public_key, verified
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters import dynamodb
from adapters.governance import audit_log
from audit import write_digest
from bulwark.cli import audit as cli
from domain.governance.audit_chain import Head, digest_name, hour_of, open_digest, pack, seal, signed_message
from outbox import record_audit

HOUR = 3600


@pytest.fixture
def record(audit_bucket, control, dead_letters, clock, context):
    """Record the admissions of some requests, in one batch."""

    def run(*numbers: int) -> None:
        record_audit.handler(
            {"Records": [change("requests", admitted(each), number=each) for each in numbers]}, context
        )

    return run


@pytest.fixture
def digest(record, context):
    return lambda: write_digest.handler({}, context)


@pytest.fixture
def log(record, digest, clock) -> dict[str, bytes]:
    """Three hours of two objects each, sealed, and one object more."""
    for hour in range(3):
        record(*range(hour * 10, hour * 10 + 4))
        record(*range(hour * 10 + 4, hour * 10 + 7))
        clock(HOUR)
        digest()
    record(90, 91)
    return files()


def of(log: dict[str, bytes], number: int) -> tuple[tuple[str, int], ...]:
    return open_digest(log[digest_name(number)])[0].objects


def objects(log: dict[str, bytes]) -> list[str]:
    return sorted(name for name in log if name.startswith("records/"))


def test_a_log_that_nobody_touched_is_as_it_was_written(log):
    found = verified(log)

    assert found.flaws == []
    assert (found.digests, found.objects, found.records, found.unsealed, found.repeated) == (3, 7, 23, 1, 0)


# --- Tampering: each kind is found, and where ------------------------------------------------


def edit_a_byte(log):
    name = objects(log)[2]
    lines = log[name].split(b"\n")
    lines[2] = lines[2].replace(b"general", b"generaL")
    log[name] = b"\n".join(lines)
    return name, 3


def edit_a_value(log):
    name = objects(log)[0]
    lines = log[name].decode().split("\n")
    record = json.loads(lines[1])
    lines[1] = json.dumps(record | {"actor": "someone"}, sort_keys=True, separators=(",", ":"))
    log[name] = "\n".join(lines).encode()
    return name, 2


def edit_and_mend_the_object(log):
    """A forger who knows how lines are tied, and has no key."""
    name = objects(log)[0]
    records = [json.loads(line) for line in log[name].decode().splitlines()]
    forged = [{key: value for key, value in one.items() if key != "link"} | {"actor": "someone"} for one in records]
    _, source, hour, first = name.split("/")[0], "requests", "/".join(name.split("/")[2:6]), name.split("/")[6]
    renamed, data = pack(source, hour, first.split("-")[0], forged)
    del log[name]
    log[renamed] = data
    return name, None


def edit_and_mend_under_the_same_name(log):
    name = objects(log)[0]
    records = [json.loads(line) for line in log[name].decode().splitlines()]
    forged = [{key: value for key, value in one.items() if key != "link"} | {"actor": "bulwarj"} for one in records]
    _, log[name] = pack("requests", "/".join(name.split("/")[2:6]), name.split("/")[6].split("-")[0], forged)
    return name, 1


def delete_a_line(log):
    name = objects(log)[1]
    lines = log[name].split(b"\n")
    log[name] = b"\n".join(lines[:1] + lines[2:])
    return name, 2


def delete_the_last_line(log):
    name = objects(log)[0]
    log[name] = b"".join(log[name].splitlines(keepends=True)[:-1])
    return name, 4


def cut_an_object_off(log):
    name = objects(log)[0]
    log[name] = log[name][:-40]
    return name, 4


def delete_an_object(log):
    name = objects(log)[3]
    del log[name]
    return name, None


def insert_a_record(log):
    name = objects(log)[0]
    lines = log[name].splitlines(keepends=True)
    log[name] = b"".join([lines[0], lines[2], *lines[1:]])
    return name, 2


def append_a_record(log):
    name, other = objects(log)[:2]
    log[name] += log[other].splitlines(keepends=True)[0]
    return name, 5


def reorder_lines(log):
    name = objects(log)[1]
    first, second, third = log[name].splitlines(keepends=True)
    log[name] = first + third + second
    return name, 2


def swap_two_objects(log):
    first, second = objects(log)[1], objects(log)[3]
    log[first], log[second] = log[second], log[first]
    return first, 1


def replay_an_old_object(log):
    """Under the name of another hour, which is open."""
    old, open_one = objects(log)[0], objects(log)[-1]
    name = old.replace("/".join(old.split("/")[2:6]), "/".join(open_one.split("/")[2:6]))
    log[name] = log[old]
    return name, 1


def insert_an_object_into_a_closed_hour(log):
    hour = "/".join(objects(log)[0].split("/")[2:6])
    name, log_data = pack("requests", hour, "555", [{"record_id": "f" * 32, "action": "FORGED"}])
    log[name] = log_data
    return name, None


def rename_an_object(log):
    name = objects(log)[0]
    renamed = name.replace("/101-", "/999-").replace("/100-", "/999-")
    log[renamed] = log.pop(name)
    return name, None


def add_a_stranger(log):
    log["records/notes.txt"] = b"nothing"
    return "records/notes.txt", None


def edit_a_digest(log):
    log[digest_name(2)] = log[digest_name(2)].replace(b'"kept_days":400', b'"kept_days":401')
    return digest_name(2), None


def backdate_a_digest(log):
    log[digest_name(2)] = log[digest_name(2)].replace(b'"until":"2027-01-15T10', b'"until":"2027-01-15T09')
    return digest_name(2), None


def delete_a_digest(log):
    del log[digest_name(2)]
    return digest_name(2), None


def delete_the_first_digest(log):
    del log[digest_name(1)]
    return digest_name(1), None


def cut_the_tail_off(log):
    digest, _, _ = open_digest(log.pop(digest_name(3)))
    for name, _ in digest.objects:
        del log[name]
    return digest_name(3), None


def take_a_signature_off(log):
    log[digest_name(2)] = log[digest_name(2)].split(b"\n")[0] + b"\n"
    return digest_name(2), None


def swap_two_digests(log):
    log[digest_name(1)], log[digest_name(2)] = log[digest_name(2)], log[digest_name(1)]
    return digest_name(1), None


def give_a_digest_another_s_signature(log):
    text = log[digest_name(2)].split(b"\n")[0]
    log[digest_name(2)] = text + b"\n" + log[digest_name(1)].split(b"\n")[1] + b"\n"
    return digest_name(2), None


def leave_a_gap_in_numbers(log):
    log[digest_name(5)] = log[digest_name(3)]
    return digest_name(4), None


def add_a_digest_that_is_none(log):
    log["digests/0001.json"] = log[digest_name(1)]
    return "digests/0001.json", None


KINDS = [
    edit_a_byte,
    edit_a_value,
    edit_and_mend_the_object,
    edit_and_mend_under_the_same_name,
    delete_a_line,
    delete_the_last_line,
    cut_an_object_off,
    delete_an_object,
    insert_a_record,
    append_a_record,
    reorder_lines,
    swap_two_objects,
    replay_an_old_object,
    insert_an_object_into_a_closed_hour,
    rename_an_object,
    add_a_stranger,
    edit_a_digest,
    backdate_a_digest,
    delete_a_digest,
    delete_the_first_digest,
    cut_the_tail_off,
    take_a_signature_off,
    swap_two_digests,
    give_a_digest_another_s_signature,
    leave_a_gap_in_numbers,
    add_a_digest_that_is_none,
]


@pytest.mark.parametrize("tamper", KINDS, ids=lambda kind: kind.__name__)
def test_each_kind_of_change_is_found_and_located(log, tamper):
    file, line = tamper(log)

    flaws = verified(log).flaws

    assert flaws, "the change went unnoticed"
    assert (flaws[0].file, flaws[0].line) == (file, line)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_a_byte_in_any_file_is_found(log, data):
    name = data.draw(st.sampled_from(sorted(log)))
    place = data.draw(st.integers(0, len(log[name]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != log[name][place]))
    changed = log | {name: log[name][:place] + bytes([byte]) + log[name][place + 1 :]}

    flaws = verified(changed).flaws

    assert name in {flaw.file for flaw in flaws}
    if name.startswith("records/"):
        line = log[name][:place].count(b"\n") + 1
        assert flaws[0].line in (line, line + 1), "a line's end is part of two"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_files_that_are_lost_are_found(log, data):
    sealed = [name for name in log if name != objects(log)[-1]]
    lost = data.draw(st.lists(st.sampled_from(sorted(sealed)), min_size=1, unique=True))
    rest = {name: content for name, content in log.items() if name not in lost}

    found = {flaw.file for flaw in verified(rest).flaws}

    digests = {name for name in lost if name.startswith("digests/")}
    named = {name for number in (1, 2, 3) if digest_name(number) not in lost for name, _ in of(log, number)}
    assert digests <= found
    assert named & set(lost) <= found, "what a digest names that is there"


# --- A rewrite by someone without the key -------------------------------------------------------


@pytest.fixture
def rewritten(log) -> dict[str, bytes]:
    """The whole log forged and signed anew, with a key of the forger's own."""
    kms = boto3.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    forged, previous = {name: data for name, data in log.items() if name.startswith("records/")}, ""
    for number in range(1, 4):
        digest, _, _ = open_digest(log[digest_name(number)])
        kept = tuple(each for each in digest.objects if "requests" in each[0])[1:]
        for name in {name for name, _ in digest.objects} - {name for name, _ in kept}:
            del forged[name]
        digest = type(digest)(number, digest.since, digest.until, digest.open_hour, digest.kept_days, previous, kept)
        signed = kms.sign(
            KeyId=key,
            Message=signed_message(digest.text()),
            MessageType="RAW",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        forged[digest_name(number)] = seal(digest, signed["Signature"])
        previous = hashlib.sha256(forged[digest_name(number)]).hexdigest()
    forged["key"] = kms.get_public_key(KeyId=key)["PublicKey"]
    return forged


def test_a_log_rewritten_under_another_key_is_refused(rewritten):
    rewritten.pop("key")

    [first, *_] = verified(rewritten).flaws

    assert (first.file, first.what) == (digest_name(1), "is not signed with the key of this log")


def test_one_rewritten_whole_is_consistent_and_a_head_that_was_kept_tells_it(log, rewritten):
    """With the forger's key for the log's: what a pinned key and a kept head are for."""
    key = rewritten.pop("key")
    kept = Head(2, hashlib.sha256(log[digest_name(2)]).hexdigest())
    now = Head(1, hashlib.sha256(rewritten[digest_name(1)]).hexdigest())

    assert verified(rewritten, now, key=key).flaws == []
    assert [flaw.file for flaw in verified(rewritten, kept, key=key).flaws] == [digest_name(2)]


# --- What may be gone, and what comes late ---------------------------------------------------------


def test_what_is_kept_no_longer_than_promised_may_be_gone(log):
    first, _, _ = open_digest(log[digest_name(1)])
    for name, _ in first.objects:
        del log[name]

    assert verified(log, expired_before=lambda days: "2027-01-15T09:30").flaws == []
    assert verified(log, expired_before=lambda days: "2027-01-15T09:30").expired == 2
    assert len(verified(log, expired_before=lambda days: "2027-01-15T08").flaws) == 2


def test_only_what_was_sealed_since_is_read(log):
    found = verified(log, since="2027-01-15T10:30")

    assert (found.digests, found.objects, found.flaws) == (3, 3, [])


def test_an_object_that_comes_late_is_in_the_next_digest(record, digest, clock, context):
    hour = hour_of("2027-01-15T08:00")
    digest()
    audit_log.write_records("requests", hour, "7", [{"record_id": "a" * 32}])
    clock(HOUR)
    digest()
    audit_log.write_records("requests", hour, "8", [{"record_id": "b" * 32}])
    digest()

    found = verified(files())

    assert (found.flaws, found.unsealed, found.objects) == ([], 0, 2)


def test_hours_that_were_missed_are_in_the_next_digest(record, digest, clock):
    for number in range(30):
        record(number)
        clock(HOUR)
    digest()

    found = verified(files())

    assert (found.flaws, found.unsealed, found.records, found.digests) == ([], 0, 30, 1)


def test_what_is_too_much_for_one_digest_has_the_next_one(record, digest, clock, monkeypatch):
    monkeypatch.setattr(write_digest, "MOST_OBJECTS", 3)
    for number in range(8):
        record(number)
        clock(HOUR // 2)
    digest()

    found = verified(files())

    assert (found.flaws, found.unsealed, found.digests) == ([], 0, 3)


# --- Deaths, and deliveries that come twice -----------------------------------------------------------


def test_a_batch_that_comes_twice_is_one_object_in_its_hour_and_one_more_in_another(record, digest, clock):
    record(1, 2)
    record(1, 2)
    clock(HOUR)
    record(1, 2)
    digest()

    found = verified(files())

    assert (found.objects, found.records, found.repeated, found.flaws) == (2, 4, 2, [])


@pytest.mark.parametrize("dies_after", range(1, 9))
def test_a_death_between_any_two_calls_leaves_a_log_that_verifies(
    record, digest, clock, context, monkeypatch, dies_after
):
    """Every call to AWS is counted, and the process ends after one of them, in either function."""
    record(1)
    digest()
    clock(HOUR)

    class Died(BaseException):
        pass

    left = [dies_after]

    def dying(client):
        real = client._make_api_call

        def call(operation, arguments):
            result = real(operation, arguments)
            left[0] -= 1
            if left[0] == 0:
                raise Died
            return result

        monkeypatch.setattr(client, "_make_api_call", call)

    for client in (audit_log.s3, audit_log.kms, dynamodb.client):
        dying(client)
    for step in (lambda: record(2, 3), digest):
        try:
            step()
        except Died:
            assert verified(files()).flaws == []
    for step in (lambda: record(2, 3), digest):
        step()

    found = verified(files())
    assert (found.flaws, found.unsealed) == ([], 0)
    assert found.records - found.repeated == 3
    assert audit_log.find_head() == found.head


def test_of_two_runs_at_once_one_writes_a_number(record, digest, monkeypatch, context):
    record(1)
    other = audit_log.write_digest

    def overtaken(made):
        monkeypatch.setattr(audit_log, "write_digest", other)
        write_digest.handler({}, context)
        return other(made)

    monkeypatch.setattr(audit_log, "write_digest", overtaken)
    digest()

    assert [name for name in sorted(files()) if name.startswith("digests/")] == [digest_name(1)]
    assert verified(files()).flaws == []


def test_a_locked_object_cannot_be_deleted_or_overwritten(log, audit_bucket):
    name = objects(log)[0]
    client = boto3.client("s3")
    [version] = client.list_object_versions(Bucket="audit", Prefix=name)["Versions"]

    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket="audit", Key=name, VersionId=version["VersionId"])
    assert audit_log._put(name, b"other") is False


def test_a_bad_image_is_parked_and_keeps_back_no_neighbour(audit_bucket, control, dead_letters, clock, context):
    bad = change("requests", {**admitted(2), "status": "COMPLETED", "secret": "a word"}, admitted(2), number=2)
    record_audit.handler(
        {"Records": [change("requests", admitted(each), number=each) for each in (1, 3)] + [bad, {"eventID": "x"}]},
        context,
    )

    [data] = files().values()
    assert [json.loads(line)["request_id"] for line in data.splitlines()] == ["r-1", "r-3"]
    letters = dead_letters()
    assert [letter["kind"] for letter in letters] == ["audit", "audit"]
    assert "a word" not in json.dumps(letters)

    # Mended, it is recorded as it would have been.
    parked = json.loads(letters[0]["body"])["audit"]
    parked["new"]["outcome_at"] = "2027-01-15T08:00:05.000Z"
    record_audit.handler({"replay": [parked]}, context)
    assert len(files()) == 2


def test_the_public_key_is_what_a_digest_is_checked_with(log):
    other = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    foreign = boto3.client("kms").get_public_key(KeyId=other)["PublicKey"]

    assert foreign != public_key()
    assert [flaw.file for flaw in verified(log, key=foreign).flaws][:3] == [digest_name(each) for each in (1, 2, 3)]


def line(number: int) -> dict:
    return {"record_id": f"{number:032x}", "at": T0, "action": "REQUEST_ADMITTED", "actor": "bulwark"}


def listed() -> SimpleNamespace:
    return SimpleNamespace(client=boto3.client, outputs={"AuditBucket": "audit", "ControlTable": "control"})


def test_a_record_that_is_hidden_before_it_is_sealed_is_missed(audit_bucket, control, clock):
    """A lock keeps the version; who may delete can hide it behind a marker, where WriteDigest does not see it."""
    names = [audit_log.write_records("requests", hour_of(T0), str(n), [line(n)]) for n in (1, 2)]
    boto3.client("s3").delete_object(Bucket="audit", Key=names[1])

    assert list(cli.Log(listed()).altered) == [names[1]]


def test_a_tail_that_is_hidden_is_missed_though_the_head_was_set_back(audit_bucket, control, clock, context):
    audit_log.write_records("requests", hour_of(T0), "1", [line(1)])
    head = write_digest.handler({}, context)
    name = audit_log.write_records("requests", hour_of(T0), "2", [line(2)])
    clock(1)
    write_digest.handler({}, context)
    for hidden in (digest_name(2), name):
        boto3.client("s3").delete_object(Bucket="audit", Key=hidden)
    control.put_item(Item={"control_key": "audit-head", "number": 1, "sha256": head["sha256"]})

    found = cli.check(listed(), public_key=public_key())
    assert {flaw.file for flaw in found.flaws} >= {digest_name(2), name}


def test_what_s3_deleted_after_its_time_is_no_flaw(audit_bucket, control):
    name = audit_log.write_records("requests", "2020/01/01/00", "1", [line(1)])
    boto3.client("s3").delete_object(Bucket="audit", Key=name)

    assert cli.Log(listed()).altered == {}
