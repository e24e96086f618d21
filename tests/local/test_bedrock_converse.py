"""Converse, embeddings and Retrieve of the emulator, by the clients an application would use."""

import json
import os
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import bulwark.local.bedrock
from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.openai_compatible import complete, model_url

LITE = "amazon.nova-lite-v1:0"
SOURCE = "Refunds are paid within 30 days. Damaged items are returned for free. The shop opens at nine."
SURE = {"models": {LITE: {"skill": 1}}}


@pytest.fixture
def client(endpoint):
    def make(service):
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return make


@pytest.fixture
def emulate():
    def make(scenario=None, **options):
        emulator = bulwark.local.bedrock.Emulator(scenario or SURE, **options)
        bulwark.local.bedrock.install(emulator)
        return emulator

    return make


@pytest.fixture
def ask(client):
    def call(text="When are refunds paid?", model=LITE, **options):
        messages = options.pop("messages", [{"role": "user", "content": [{"text": text}]}])
        return client("bedrock-runtime").converse(modelId=model, messages=messages, **options)

    return call


def grounded(query, *sources):
    def block(text, qualifier):
        return {"guardContent": {"text": {"text": text, "qualifiers": [qualifier]}}}

    blocks = [block(source, "grounding_source") for source in sources]
    return [{"role": "user", "content": [*blocks, block(query, "query")]}]


def answer_of(response):
    return "".join(block["text"] for block in response["output"]["message"]["content"])


def error_of(call):
    with pytest.raises(ClientError) as raised:
        call()
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_an_answer_has_bedrocks_shape_and_says_it_is_emulated(emulate, ask):
    emulate()

    response = ask(inferenceConfig={"maxTokens": 200})

    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert "not Amazon Bedrock" in headers["x-bulwark-emulated"]
    assert response["stopReason"] == "end_turn"
    usage = response["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0
    assert response["metrics"]["latencyMs"] >= 1


def test_every_field_of_a_raw_answer_is_one_the_service_model_knows(emulate):
    emulator = emulate()
    guardrail = {
        "guardrailId": "g",
        "blockedInputMessaging": "no",
        "blockedOutputsMessaging": "no",
        "contentPolicyConfig": {
            "filtersConfig": [{"type": "PROMPT_ATTACK", "inputStrength": "HIGH", "outputStrength": "NONE"}]
        },
        "sensitiveInformationPolicyConfig": {"piiEntitiesConfig": [{"type": "EMAIL", "action": "ANONYMIZE"}]},
        "contextualGroundingPolicyConfig": {"filtersConfig": [{"type": "GROUNDING", "threshold": 0.5}]},
    }
    body = {
        "messages": grounded("Who answers a@b.example?", "Write to a@b.example and Ada answers."),
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled_full"},
    }

    answer = emulator.converse(LITE, body, lambda *_: guardrail)

    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    assert_known(answer, service.operation_model("Converse").output_shape)
    assert answer["trace"]["guardrail"]["outputAssessments"]["g"][0]["contextualGroundingPolicy"]["filters"]


def assert_known(value, shape):
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), shape.name
        assert set(shape.required_members) <= set(value), shape.name
        for key, member in value.items():
            assert_known(member, shape.members[key])
    elif shape.type_name == "list":
        for member in value:
            assert_known(member, shape.member)
    elif shape.type_name == "map":
        for member in value.values():
            assert_known(member, shape.value)


@pytest.mark.parametrize(
    "identifier",
    [
        LITE,
        f"us.{LITE}",
        f"arn:aws:bedrock:us-east-1::foundation-model/{LITE}",
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{LITE}",
    ],
)
def test_a_model_answers_by_its_id_and_by_its_inference_profile(emulate, ask, identifier):
    emulator = emulate()

    ask(model=identifier)

    assert emulator.calls.count("converse", LITE, "end_turn") == 1


def test_an_unknown_model_and_a_denied_one_are_refused_as_bedrock_does(emulate, ask):
    emulate({**SURE, "access_denied": ["amazon.nova-pro-v1:0"]})

    assert error_of(lambda: ask(model="acme.unheard-of-v1:0")) == ("ValidationException", 400)
    assert error_of(lambda: ask(model="us.amazon.nova-pro-v1:0")) == ("AccessDeniedException", 403)


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": [{"text": "hello"}]}],
        [{"role": "user", "content": [{"text": "one"}]}, {"role": "user", "content": [{"text": "two"}]}],
        [{"role": "user", "content": [{"text": "   "}]}],
    ],
)
def test_a_conversation_bedrock_would_not_take_is_refused(emulate, ask, messages):
    emulate()

    assert error_of(lambda: ask(messages=messages)) == ("ValidationException", 400)


