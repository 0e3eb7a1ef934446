"""The sandbox keeps to its description, and the description to the sandbox and to the samples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.config import SchemathesisConfig
from starlette.routing import Route

import groq_magic.sandbox
from tests.desk import KEY, Desk, lines_of, request_line

PLACE = Path(groq_magic.sandbox.__file__).with_name("openapi.json")
SAMPLES = Path(__file__).parent / "samples"
# What they do is met by all who ask afterwards.
CHANGES_THE_REST = ["POST /sandbox/faults", "POST /sandbox/clock"]


def read() -> dict[str, Any]:
    """The description; a new one each time, because who generates requests writes into it."""
    described: dict[str, Any] = json.loads(PLACE.read_text(encoding="utf-8"))
    return described


DESCRIPTION = read()


class Door:
    """Where the generated requests go in; the sandbox behind it is set when there is a folder for it."""

    desk: Desk

    async def __call__(self, *asgi: Any) -> None:
        """One request."""
        await self.desk.app(*asgi)


def described(mode: str, examples: int = 30) -> Any:
    """The description, ready to be asked through a door; the same requests at each run."""
    # Whether these are good is not in one field alone: a form has few fields, a model has its own limits, a
    # batch may have ended.
    checks = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404"]}}
    by_more = [
        {"include-operation-id": name, "checks": checks}
        for name in ("uploadFile", "createBatch", "cancelBatch", "createChatCompletion")
    ]
    # Nothing can be wrong with these but the method, and that is tried without chance.
    no_chance = {"fuzzing": {"enabled": mode != "negative"}}
    by_method = [
        {"include-operation-id": name, "phases": no_chance} for name in ("getSandbox", "getDescription")
    ]
    generation = {"mode": mode, "max-examples": examples, "deterministic": True, "database": "none"}
    auth = {"openapi": {"key": {"bearer": KEY}}}
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "auth": auth,
            "generation": generation,
            "operations": by_more + by_method,
            "phases": {"stateful": {"inference": {"algorithms": []}}},  # the description's own links alone
        }
    )
    loaded = schemathesis.openapi.from_dict(read(), config=config)
    loaded.app = Door()
    return loaded


GOOD, BAD, IN_ORDER = described("positive"), described("negative"), described("positive")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The sandbox that good requests go to."""
    GOOD.app.desk = Desk(tmp_path_factory.mktemp("good"))
    return GOOD.app.desk


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Desk]:
    """The sandboxes that bad requests go to: those that would change the rest have one of their own."""
    return {alone: Desk(tmp_path_factory.mktemp("bad")) for alone in (False, True)}


@GOOD.exclude(name=CHANGES_THE_REST).parametrize()
def test_a_good_request_is_answered_as_described(case: Any, good: Desk) -> None:
    """Whatever fits the description is answered with a status, headers and a body of the description."""
    path = case.operation.path
    if "/files/{id}" in path:
        case.path_parameters = {"id": good.upload(lines_of("a"))["id"]}
    elif "/batches/{id}" in path:
        case.path_parameters = {"id": good.create(lines_of("a"))["id"]}
    elif case.operation.label == "POST /openai/v1/batches" and isinstance(case.body, dict):
        case.body = case.body | {"input_file_id": good.upload(lines_of("a"))["id"]}
    case.call_and_validate()


@BAD.parametrize()
def test_a_bad_request_is_refused_as_described(case: Any, bad: dict[bool, Desk]) -> None:
    """Whatever does not fit the description is refused with a status and a body of the description."""
    BAD.app.desk = bad[case.operation.label in CHANGES_THE_REST]
    case.call_and_validate()


class InOrder(IN_ORDER.exclude(name=CHANGES_THE_REST).as_state_machine()):
    """Requests by the links of the description: what one answers is where the next one goes."""

    seen: set[tuple[str, int]]

    def before_call(self, case: Any) -> None:
        """Ten seconds later; a file that is uploaded holds two requests."""
        IN_ORDER.app.desk.now += 10
        if case.operation.label == "POST /openai/v1/files":
            case.body = {"purpose": "batch", "file": lines_of("a", "[[fail]]")}

    def after_call(self, response: Any, case: Any) -> None:
        """Keeps what was reached."""
        super().after_call(response, case)
        self.seen.add((case.operation.label, response.status_code))


