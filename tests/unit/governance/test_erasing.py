"""The functions of an erasure: who may ask, what holds it up, and what its end says."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from adapters import subject_keys, workflows
from adapters.clock import iso
from adapters.governance import erasures_table, receipts
from adapters.governance.erasers.cases import open_case
from domain.errors import SubjectHeld
from domain.governance.erasures import Outcome, names, outcome_of, receipt_of
from domain.requests import canonical
from erasure import issue_receipt as issuing
from erasure.await_lift import handler as await_lift
from erasure.close_subject import handler as close_subject
from erasure.drop_key import handler as drop_key
from erasure.end_requests import MACHINE_SECONDS
from erasure.end_requests import handler as end_requests
from erasure.issue_receipt import handler as issue_receipt
from governance import request_erasure as request
from governance.request_erasure import handler as request_erasure
from legal_hold.lift_hold import handler as lift_hold

NOW = 1_800_000_000.0
ACCOUNT = "123456789012"
DETAIL = {"subject_id": "ana", "reason": "SUBJECT_REQUEST", "requested_by": "desk"}


@pytest.fixture
def started(monkeypatch) -> list[dict]:
    told: list[dict] = []
    monkeypatch.setattr(workflows, "start_erasure", told.append)
    return told


@pytest.fixture
def ask(stores, rules, clock, context, started):
    """Ask for an erasure by an event; gives what is answered."""

    def run(source: str = "acme.app", account: str | None = ACCOUNT, **detail) -> dict:
        from_the_bus = {} if account is None else {"id": "1", "account": account}
        return request_erasure({**from_the_bus, "source": source, "detail": DETAIL | detail}, context)

    return run


def of(answer: dict) -> dict:
    return {"execution_name": "x", **{name: answer[name] for name in ("erasure_id", "subject_ref")}}


def test_an_application_erases_its_own_tenant_s_people_and_says_no_other(ask):
    assert ask()["subject_ref"] == subject_keys.subject_ref("acme", "ana")
    assert ask("globex.app")["subject_ref"] == subject_keys.subject_ref("globex", "ana")
    assert ask(tenant="acme")["erasure_id"]


@pytest.mark.parametrize(
    ("source", "account", "detail"),
    [
        ("acme.app", ACCOUNT, {"tenant": "globex"}),
        ("acme.app", "999999999999", {}),
        ("nobody.app", ACCOUNT, {"tenant": "acme"}),
        ("bulwark", ACCOUNT, {"tenant": "acme"}),
        ("bulwark", None, {}),
        ("bulwark", None, {"tenant": "nobody"}),
        ("acme.app", ACCOUNT, {"subject_id": ""}),
        ("acme.app", ACCOUNT, {"subject_id": None}),
        ("acme.app", ACCOUNT, {"reason": "because ana said so"}),
        ("acme.app", ACCOUNT, {"requested_by": ""}),
        ("acme.app", ACCOUNT, {"subject_id": "ana\x1b[31m"}),
        ("acme.app", ACCOUNT, {"subject_id": "ana\ud83d"}),
        ("acme.app", ACCOUNT, {"requested_by": "ana\x07"}),
    ],
)
def test_what_may_not_be_asked_is_refused_without_a_name(ask, started, source, account, detail, capsys):
    answer = ask(source, account, **detail)

    assert answer["erasure_id"] is None and answer["refused"]
    assert started == []
    assert '"ana' not in capsys.readouterr().out


@pytest.mark.parametrize(
    "asked",
    [
        {"reapply": "*"},
        {"reapply": ""},
        {"reapply": None},
        {"reapply": "a" * 100_000},
        {"reapply": "0" * 32, "requested_by": "kim\u001b[2J"},
        {"reapply": "0" * 32, "requested_by": ""},
    ],
)
def test_what_is_to_be_erased_again_is_checked_as_what_is_erased_first(stores, rules, context, started, asked):
    told = request_erasure({"requested_by": "kim"} | asked, context)

    assert told["erasure_id"] is None and len(told["refused"]) < 200 and started == []


def test_our_own_command_names_the_tenant(ask):
    assert ask("bulwark", None, tenant="acme")["subject_ref"] == subject_keys.subject_ref("acme", "ana")


def test_asked_twice_it_is_the_same_erasure_and_is_started_again(ask, started):
    assert ask() == ask()
    assert len(started) == 2 and started[0] == started[1]
    assert started[0].keys() == {"erasure_id", "subject_ref", "tenant"}, "nothing else may stand in a history"


def test_the_record_tells_no_name_and_opens_with_the_subject_s_key_alone(ask, control):
    answer = ask()

    assert "ana" not in json.dumps(control.scan()["Items"], default=str)
    assert open_case(answer["erasure_id"], ACCOUNT).subject_id == "ana"
    subject_keys.begin_erasure(answer["subject_ref"], answer["erasure_id"], NOW)
    subject_keys.drop(answer["subject_ref"], answer["erasure_id"])
    assert open_case(answer["erasure_id"], ACCOUNT).subject_id is None


def notes_of(control) -> list[dict]:
    return [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]


def test_each_erasure_that_began_is_in_the_audit_log_once(ask, reapply, control):
    wanted = {(ask()["erasure_id"], "desk"), (reapply()["erasure_id"], "operator")}
    ask(), reapply()

    notes = notes_of(control)
    assert {note["action"] for note in notes} == {"ERASURE_REQUESTED"} and len(notes) == 2
    assert {(note["facts"]["erasure_id"], note["actor"]) for note in notes} == wanted


def test_no_erasure_begins_without_its_note(ask, control, monkeypatch):
    monkeypatch.setattr(request.audit_notes, "note", lambda *_, **__: {"Put": {"TableName": "none", "Item": {}}})

    with pytest.raises(ClientError):
        ask()

    assert control.scan()["Items"] == []


def test_who_asks_for_themselves_is_named_nowhere(ask, reapply, context, control, bus, receipt_key):
    answer = ask(requested_by="ana")
    reapply(by="ana")
    close_subject(of(answer), context)
    drop(answer, context)
    issue_receipt(of(answer), context)

    assert '"ana"' not in json.dumps([control.scan()["Items"], bus()], default=str)
    assert {note["actor"] for note in notes_of(control)} == {"subject", "bulwark"}
    document = json.loads(receipts.payloads.get(receipts.ref_of(answer["erasure_id"])))
    assert document["receipt"]["requested_by"] == "subject"


def test_a_hold_is_told_once_and_audited(ask, context, bus, control):
    answer = ask()
    subject_keys.hold(answer["subject_ref"], "acme", "legal", "case-7", NOW)

    assert close_subject(of(answer), context) == close_subject(of(answer), context) == {"held": True, "dropped": False}

    [told] = bus()
    assert (told["detail-type"], told["detail"]["reason"]) == ("ErasureDelayed", "HELD")
    assert erasures_table.find(answer["erasure_id"])["status"] == "WAITING"
    actions = [item["action"] for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]
    assert sorted(actions) == ["ERASURE_DELAYED", "ERASURE_REQUESTED"]


@pytest.fixture
def reapply(ask, context, control):
    """Ask for an erasure to be done again, of a subject that was forgotten; gives what is answered."""

    def run(by: str = "operator") -> dict:
        ref = subject_keys.subject_ref("acme", "ana")
        register = {"tenant": "acme", "subject_ref": ref, "erased_at": iso(NOW - 9)}
        control.put_item(Item={"control_key": f"erased#{ref}"} | register)
        return request_erasure({"reapply": ref, "requested_by": by}, context)

    return run


def test_a_hold_delays_an_erasure_that_is_done_again(reapply, context, bus):
    answer = reapply()
    subject_keys.make(answer["subject_ref"], "acme", NOW)
    subject_keys.hold(answer["subject_ref"], "acme", "legal", "case-7", NOW)

    assert close_subject(of(answer), context)["held"]
    assert [told["detail-type"] for told in bus()] == ["ErasureDelayed"]
    assert erasures_table.find(answer["erasure_id"])["status"] == "WAITING"

    begun = subject_keys.begin_lift(answer["subject_ref"], "kim", "over", NOW)
    subject_keys.lift(answer["subject_ref"], begun["hold"])
    assert not close_subject(of(answer), context)["held"]
    assert "erasure" not in subject_keys.find(answer["subject_ref"]), "a new life goes on"


def test_who_asks_while_an_erasure_is_done_again_is_forgotten_as_a_whole(ask, reapply, context, bus, receipt_key):
    again, asked = reapply(), ask()
    assert again["erasure_id"] != asked["erasure_id"]
    assert (reapply(), ask()) == (again, asked)

    for answer in (again, asked):
        close_subject(of(answer), context)
        drop(answer, context)
    issue_receipt(of(again), context)
    assert erasures_table.running(again["subject_ref"], again=True) is None
    assert erasures_table.running(asked["subject_ref"])["erasure_id"] == asked["erasure_id"]
    issue_receipt(of(asked), context)
    assert erasures_table.running(asked["subject_ref"]) is None


def test_a_lifted_hold_lets_both_erasures_of_a_subject_go_on(ask, reapply, started):
    wanted = {answer["erasure_id"] for answer in (ask(), reapply())}
    started.clear()

    assert erasures_table.go_on(subject_keys.subject_ref("acme", "ana"))

    assert {one["erasure_id"] for one in started} == wanted


def test_a_hold_that_was_lifted_before_the_token_was_kept_is_seen(ask, context, monkeypatch):
    answer, told = ask(), []
    monkeypatch.setattr(workflows, "resume", lambda token, output: told.append(token))

    await_lift(of(answer) | {"task_token": "t"}, context)
    assert told == ["t"]

    subject_keys.hold(answer["subject_ref"], "acme", "legal", "case-7", NOW)
    await_lift(of(answer) | {"task_token": "u"}, context)
    assert told == ["t"] and erasures_table.waiting_token(answer["subject_ref"]) == "u"


def test_an_erasure_that_waits_outlives_every_hold(ask, context, bus, receipt_key):
    answer = ask()
    assert "expires_at" not in erasures_table.find(answer["erasure_id"])

    close_subject(of(answer), context)
    drop(answer, context)
    issue_receipt(of(answer), context)

    assert erasures_table.find(answer["erasure_id"])["expires_at"] == NOW + erasures_table.KEPT_SECONDS


def test_an_erasure_whose_record_is_gone_stops_no_other(ask, control):
    gone = ask()["erasure_id"]
    control.delete_item(Key={"control_key": f"erasure#{gone}"})

    answer = ask()

    assert answer["erasure_id"] != gone
    assert erasures_table.running(answer["subject_ref"])["erasure_id"] == answer["erasure_id"]


@pytest.mark.parametrize("waits", [True, False])
def test_a_lifted_hold_resumes_an_erasure_or_starts_it_again(ask, context, started, bus, monkeypatch, waits):
    answer = ask()
    hold = {"tenant": "acme", "subject_id": "ana", "by": "legal", "reason": "case-7", "cursor": ""}
    subject_keys.hold(answer["subject_ref"], "acme", "legal", "case-7", NOW)
    close_subject(of(answer), context)
    await_lift(of(answer) | {"task_token": "t"}, context)
    monkeypatch.setattr(workflows, "resume", lambda token, output: waits)
    started.clear()

    assert lift_hold(hold, context)["standing"] == "LIFTED"

    assert [one["erasure_id"] for one in started] == ([] if waits else [answer["erasure_id"]])


def test_an_execution_that_may_still_write_is_awaited(ask, context, requests, clock):
    answer = ask()
    item = {"request_key": "acme#r", "status": "ADMITTED", "in_flight_key": "in-flight#acme#0"}
    requests.put_item(Item=item | {"admitted_at": iso(NOW - 40), "subject_ref": answer["subject_ref"]})

    assert end_requests(of(answer), context)["settle_seconds"] == MACHINE_SECONDS - 40 + 1
    clock(MACHINE_SECONDS)
    assert end_requests(of(answer), context)["settle_seconds"] == 0


def drop(answer: dict, context, found: int = 0) -> None:
    drop_key(of(answer) | {"searched": [{"store": "RequestsTable", "found": found}], "round": 1}, context)


def test_a_key_is_dropped_once_and_a_new_life_s_key_is_not(ask, context, bus):
    answer = ask()
    close_subject(of(answer), context)
    drop(answer, context)
    assert subject_keys.find(answer["subject_ref"]) is None
    subject_keys.make(answer["subject_ref"], "acme", NOW)

    drop(answer, context)

    assert subject_keys.find(answer["subject_ref"])


def test_a_key_that_a_dead_run_dropped_is_told_from_one_that_is_still_there(ask, context, clock):
    answer = ask()
    with pytest.raises(SubjectHeld):
        drop(answer, context)
    assert "key_dropped_at" not in erasures_table.find(answer["erasure_id"]), "nobody closed the subject"

    close_subject(of(answer), context)
    subject_keys.drop(answer["subject_ref"], answer["erasure_id"])
    clock(1)
    subject_keys.make(answer["subject_ref"], "acme", NOW + 1)
    drop(answer, context)

    assert subject_keys.find(answer["subject_ref"]) and erasures_table.find(answer["erasure_id"])["key_dropped_at"]


def test_a_key_that_a_backup_brought_back_is_dropped_and_a_newer_one_is_not(stores):
    subject_keys.make("0f" * 16, "acme", NOW)

    assert not subject_keys.drop_older("0f" * 16, iso(NOW))
    assert subject_keys.drop_older("0f" * 16, iso(NOW + 1))


def test_an_erasure_said_again_after_its_key_went_leaves_a_new_life_alone(ask, context, requests):
    answer = ask()
    close_subject(of(answer), context)
    drop(answer, context)
    subject_keys.make(answer["subject_ref"], "acme", NOW)

    assert ask() == answer
    assert close_subject(of(answer), context) == {"held": False, "dropped": True}
    assert "erasure" not in subject_keys.find(answer["subject_ref"])
    assert end_requests(of(answer), context)["settle_seconds"] == 0
    assert open_case(answer["erasure_id"], ACCOUNT).key is None


def test_an_erasure_that_the_bus_did_not_take_has_not_ended(ask, context, bus, receipt_key, monkeypatch):
    answer = ask()
    close_subject(of(answer), context)
    drop(answer, context)
    with monkeypatch.context() as patched:
        patched.setattr(issuing.bus, "publish", lambda entries: ["down"])
        with pytest.raises(RuntimeError):
            issue_receipt(of(answer), context)
    assert ask() == answer, "it goes on"

    issue_receipt(of(answer), context)

    assert len(bus()) == 1 and erasures_table.running(answer["subject_ref"]) is None


def test_the_end_is_told_before_it_is_kept_and_told_again_under_the_same_id(ask, context, bus, control, receipt_key):
    answer = ask()
    close_subject(of(answer), context)
    erasures_table.advance(answer["erasure_id"], "RequestsTable", None, 3)
    drop(answer, context)

    assert issue_receipt(of(answer), context) == issue_receipt(of(answer), context) == {"outcome": "ERASED"}

    first, again = bus()
    assert first["detail"] == again["detail"] and first["detail-type"] == "SubjectErased"
    record = erasures_table.find(answer["erasure_id"])
    assert record["status"] == "DONE" and "sealed_subject" not in record
    assert erasures_table.running(answer["subject_ref"]) is None
    assert erasures_table.forgotten(answer["subject_ref"])["erasure_id"] == answer["erasure_id"]
    document = json.loads(receipts.payloads.get(record["receipt_ref"]))
    assert document["receipt"]["erased"] == {"RequestsTable": 3}
    assert "ana" not in canonical(document["receipt"])


def test_a_receipt_that_was_changed_is_none(ask, context, bus, receipt_key):
    answer = ask()
    close_subject(of(answer), context)
    drop(answer, context)
    issue_receipt(of(answer), context)
    document = json.loads(receipts.payloads.get(receipts.ref_of(answer["erasure_id"])))
    kms = boto3.client("kms")

    def valid(receipt: dict) -> bool:
        import base64

        signature = base64.b64decode(document["signature"])
        message = receipts._signed(receipt)
        how = {"MessageType": "RAW", "SigningAlgorithm": receipts.ALGORITHM}
        try:
            return kms.verify(KeyId=receipt_key, Message=message, Signature=signature, **how)["SignatureValid"]
        except kms.exceptions.KMSInvalidSignatureException:
            return False

    assert valid(document["receipt"])
    for name in document["receipt"]:
        assert not valid(document["receipt"] | {name: "changed"}), name


@pytest.mark.parametrize(
    ("known", "erased", "residual", "outcome"),
    [
        (False, {"RequestsTable": 0}, {}, Outcome.UNKNOWN_SUBJECT),
        (True, {"RequestsTable": 0}, {}, Outcome.ERASED),
        (False, {"DeadLetterQueue": 1}, {}, Outcome.ERASED),
        (True, {"RequestsTable": 1}, {"PayloadBucket": 1}, Outcome.INCOMPLETE),
    ],
)
def test_the_outcome_is_what_was_found(known, erased, residual, outcome):
    record = {"known": known, "erased": erased, "residual": residual}

    assert outcome_of(record) is outcome


def test_a_receipt_states_for_how_long_it_could_be_undone():
    record = {name: "x" for name in "erasure_id tenant subject_ref requested_by reason requested_at erased_at".split()}
    receipt = receipt_of(record | {"known": True})

    assert (receipt["keys_backup_days"], receipt["stream_hours"], receipt["tables_backup_days"]) == (1, 24, 35)


def test_the_backup_that_a_receipt_states_is_the_template_s(template):
    recovery = template["Resources"]["KeysTable"]["Properties"]["PointInTimeRecoverySpecification"]

    assert recovery["RecoveryPeriodInDays"] == 1


@pytest.mark.parametrize(
    ("detail", "mine"),
    [
        ({"subject_id": "ana"}, True),
        ({"subject_id": "ben", "user_id": "ana"}, True),
        ({"subject_id": "anastasia"}, False),
        ({"query": "ana"}, False),
        (None, False),
        ("ana", False),
    ],
)
def test_a_message_is_of_whom_it_names(detail, mine):
    assert names(detail, "ana") is mine
