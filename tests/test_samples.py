"""The samples arbitrate: what the sandbox shows has their keys, order and types."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.desk import Desk, lines_of, request_line

SAMPLES = Path(__file__).parent / "samples"

# SDK and TS are Groq's own SDKs, DOC-… pages of https://console.groq.com/docs, NAME#N issues on GitHub
# (fanenr/chatbot, letta-ai/letta), the others published captures and reports of live replies.
# Expired rows have no shape at Groq.
EVIDENCE = {
    *("SDK-1.7", "DOC-BATCH-26", "DOC-REF", "DOC-ERR", "DOC-RATE", "DOC-DEPR", "OpenAI's batches"),
    *("ELLMER", "COOKBOOK-A", "BRAINTRUST", "TFORMANCE", "LEXRAG", "OFFPEAK", "chatbot#21", "letta#1963"),
}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"enum": ["positive"]}}}


def sample(name: str) -> Any:
    """What the sample's file holds as the wire's shape."""
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["sample"]


def differences(sample: Any, given: Any, where: str = "$") -> list[str]:
    """Where the two have other keys, another order of keys or other JSON types."""
    if isinstance(sample, dict) and isinstance(given, dict):
        if list(sample) != list(given):
            return [f"{where}: keys {list(given)} for {list(sample)}"]
        return [line for key in sample for line in differences(sample[key], given[key], f"{where}.{key}")]
    if isinstance(sample, list) and isinstance(given, list):
        return [line for item in given for line in differences(sample[0], item, f"{where}[]")]
    kinds = [int if type(value) is float else type(value) for value in (sample, given)]
    return [] if kinds[0] is kinds[1] else [f"{where}: {given!r} for {sample!r}"]


def limits_in(reply: httpx.Response) -> dict[str, str]:
    """The headers of a reply that speak of limits, in their order."""
    return {name: value for name, value in reply.headers.items() if name.startswith(("retry", "x-rate"))}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For each sample's name, what the sandbox shows."""
    desk = Desk(tmp_path_factory.mktemp("sandbox"))
    shown: dict[str, Any] = {"file": desk.upload(lines_of("a"))}
    shown["file_deleted"] = desk.ask("DELETE", f"/files/{shown['file']['id']}").json()
    shown["models"] = desk.ask("GET", "/models").json()
    desk.upload(lines_of("b"))
    shown["file_list"] = desk.ask("GET", "/files").json()
    shown["error_envelope"] = desk.ask("GET", "/models", key="").json()
    shown["error_expired_api_key"] = desk.ask("GET", "/models", key="gsk_expired").json()
    shown["error_not_available_for_plan"] = desk.ask("GET", "/batches", key="gsk_free").json()
    shown["error_with_param"] = desk.ask("POST", "/files", files={"file": ("a", b"{}")}).json()
    chat = json.loads(request_line("x", "hello"))["body"]
    reply = desk.ask("POST", "/chat/completions", json=chat)
    shown["chat_completion"] = reply.json()
    shown["rate_limit_headers"] = limits_in(reply)
    for code, change in (
        ("model_not_found", {"model": "llama-none"}),
        ("model_decommissioned", {"model": "qwen/qwen3-32b"}),
        ("json_validate_failed", {"response_format": SCHEMA, "max_completion_tokens": 1}),
        ("unsupported_property", {"stor": True}),
        ("context_length_exceeded", {"messages": [{"role": "user", "content": "word " * 110_000}]}),
    ):
        shown[f"error_{code}"] = desk.ask("POST", "/chat/completions", json=chat | change).json()
    desk.ask("POST", "/sandbox/faults", json={"fault": "rate_limit", "seconds": 7})
    reply = desk.ask("POST", "/chat/completions", json=chat)
    shown["error_rate_limit"], shown["rate_limited_headers"] = reply.json(), limits_in(reply)

    shown["batch_validating"] = desk.create(lines_of("a"))
    batch = desk.create(lines_of("a", "b", "c", "[[fail]]"), metadata={"job": "reviews"})
    plain = desk.create(lines_of("a", "b", "c", "d"))
    broken = desk.create(request_line("x", "p").replace("POST", "GET"))
    expiring = desk.create(lines_of("a", "[[expire]]", "c", "d"))
    cancelled = desk.create(lines_of("a", "b", "c", "d"))
    desk.now += 50
    shown["batch_in_progress"] = desk.look(plain)
    shown["batch_cancelling"] = desk.ask("POST", f"/batches/{cancelled['id']}/cancel").json()
    desk.now += 45
    shown["batch_finalizing"] = desk.look(plain)
    desk.now += 55
    shown["batch_completed"] = desk.look(batch)
    shown["batch_failed"] = desk.look(broken)
    shown["batch_expired"] = desk.look(expiring)
    shown["batch_cancelled"] = desk.look(cancelled)
    shown["output_line"] = desk.lines(shown["batch_completed"]["output_file_id"])[0]
    shown["error_line"] = desk.lines(shown["batch_completed"]["error_file_id"])[0]
    shown["expired_line"] = desk.lines(shown["batch_expired"]["error_file_id"])[0]

    shown["batches_by_id"] = desk.ask("GET", f"/batches?id={batch['id']}").json()

    other = Desk(tmp_path_factory.mktemp("other"), errors="wrapped", error_line="bare", output_line="2025")
    shown["batch_failed_wrapped"] = other.run(request_line("x", "p").replace("POST", "GET"))
    mixed = other.run(request_line("x", "p", model="qwen/qwen3.8-27b") + "\n" + request_line("y", "[[fail]]"))
    (shown["output_line_2025"],) = other.lines(mixed["output_file_id"])
    (shown["error_line_bare"],) = other.lines(mixed["error_file_id"])

    desk = Desk(tmp_path_factory.mktemp("listed"))
    for _ in range(21):
        desk.create(lines_of("a", "[[fail]]"), metadata={"job": "reviews"})
    desk.now += 200
    shown["batch_list"] = desk.ask("GET", "/batches").json()
    return shown


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.json")))
def test_the_sandbox_shows_what_the_sample_shows(shown: dict[str, Any], name: str) -> None:
    """Each reply has its sample's keys in the same order and the same JSON types, null where it is null."""
    assert differences(sample(name), shown[name]) == []


def test_every_sample_names_its_evidence() -> None:
    """A sample says what it is, and by the reference's short name where its shape is known from."""
    for path in SAMPLES.glob("*.json"):
        held = json.loads(path.read_text(encoding="utf-8"))
        assert list(held) == ["evidence", "says", "sample"]
        assert held["evidence"] in EVIDENCE
        assert held["says"].endswith(".")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": "1"}),
        ([1], [None]),
        ({}, None),
    ],
)
def test_the_comparison_sees_a_difference(one: Any, other: Any) -> None:
    """Another key, another order, another type or a null are each found."""
    assert differences(one, other)