def test_an_able_model_answers_from_its_sources_and_an_unable_one_adds_to_them(emulate, ask):
    question = grounded("When are refunds paid?", SOURCE)

    emulate({"models": {LITE: {"skill": 1, "style": "terse"}}})
    assert answer_of(ask(messages=question)) == "Refunds are paid within 30 days."

    emulate({"models": {LITE: {"skill": 0, "style": "terse"}}})
    invented = answer_of(ask(messages=question)).removeprefix("Refunds are paid within 30 days.").strip()
    assert invented and invented not in SOURCE


@pytest.mark.parametrize("wish", ["Confidence: <0..1>", "'Confidence: ' and a number from 0 to 1."])
def test_stated_confidence_follows_ability_and_stands_on_the_last_line(emulate, ask, wish):
    def mean(skill):
        emulate({"models": {LITE: {"skill": skill}}})
        system = [{"text": f"Answer from the passages alone. End with a line {wish}"}]
        lines = [answer_of(ask(f"Question {n}?", system=system)).splitlines()[-1] for n in range(20)]
        return sum(float(line.removeprefix("Confidence: ")) for line in lines) / len(lines)

    assert 0 < mean(0.1) + 0.2 < mean(0.95) < 1


def test_nobody_is_told_a_confidence_who_did_not_ask(emulate, ask):
    emulate()

    assert "Confidence" not in answer_of(ask(system=[{"text": "Answer with confidence."}]))


def test_recorded_answers_are_replayed_and_their_labels_are_never_read(emulate, ask, tmp_path):
    records = tmp_path / "answers.jsonl"
    lines = [
        {"user_query": "Name a  homophone.", "chatgpt_response": "Pair and pear.", "hallucination": "yes"},
        {"question": "Name a river.", "answer": "The Rhine.", "label": "wrong"},
        {"query": "Name a lake.", "answer": "Como.", "acceptable": False},
    ]
    records.write_text("\n".join(map(json.dumps, lines)))
    emulator = emulate(replay=records)

    assert answer_of(ask("name a homophone.")) == "Pair and pear."
    assert answer_of(ask("Answer briefly.\nQuestion: Name a river.")) == "The Rhine."
    assert answer_of(ask("Name a lake.")) == "Como."
    remembered = repr([vars(part) for part in (emulator, emulator.recorded)])
    assert not [label for label in ("hallucination", "wrong", "acceptable") if label in remembered]


def test_what_is_too_long_for_max_tokens_is_cut_off_and_says_so(emulate, ask):
    emulate()

    response = ask(messages=grounded("When are refunds paid?", SOURCE), inferenceConfig={"maxTokens": 4})

    assert response["stopReason"] == "max_tokens"
    assert response["usage"]["outputTokens"] == 4


def test_a_source_without_full_stops_is_not_answered_with_all_of_itself(emulate, ask):
    emulate()

    response = ask(messages=grounded("When?", "word " * 20_000), inferenceConfig={"maxTokens": 300})

    assert response["stopReason"] == "end_turn"
    assert response["usage"]["inputTokens"] > 20_000


def test_the_same_seed_gives_the_same_answers_whatever_the_order(emulate, ask):
    scenario = {"models": {LITE: {"skill": 0.5}}}
    questions = [f"Question {number}?" for number in range(12)]

    emulate(scenario, seed=7)
    forward = {question: answer_of(ask(question)) for question in questions}
    emulate(scenario, seed=7)
    assert {question: answer_of(ask(question)) for question in reversed(questions)} == forward
    emulate(scenario, seed=8)
    assert {question: answer_of(ask(question)) for question in questions} != forward


