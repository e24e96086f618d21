"""Holds the registry of stores to the template: nothing keeps anything that nobody would erase."""

from machines import ROOT, definition_of

from adapters.governance.erasers.by_store import ERASERS, SEARCHES
from bulwark.cli import governance
from domain.stores import DROPPED, ERASED_IN_ORDER, STORES, Erased, Kind
from erasure.end_requests import MACHINE_SECONDS

KINDS = {
    "AWS::DynamoDB::Table": Kind.TABLE,
    "AWS::S3::Bucket": Kind.BUCKET,
    "AWS::SQS::Queue": Kind.QUEUE,
    "AWS::Logs::LogGroup": Kind.LOG_GROUP,
    "AWS::Serverless::StateMachine": Kind.HISTORY,
    "AWS::StepFunctions::StateMachine": Kind.HISTORY,
}
# What would keep something too, and there is none of.
UNREGISTERED = {"AWS::Events::Archive", "AWS::Kinesis::Stream", "AWS::KinesisFirehose::DeliveryStream", "AWS::RDS::DB"}


def of_the_template() -> set[tuple[str, Kind]]:
    found = set()
    for name, resource in governance.resources().items():
        assert resource["Type"] not in UNREGISTERED, name
        if kind := KINDS.get(resource["Type"]):
            found.add((name, kind))
        if "StreamSpecification" in resource.get("Properties", {}):
            found.add((name, Kind.STREAM))
    return found


def test_each_store_of_the_template_is_registered_and_no_other():
    assert {(store.name, store.kind) for store in STORES} == of_the_template()
    assert len({store.title for store in STORES}) == len(STORES)


def test_whatever_holds_something_personal_is_erased_by_item_or_by_key():
    for store in STORES:
        assert store.personal is (store.erased is not Erased.NOTHING_TO_ERASE), store.title


def test_each_store_that_is_erased_by_item_has_its_eraser_and_its_search():
    assert [*ERASERS] == [*SEARCHES] == [*ERASED_IN_ORDER]
    named = {store.name for store in STORES if store.erased is Erased.BY_ITEM}
    assert named == {*ERASED_IN_ORDER, DROPPED}


def test_what_is_erased_by_key_shows_what_another_store_keeps_under_it():
    for store in STORES:
        if store.erased is Erased.BY_KEY:
            assert store.kind is Kind.STREAM and store.name in ERASED_IN_ORDER


def test_the_requests_lead_to_everything_else_and_go_last():
    assert ERASED_IN_ORDER[-1] == "RequestsTable"


def test_the_data_map_is_what_its_generator_prints():
    written = (ROOT / "docs/data-map.md").read_text()

    assert written == governance.rendered(), "run: bulwark governance data-map > docs/data-map.md"


def test_an_erasure_lets_what_is_running_end():
    assert MACHINE_SECONDS == definition_of(ROOT / "statemachines/inference.asl.yaml")["TimeoutSeconds"]