def test_what_one_answer_names_the_next_request_finds(tmp_path: Path) -> None:
    """From an upload the links lead to a batch, its cancel, its results and a deleted file, as described."""
    IN_ORDER.app.desk, InOrder.seen = Desk(tmp_path), set()
    InOrder.run(
        settings=settings(
            max_examples=50,
            stateful_step_count=8,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
    reached = {label for label, status in InOrder.seen if status == 200}
    assert reached >= {
        "POST /openai/v1/batches",
        "GET /openai/v1/batches/{id}",
        "POST /openai/v1/batches/{id}/cancel",
        "GET /openai/v1/files/{id}/content",
        "DELETE /openai/v1/files/{id}",
    }


# --- each answer on purpose ----------------------------------------------------------------------------

CHAT = json.loads(request_line("x", "hello"))["body"]
BODIES: dict[str, Any] = {
    "armFault": {"json": {"fault": "slow", "times": 2, "on": "GET /none", "seconds": 0.5, "status": 500}},
    "forwardClock": {"json": {"forward_s": 0.5}},
    "uploadFile": {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", lines_of("a").encode())}},
    "createBatch": {
        "json": {"endpoint": "/v1/chat/completions", "completion_window": "7d", "metadata": {"a": "b"}}
    },
    "createChatCompletion": {"json": CHAT},
}
OPERATIONS = [
    (method, path, operation)
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]


def ask(desk: Desk, method: str, path: str, operation_id: str, status: str) -> httpx.Response:
    """The answer to a request that is made to get this status."""
    how = dict(BODIES.get(operation_id, {}))
    if operation_id == "createBatch":
        how["json"] = how["json"] | {"input_file_id": desk.upload(lines_of("a"))["id"]}
    named = desk.create(lines_of("a"))["id"] if "/batches/" in path else "openai/gpt-oss-20b"
    named = desk.upload(lines_of("a"))["id"] if "/files/" in path else named
    match status:
        case "400" if operation_id == "listBatches":
            how["params"] = {"cursor": "x"}
        case "400" if operation_id == "cancelBatch":
            desk.now += 1_000
        case "400" if operation_id == "createChatCompletion":
            how["json"] = CHAT | {"temperature": 3}
        case "400":
            how = {"json": {}}
        case "401":
            how["key"] = "sk-other"
        case "403":
            how["key"] = "gsk_free"
        case "404" if operation_id == "createChatCompletion":
            how["json"] = CHAT | {"model": "none"}
        case "404":
            named = "none"
        case "413":
            how["headers"] = {"content-length": "900000000"}
        case "429" | "5XX":
            desk.ask("POST", "/sandbox/faults", json={"fault": "rate_limit" if status == "429" else "refuse"})
    return desk.ask(method.upper(), path.removeprefix("/openai/v1").replace("{id}", named), **how)


@pytest.mark.parametrize(
    ("method", "path", "operation_id", "status"),
    [
        pytest.param(
            method, path, operation["operationId"], status, id=f"{operation['operationId']}-{status}"
        )
        for method, path, operation in OPERATIONS
        for status in operation["responses"]
    ],
)
def test_each_answer_of_the_description_is_given(
    tmp_path: Path, method: str, path: str, operation_id: str, status: str
) -> None:
    """For each status that the description names there is a request that gets it, with what is described."""
    reply = ask(Desk(tmp_path), method, path, operation_id, status)
    assert str(reply.status_code) == status.replace("XX", "03")
    answer = DESCRIPTION["paths"][path][method]["responses"][status]
    answer = DESCRIPTION["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2], answer)
    assert reply.headers["content-type"] in answer["content"]
    reply.request.read()  # a form is sent piece by piece and not kept
    GOOD[path][method].validate_response(reply)


def test_a_stream_is_events_of_the_description(tmp_path: Path) -> None:
    """With `stream` the reply is chunks as described, then [DONE]."""
    asked = CHAT | {"stream": True, "stream_options": {"include_usage": True}}
    reply = Desk(tmp_path).ask("POST", "/chat/completions", json=asked)
    GOOD["/openai/v1/chat/completions"]["post"].validate_response(reply)
    *chunks, last, nothing = reply.text.split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    assert [fault for chunk in chunks for fault in faults("ChatCompletionChunk", json.loads(chunk[6:]))] == []


@pytest.mark.parametrize(
    "rules",
    [{}, {"output_line": "2025", "error_line": "bare", "errors": "wrapped", "bad_line": "row"}],
    ids=str,
)
def test_results_are_lines_of_the_description(tmp_path: Path, rules: dict[str, str]) -> None:
    """Whatever stands in a result file is a line as described, and so is the batch, by these rules."""
    audio = {"model": "whisper-large-v3", "url": "https://example.com/a.mp3"}
    heard = {"custom_id": "heard", "method": "POST", "url": "/v1/audio/transcriptions", "body": audio}
    desk = Desk(tmp_path, **rules)
    for content in (lines_of("a", "[[fail]]") + json.dumps(heard), lines_of("a", "[[expire]]"), "no line\n"):
        batch = desk.run(content)
        lines = [*desk.lines(batch["output_file_id"]), *desk.lines(batch["error_file_id"])]
        assert faults("Batch", batch) == []
        assert [fault for line in lines for fault in faults("ResultLine", line)] == []
        assert lines or batch["errors"]


# --- the description itself ----------------------------------------------------------------------------


def faults(schema: str, value: Any) -> list[str]:
    """Why the value is not what the description calls by this name."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DESCRIPTION["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def test_the_description_is_valid() -> None:
    """It is an OpenAPI document, and each of its schemas is a JSON Schema."""
    schemathesis.openapi.from_dict(read()).validate()
    for schema in DESCRIPTION["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_description_has_exactly_the_routes(tmp_path: Path) -> None:
    """Each route with each of its methods is described, and nothing else is."""
    routes = [route for route in Desk(tmp_path).app.routes if isinstance(route, Route)]
    there = {
        (method.lower(), route.path.replace(":path}", "}"))
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(method, path) for method, path, _ in OPERATIONS} == there


def test_the_description_is_served(tmp_path: Path) -> None:
    """GET /sandbox/openapi.json answers this file without a key, and whole whatever range is asked for."""
    for headers in ({}, {"range": "bytes=1-"}, {"range": "bytes=x"}):
        reply = Desk(tmp_path).ask("GET", "/sandbox/openapi.json", key="", headers=headers)
        assert (reply.status_code, reply.content) == (200, PLACE.read_bytes())


def test_each_part_of_the_description_is_used() -> None:
    """Each reference leads somewhere; of the components only the lines of files stand for themselves."""
    text = json.dumps(DESCRIPTION)
    parts = {
        f"#/components/{kind}/{name}" for kind, named in DESCRIPTION["components"].items() for name in named
    }
    used = {part for part in parts if f'"$ref": "{part}"' in text}
    assert text.count('"$ref"') == sum(text.count(f'"$ref": "{part}"') for part in parts)
    alone = {
        "securitySchemes/key",
        "schemas/RequestLine",
        "schemas/ResultLine",
        "schemas/ChatCompletionChunk",
    }
    assert {part.removeprefix("#/components/") for part in parts - used} == alone


# --- the samples ---------------------------------------------------------------------------------------

# How a sample's name begins and what the description calls it; the first that fits counts.
NAMES = {
    "batch_list": "BatchList",
    "batches": "BatchList",
    "batch": "Batch",
    "chat_completion_chunk": "ChatCompletionChunk",
    "chat_completion": "ChatCompletion",
    "error_line": "ResultLine",
    "expired_line": "ResultLine",
    "output_line": "ResultLine",
    "error": "Error",
    "file_deleted": "FileDeleted",
    "file_list": "FileList",
    "file": "File",
    "models": "ModelList",
}
SHAPES = sorted(path.stem for path in SAMPLES.glob("*.json") if not path.stem.endswith("_headers"))


def sample(name: str) -> Any:
    """What the sample's file holds as the wire's shape."""
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["sample"]


def name_of(shape: str) -> str:
    """What the description calls a sample's shape."""
    return next(name for start, name in NAMES.items() if shape.startswith(start))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_sample_fits_the_description(shape: str) -> None:
    """What the wire is known to show is what the description says."""
    assert faults(name_of(shape), sample(shape)) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sample_with_another_key_does_not_fit(shape: str) -> None:
    """With a key more or less it is no longer what the description says."""
    name, held = name_of(shape), sample(shape)
    assert faults(name, held | {"more": None})
    less = {key: {kept: value for kept, value in held.items() if kept != key} for key in held}
    assert {key for key, rest in less.items() if not faults(name, rest)} <= {"paging"}


@pytest.mark.parametrize("shape", ["rate_limit_headers", "rate_limited_headers"])
def test_the_headers_of_a_sample_are_described(shape: str) -> None:
    """The limits that headers tell are those that the description requires, written as it says."""
    answers = DESCRIPTION["paths"]["/openai/v1/chat/completions"]["post"]["responses"]
    limited = DESCRIPTION["components"]["responses"]["RateLimited"]["headers"]
    described = answers["200"]["headers"] if shape == "rate_limit_headers" else limited
    held = sample(shape)
    assert held.keys() == described.keys() - {"x-request-id"}
    pattern = DESCRIPTION["components"]["headers"]["Duration"]["schema"]["pattern"]
    for name, value in held.items():
        assert re.search(pattern, value) if "reset" in name else value.isdecimal(), name


def test_the_description_names_the_models_that_chat(tmp_path: Path) -> None:
    """The models that a chat may name are those of GET /models that write texts."""
    shown = Desk(tmp_path).ask("GET", "/models").json()["data"]
    chatting = [model["id"] for model in shown if not model["id"].startswith("whisper")]
    assert DESCRIPTION["components"]["schemas"]["ChatModel"]["enum"] == chatting