def test_embeddings_are_unit_vectors_and_near_for_near_texts(emulate, client):
    emulate({"embeddings": {"amazon.titan-embed-text-v2:0": {}}})

    def embed(text):
        response = client("bedrock-runtime").invoke_model(
            modelId="amazon.titan-embed-text-v2:0",
            body=json.dumps({"inputText": text, "dimensions": 512, "normalize": True}),
        )
        assert "not Titan" in response["ResponseMetadata"]["HTTPHeaders"]["x-bulwark-emulated"]
        return json.loads(response["body"].read())

    def near(one, other):
        return sum(a * b for a, b in zip(one["embedding"], other["embedding"], strict=True))

    refund, refunds, weather = map(
        embed, ("When is my refund paid?", "When are refunds paid?", "Will it rain on Sunday?")
    )
    assert len(refund["embedding"]) == 512 and refund["inputTextTokenCount"] > 0
    assert near(refund, refund) == pytest.approx(1)
    assert near(refund, refunds) > 0.4 > near(refund, weather)
    assert embed("When is my refund paid?") == refund


def test_embedding_refuses_what_titan_refuses(emulate, client):
    emulate({"embeddings": {"amazon.titan-embed-text-v2:0": {}}})

    def embed(model="amazon.titan-embed-text-v2:0", **body):
        client("bedrock-runtime").invoke_model(modelId=model, body=json.dumps(body))

    assert error_of(lambda: embed(inputText="")) == ("ValidationException", 400)
    assert error_of(lambda: embed(inputText="x", dimensions=300)) == ("ValidationException", 400)
    assert error_of(lambda: embed(model=LITE, inputText="x")) == ("ValidationException", 400)


def test_retrieve_finds_the_passage_that_answers_best_first(emulate, client, tmp_path):
    (tmp_path / "refunds.md").write_text(f"# Refunds\n\n{SOURCE}\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "parking.txt").write_text("Parking costs two euros an hour and is free at night.")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    emulate(documents=tmp_path)

    def retrieve(query, number):
        return client("bedrock-agent-runtime").retrieve(
            knowledgeBaseId="KB12345678",
            retrievalQuery={"text": query},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": number}},
        )["retrievalResults"]

    first, *rest = retrieve("When are refunds paid, and is parking free?", 5)
    assert "Refunds are paid" in first["content"]["text"]
    assert first["location"]["s3Location"]["uri"].endswith("/refunds.md")
    assert 0 <= rest[-1]["score"] <= first["score"] <= 1
    assert rest[0]["location"]["s3Location"]["uri"].endswith("/deep/parking.txt")
    assert len(retrieve("When are refunds paid, and is parking free?", 1)) == 1
    assert retrieve("volcanoes", 5) == []
    assert error_of(lambda: retrieve(" ", 5)) == ("ValidationException", 400)


@pytest.fixture
def openai_server(monkeypatch):
    """A server that speaks OpenAI's chat completions: replies with what it is told, keeps what it got."""
    told = {"status": 200, "body": {}, "got": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told["got"].append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            body = told["body"] if isinstance(told["body"], bytes) else json.dumps(told["body"]).encode()
            self.send_response(told["status"])
            self.send_header("Content-Length", str(len(body)))
            for name, value in told.get("headers", {}).items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(body), told.get("piece", len(body)) or 1):
                with suppress(OSError):
                    self.wfile.write(body[start : start + told.get("piece", len(body))])
                time.sleep(told.get("pause", 0))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("BULWARK_MODEL_URL", f"http://127.0.0.1:{server.server_port}")
    yield told
    server.shutdown()
    server.server_close()


def test_an_openai_compatible_server_answers_instead_when_one_is_named(emulate, ask, openai_server):
    emulate()
    openai_server["body"] = {
        "choices": [{"message": {"content": "Forty-two."}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }

    response = ask(
        messages=grounded("What is it?", SOURCE),
        system=[{"text": "Be brief."}],
        inferenceConfig={"maxTokens": 3},
        model="llama3.2",
    )

    assert answer_of(response) == "Forty-two."
    assert response["stopReason"] == "max_tokens"
    assert response["usage"] == {"inputTokens": 11, "outputTokens": 3, "totalTokens": 14}
    path, sent = openai_server["got"][0]
    assert path == "/v1/chat/completions"
    assert (sent["model"], sent["max_tokens"]) == ("llama3.2", 3)
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user"]
    assert SOURCE in sent["messages"][1]["content"] and "What is it?" in sent["messages"][1]["content"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (429, "ThrottlingException"),
        (401, "AccessDeniedException"),
        (400, "ValidationException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
        (504, "ModelTimeoutException"),
        (200, "ModelErrorException"),
    ],
)
def test_the_other_servers_errors_are_told_as_bedrocks(emulate, ask, openai_server, status, code):
    emulate()
    openai_server["status"] = status

    assert error_of(ask)[0] == code


def completion(content: object = "Forty-two.", **more: object) -> dict:
    return {"choices": [{"message": {"content": content}, "finish_reason": "stop"}], **more}


@pytest.mark.parametrize("wrong", [None, -1, "11", True, 1.5, [], {}, 10**30])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_usage_that_is_no_count_is_counted_here(emulate, ask, openai_server, name, wrong):
    emulate()
    openai_server["body"] = completion(usage={"prompt_tokens": 7, "completion_tokens": 7} | {name: wrong})

    usage = ask()["usage"]

    ours = "inputTokens" if name == "prompt_tokens" else "outputTokens"
    assert 0 < usage[ours] < 1_000 and usage["totalTokens"] == usage[ours] + 7


@pytest.mark.parametrize("usage", [None, [], "none", 7, True])
def test_a_usage_that_is_none_is_counted_here(emulate, ask, openai_server, usage):
    emulate()
    openai_server["body"] = completion(usage=usage)

    assert ask()["usage"]["outputTokens"] == 3


def test_an_answer_in_parts_is_put_together(emulate, ask, openai_server):
    emulate()
    openai_server["body"] = completion([{"type": "text", "text": "Forty"}, {"type": "text", "text": "-two."}])

    assert answer_of(ask()) == "Forty-two."


@pytest.mark.parametrize(
    "body",
    [
        completion(7),
        completion({"text": "no"}),
        completion(["a", "b"]),
        completion([{"type": "image_url"}]),
        completion([{"text": 7}]),
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": {"0": 1}},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": ["stop"]}]},
        [],
        [completion()],
        7,
        None,
        b"",
        b"<html>",
        b'{"choices": [{"message": {"content": "cut o',
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"choices":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"\xff\xff",
        b" " * 10_000_001,
    ],
)
def test_what_is_no_answer_is_a_failed_attempt(emulate, ask, openai_server, body):
    emulate()
    openai_server["body"] = body

    assert error_of(ask)[0] == "ModelErrorException"


def test_a_conversation_is_sent_to_nobody_else(emulate, ask, openai_server):
    emulate()
    openai_server |= {"status": 307, "headers": {"Location": f"{os.environ['BULWARK_MODEL_URL']}/elsewhere"}}

    assert error_of(ask)[0] == "ModelErrorException"
    assert {path for path, _ in openai_server["got"]} == {"/v1/chat/completions"}


def test_a_drip_of_bytes_ends_with_the_deadline(emulate, ask, openai_server, monkeypatch):
    emulate()
    monkeypatch.setattr("bulwark.local.bedrock.openai_compatible.TIMEOUT_SECONDS", 0.3)
    openai_server |= {"body": b" " * 40, "piece": 1, "pause": 0.1}
    started = time.monotonic()

    assert error_of(ask)[0] == "ModelTimeoutException"
    assert time.monotonic() - started < 2.5


def test_a_server_of_this_machine_is_not_asked_by_a_proxy(openai_server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    openai_server["body"] = completion()
    asked = Conversation.parse({"messages": [{"role": "user", "content": [{"text": "What is it?"}]}]})

    assert complete(model_url(), LITE, asked)[0] == "Forty-two."


def test_a_scenario_that_makes_no_sense_is_refused_by_name():
    with pytest.raises(ValueError, match="latency"):
        bulwark.local.bedrock.Emulator({"models": {LITE: {"latency": 5}}})
    with pytest.raises(ValueError, match="skill"):
        bulwark.local.bedrock.Emulator({"models": {LITE: {"skill": 7}}})
    with pytest.raises(ValueError, match="style"):
        bulwark.local.bedrock.Emulator({"models": {LITE: {"style": "baroque"}}})


def test_the_default_scenario_loads_and_prices_every_model():
    models = bulwark.local.bedrock.Emulator().scenario.models

    assert len(models) >= 3
    assert all(model.price["output_per_1k_usd"] > 0 for model in models.values())
