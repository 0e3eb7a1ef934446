"""Groq's own SDK, sync and async, against a sandbox on a socket: every verb, every error."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import groq
import httpx
import pytest

from tests.desk import KEY, lines_of
from tests.sockets import (
    BAD_LINE,
    ERRORS,
    LIMITS,
    MODEL,
    NO_BATCH,
    NO_FILE,
    NONSENSE,
    NOT_TAKEN,
    Sdk,
    arm,
    asking,
    calling,
    disarm,
    forward,
    said_in,
    sandbox,
)

PACE_S = 1_000.0
DAY_S = 86_400.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose batches are completed at the first look."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as where:
        yield where


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose batches end only when its clock is turned, and whose `errors` are the reference's."""
    args = ("--pace", str(PACE_S), "--rule", "errors=wrapped")
    with sandbox(tmp_path_factory.mktemp("slow"), *args) as where:
        yield where


@pytest.fixture(scope="module", params=[groq.Groq, groq.AsyncGroq])
def kind(request: pytest.FixtureRequest) -> Any:
    """The SDK's client: the sync one, and the async one."""
    return request.param


@pytest.fixture(scope="module")
def at_once(kind: Any, url: str) -> Iterator[Sdk]:
    """The SDK at the sandbox whose batches are completed at the first look."""
    with calling(kind, url) as sdk:
        yield sdk


@pytest.fixture
def sdk(at_once: Sdk, url: str) -> Iterator[Sdk]:
    """The same, and nothing stays armed after the test."""
    yield at_once
    disarm(url)


@pytest.fixture(scope="module")
def slow(kind: Any, slow_url: str) -> Iterator[Sdk]:
    """The SDK at the sandbox whose clock is turned by hand."""
    with calling(kind, slow_url) as sdk:
        yield sdk


def envelope(error: Any) -> dict[str, Any]:
    """Groq's error, out of an exception that must hold the whole body and say it in its text."""
    assert error.body == error.response.json()
    assert str(error) == f"Error code: {error.status_code} - {error.body}"
    inner = error.body["error"]
    assert set(error.body) == {"error"}
    assert {"message", "type"} <= set(inner)
    return inner


# Files


def test_a_file_goes_up_is_listed_and_goes(sdk: Sdk, tmp_path: Path) -> None:
    """Create, list, info and delete tell of one File: Groq's six keys, the name and the size it had."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines_of("one"), encoding="utf-8")
    file = sdk.got(sdk.client.files.create(file=path, purpose="batch"))
    assert set(file.to_dict()) == {"id", "object", "bytes", "created_at", "filename", "purpose"}
    assert (file.object, file.filename, file.purpose) == ("file", "in.jsonl", "batch")
    assert file.bytes == path.stat().st_size
    assert sdk.got(sdk.client.files.info(file.id)).to_dict() == file.to_dict()
    listed = sdk.got(sdk.client.files.list())
    assert (listed.object, listed.data[0].to_dict()) == ("list", file.to_dict())

    gone = sdk.got(sdk.client.files.delete(file.id))
    assert gone.to_dict() == {"id": file.id, "object": "file", "deleted": True}
    assert file.id not in [left.id for left in sdk.files()]
    with pytest.raises(groq.NotFoundError):
        sdk.got(sdk.client.files.info(file.id))


def test_content_comes_in_every_way_the_sdk_has(sdk: Sdk, tmp_path: Path) -> None:
    """text, read, iter_lines, iter_bytes and write_to_file give what went up, byte for byte."""
    sent = lines_of("[[echo]]Zürich\u2028 – one line", "two").encode()
    file = sdk.upload(sent.decode())

    def content() -> Any:
        return sdk.got(sdk.client.files.content(file.id))

    assert sdk.got(content().text()) == sent.decode()
    assert sdk.got(content().read()) == sent
    assert b"".join(sdk.all(content().iter_bytes())) == sent
    # httpx's iter_lines splits as str.splitlines does, so also at U+2028.
    assert sdk.all(content().iter_lines()) == sent.decode().splitlines()
    sdk.got(content().write_to_file(tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == sent
    with sdk.within(sdk.client.files.with_streaming_response.content(file.id)) as reply:
        assert reply.headers["content-type"] == "application/octet-stream"
        sdk.got(reply.stream_to_file(tmp_path / "streamed"))
    assert (tmp_path / "streamed").read_bytes() == sent


def test_a_file_is_gone_after_thirty_days(slow: Sdk, slow_url: str) -> None:
    """A file older than 30 days is neither listed nor found."""
    file = slow.upload(lines_of("one"))
    forward(slow_url, 29 * DAY_S)
    assert slow.got(slow.client.files.info(file.id)).id == file.id
    forward(slow_url, 2 * DAY_S)
    assert file.id not in [left.id for left in slow.files()]
    for asked in (slow.client.files.info, slow.client.files.content, slow.client.files.delete):
        with pytest.raises(groq.NotFoundError):
            slow.got(asked(file.id))


# Batches


def test_a_batch_runs_from_create_to_its_lines(sdk: Sdk) -> None:
    """Create says `validating`, retrieve `completed`; one file has each answer, the other each failure."""
    made = sdk.batch_over(lines_of("[[echo]]one", "[[echo]]two", "[[fail]]"), metadata={"run": "7"})
    batch = sdk.look(made)
    assert (made.status, batch.status, batch.endpoint) == ("validating", "completed", "/v1/chat/completions")
    assert (made.metadata, batch.metadata) == ({"run": "7"}, {"run": "7"})
    assert batch.request_counts.to_dict() == {"completed": 2, "failed": 1, "total": 3}
    assert batch.expires_at - batch.created_at == DAY_S
    assert batch.errors is None
    assert batch.project_id.startswith("project_")

    lines = sdk.lines(batch.output_file_id)
    assert {line["custom_id"]: said_in(line) for line in lines} == {"row-0": "one", "row-1": "two"}
    assert {line["response"]["body"]["service_tier"] for line in lines} == {"batch"}
    [failure] = sdk.lines(batch.error_file_id)
    assert (failure["custom_id"], failure["response"]["status_code"]) == ("row-2", 400)


def test_without_metadata_it_is_null(sdk: Sdk) -> None:
    """A batch created without metadata has None there, in create's reply and later."""
    made = sdk.batch_over(lines_of("one"))
    assert (made.metadata, sdk.look(made).metadata) == (None, None)


def test_a_cancelled_batch_passes_through_cancelling(slow: Sdk, slow_url: str) -> None:
    """Cancel answers `cancelling`, and the batch is `cancelled` later, with what was answered until then."""
    made = slow.batch_over(lines_of(*["[[echo]]yes"] * 10))
    forward(slow_url, 0.5 * PACE_S)
    assert slow.look(made).status == "in_progress"
    cancelled = slow.got(slow.client.batches.cancel(made.id))
    assert (cancelled.id, cancelled.status) == (made.id, "cancelling")
    forward(slow_url, PACE_S)
    batch = slow.look(made)
    assert (batch.status, batch.request_counts.total) == ("cancelled", 10)
    assert len(slow.lines(batch.output_file_id)) == batch.request_counts.completed < 10
    with pytest.raises(groq.BadRequestError):
        slow.got(slow.client.batches.cancel(made.id))


def test_an_expired_batch_has_both_files(slow: Sdk, slow_url: str) -> None:
    """What was answered before the window closed is in one file, what was not is in the other."""
    made = slow.batch_over(lines_of("[[expire]][[echo]]one", *["[[echo]]more"] * 3))
    forward(slow_url, PACE_S)
    batch = slow.look(made)
    assert (batch.status, batch.expired_at is None, batch.completed_at) == ("expired", False, None)
    answered, left = slow.lines(batch.output_file_id), slow.lines(batch.error_file_id)
    assert {line["custom_id"] for line in answered + left} == {"row-0", "row-1", "row-2", "row-3"}
    assert [line["error"]["code"] for line in left] == ["batch_expired"] * 2


def test_batches_are_listed_page_by_page(sdk: Sdk) -> None:
    """The cursor of each page leads to the next, the newest first, and none is there twice."""
    file = sdk.upload(lines_of("one"))
    made = [sdk.create(file.id).id for _ in range(41)]
    query: dict[str, str] = {}
    listed: list[str] = []
    pages = 0
    while len(listed) < len(made):
        page = sdk.got(sdk.client.batches.list(extra_query=query))
        pages += 1
        listed += [batch.id for batch in page.data]
        query = {"cursor": page.paging["next_cursor"]}
    assert (listed[:41], pages) == (made[::-1], 3)
    one = sdk.got(sdk.client.batches.list(extra_query={"id": made[7]}))
    assert [batch.id for batch in one.data] == [made[7]]


def test_errors_are_the_guides_flat_list(sdk: Sdk) -> None:
    """By default `errors` is a list, so the SDK, which expects an object, gives a list of what it holds."""
    batch = sdk.look(sdk.batch_over(BAD_LINE))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    [fault] = batch.errors
    assert (fault.code, fault.line, fault.param) == ("invalid_method", 2, "method")
    assert "GET" in fault.message


def test_errors_are_the_references_object_by_rule(slow: Sdk, slow_url: str) -> None:
    """With the rule errors=wrapped, `errors` is what the SDK's types say: an object with `data`."""
    made = slow.batch_over(BAD_LINE)
    forward(slow_url, PACE_S)
    batch = slow.look(made)
    assert (batch.status, batch.errors.object) == ("failed", "list")
    [fault] = batch.errors.data
    assert (fault.code, fault.line, fault.param) == ("invalid_method", 2, "method")


# Models and chat


def test_models_are_listed_and_told_of(sdk: Sdk) -> None:
    """Each model of the list is told of by its id, also where the id has a slash."""
    models = sdk.got(sdk.client.models.list())
    assert models.object == "list"
    assert MODEL in [model.id for model in models.data]
    for model in models.data:
        assert sdk.got(sdk.client.models.retrieve(model.id)).to_dict() == model.to_dict()


def test_a_chat_is_answered_and_says_by_whom(sdk: Sdk) -> None:
    """A chat request has the prompt's reply, its tokens, and signs that no model of Groq's wrote it."""
    reply = sdk.chat("[[echo]]now", seed=7)
    [choice] = reply.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == (
        "assistant",
        "now",
        "stop",
    )
    assert (reply.object, reply.model) == ("chat.completion", f"sandbox/{MODEL}")
    assert (reply.system_fingerprint, reply.service_tier) == ("fp_sandbox", "on_demand")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert (reply.x_groq.id.startswith("req_"), reply.x_groq.seed) == (True, 7)


def test_a_stream_is_the_same_reply_in_chunks(sdk: Sdk) -> None:
    """With stream=True the chunks of one reply add up to it: its id, its text, its end and its usage."""
    text = "[[echo]]" + "a word and another – Zürich, " * 20
    whole = sdk.chat(text, seed=7)
    chunks = sdk.all(sdk.chat(text, seed=7, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {whole.model}
    assert [len({chunk.id for chunk in chunks}), len({chunk.created for chunk in chunks})] == [1, 1]
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert deltas[0].role == "assistant"
    pieces = [delta.content for delta in deltas if delta.content]
    assert ("".join(pieces), len(pieces) > 1) == (whole.choices[0].message.content, True)
    reasoning = "".join(delta.reasoning or "" for delta in deltas)
    assert reasoning == whole.choices[0].message.reasoning
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert (chunks[0].x_groq.id.startswith("req_"), chunks[0].x_groq.seed) == (True, 7)
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert chunks[-1].x_groq.usage.total_tokens == whole.usage.total_tokens


def test_a_stream_that_is_cut_says_so(sdk: Sdk) -> None:
    """The last choice of a stream that [[cut]] stops has finish_reason `length`."""
    chunks = sdk.all(sdk.chat("[[cut]]a prompt", stream=True))
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "length"


def test_a_stream_left_early_does_no_harm(sdk: Sdk) -> None:
    """Who closes a stream after its first chunk can ask again at once."""
    stream = sdk.chat("[[echo]]" + "word " * 2_000, stream=True)
    with sdk.within(stream) as chunks:
        first = next(sdk.each(chunks))
    assert first.choices[0].delta.role == "assistant"
    assert sdk.chat("[[echo]]again").choices[0].message.content == "again"


def test_many_at_once_get_each_their_own_reply(url: str) -> None:
    """Fifty chats at the same time are all answered, none with another's reply."""

    async def asked() -> list[Any]:
        async with groq.AsyncGroq(api_key=KEY, base_url=url, max_retries=0) as client:
            create = client.chat.completions.create
            return await asyncio.gather(*(create(**asking(f"[[echo]]{n}")) for n in range(50)))

    replies = asyncio.run(asked())
    assert [reply.choices[0].message.content for reply in replies] == [str(n) for n in range(50)]
    assert len({reply.x_groq.id for reply in replies}) == 50


def test_a_json_schema_gets_json_that_fits(sdk: Sdk) -> None:
    """The content for a json_schema is JSON with its keys and its types."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    wanted = {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": schema, "strict": True},
    }
    person = json.loads(sdk.chat("who?", response_format=wanted).choices[0].message.content)
    assert {key: type(value) for key, value in person.items()} == {"name": str, "age": int}


def test_every_reply_fits_the_sdks_own_types(slow: Sdk, slow_url: str) -> None:
    """A client with strict validation accepts the reply of every verb, if `errors` is the reference's."""
    strict = slow.strict()
    made = strict.batch_over(lines_of("[[echo]]one"))
    forward(slow_url, PACE_S)
    assert strict.look(made).status == "completed"
    assert strict.look(strict.batch_over(BAD_LINE)).status == "validating"
    forward(slow_url, PACE_S)
    assert strict.got(strict.client.batches.list()).data[0].status == "failed"
    assert strict.got(strict.client.batches.cancel(strict.batch_over(lines_of("one")).id)).id
    assert strict.got(strict.client.files.info(made.input_file_id)).purpose == "batch"
    assert made.input_file_id in [file.id for file in strict.files()]
    assert strict.got(strict.client.files.delete(made.input_file_id)).deleted
    assert strict.got(strict.client.models.list()).data
    assert strict.got(strict.client.models.retrieve(MODEL)).id == MODEL
    assert strict.chat("[[echo]]now").choices[0].message.content == "now"
    assert strict.all(strict.chat("[[echo]]now", stream=True))


# Headers


def test_a_raw_chat_reply_has_its_id_and_its_limits(sdk: Sdk) -> None:
    """with_raw_response shows the request's id, which is x_groq's, and the six limits."""
    raw = sdk.got(sdk.client.chat.completions.with_raw_response.create(**asking("[[echo]]now")))
    assert raw.headers["content-type"] == "application/json"
    assert set(LIMITS) <= set(raw.headers)
    assert "retry-after" not in raw.headers
    reply = sdk.got(raw.parse())
    assert (reply.x_groq.id, raw.retries_taken) == (raw.headers["x-request-id"], 0)


def test_a_streaming_chat_reply_has_them_too(sdk: Sdk) -> None:
    """with_streaming_response has the same headers before anything is read, and then Server-Sent Events."""
    create = sdk.client.chat.completions.with_streaming_response.create
    with sdk.within(create(**asking("[[echo]]now"), stream=True)) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert set(LIMITS) <= set(reply.headers)
        lines = [line for line in sdk.all(reply.iter_lines()) if line]
    assert json.loads(lines[0].removeprefix("data: "))["x_groq"]["id"] == reply.headers["x-request-id"]
    assert lines[-1] == "data: [DONE]"


def test_every_reply_has_a_request_id_of_its_own(sdk: Sdk) -> None:
    """Each verb's reply has an x-request-id, an error's too, and no two are the same."""
    made = sdk.batch_over(lines_of("one"))
    files = sdk.client.files.with_raw_response
    batches = sdk.client.batches.with_raw_response
    models = sdk.client.models.with_raw_response
    replies = [
        sdk.got(files.list()),
        sdk.got(files.info(made.input_file_id)),
        sdk.got(batches.list()),
        sdk.got(batches.retrieve(made.id)),
        sdk.got(models.list()),
        sdk.got(models.retrieve(MODEL)),
        sdk.got(files.delete(made.input_file_id)),
    ]
    with pytest.raises(groq.NotFoundError) as met:
        sdk.got(sdk.client.files.delete(made.input_file_id))
    ids = [reply.headers.get("x-request-id", "") for reply in [*replies, met.value.response]]
    assert [its_id.partition("_")[0] for its_id in ids] == ["req"] * len(ids)
    assert len(set(ids)) == len(ids)


# Refusals


@pytest.mark.parametrize(("status", "name"), ERRORS.items())
def test_each_status_is_the_sdks_error_for_it(sdk: Sdk, url: str, status: int, name: str) -> None:
    """A refusal with this status is the SDK's class for it, and holds the whole envelope."""
    arm(url, "refuse", status=status)
    with pytest.raises(groq.APIStatusError) as met:
        sdk.got(sdk.client.models.list())
    assert (type(met.value), met.value.status_code) == (getattr(groq, name), status)
    assert envelope(met.value)["message"]
    assert sdk.got(sdk.client.models.list()).data


@pytest.mark.parametrize(
    ("key", "code"), [("wrong", "invalid_api_key"), ("gsk_expired_1", "expired_api_key")]
)
def test_a_key_that_opens_nothing_is_an_authentication_error(sdk: Sdk, key: str, code: str) -> None:
    """An invalid and an expired key are refused at every door, each with its own code."""
    other = sdk.but(api_key=key)
    for ask in (other.client.models.list, other.client.files.list, other.client.batches.list):
        with pytest.raises(groq.AuthenticationError) as met:
            other.got(ask())
        assert (envelope(met.value)["code"], met.value.status_code) == (code, 401)


def test_a_free_plan_has_chat_but_no_batches(sdk: Sdk) -> None:
    """A free key gets a PermissionDeniedError where batches begin, whatever it asks, and may chat."""
    free = sdk.but(api_key="gsk_free_1")
    asks = (
        lambda: free.client.files.create(file=b"no line", purpose="batch"),
        lambda: free.client.batches.create(
            input_file_id="file_none", endpoint="/v1/chat/completions", completion_window="24h"
        ),
        lambda: free.client.batches.list(),
    )
    for ask in asks:
        with pytest.raises(groq.PermissionDeniedError) as met:
            free.got(ask())
        assert envelope(met.value)["code"] == "not_available_for_plan"
    assert free.chat("[[echo]]now").choices[0].message.content == "now"


@pytest.mark.parametrize("field", NONSENSE)
def test_a_create_that_asks_for_nonsense_is_a_bad_request(sdk: Sdk, field: str) -> None:
    """A window, an endpoint, a file or metadata that cannot be taken is named in `param`."""
    with pytest.raises(groq.BadRequestError) as met:
        sdk.batch_over(lines_of("one"), **NONSENSE[field])
    assert envelope(met.value)["param"] == field


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_groq_does_not_take_is_a_bad_request(sdk: Sdk, what: str) -> None:
    """Fields that Groq refuses, and tools, which the sandbox has none of, are refused and not ignored."""
    with pytest.raises(groq.BadRequestError) as met:
        sdk.chat("one", **NOT_TAKEN[what])
    assert envelope(met.value)["type"] == "invalid_request_error"


def test_a_failed_generation_is_shown(sdk: Sdk) -> None:
    """[[fail]] is a BadRequestError whose body has `failed_generation`, as Groq's JSON mode has it."""
    with pytest.raises(groq.BadRequestError) as met:
        sdk.chat("[[fail]]")
    error = envelope(met.value)
    assert error["code"] == "json_validate_failed"
    assert "failed_generation" in error


def test_what_is_not_there_is_not_found(sdk: Sdk) -> None:
    """A batch, a file, a content and a model of unknown ids are each a NotFoundError."""
    client = sdk.client
    asks = (
        (client.batches.retrieve, NO_BATCH),
        (client.batches.cancel, NO_BATCH),
        (client.files.info, NO_FILE),
        (client.files.content, NO_FILE),
        (client.files.delete, NO_FILE),
        (client.models.retrieve, "openai/none"),
    )
    for ask, its_id in asks:
        with pytest.raises(groq.NotFoundError) as met:
            sdk.got(ask(its_id))
        assert its_id in envelope(met.value)["message"]


def test_the_other_sdks_base_url_is_not_found(sdk: Sdk, url: str) -> None:
    """This SDK adds /openai/v1 by itself, so a base URL that has it already shows both in the refusal."""
    lost = sdk.but(base_url=f"{url}/openai/v1")
    with pytest.raises(groq.NotFoundError) as met:
        lost.got(lost.client.models.list())
    assert "/openai/v1/openai/v1/models" in envelope(met.value)["message"]


def test_a_body_beyond_bounds_is_refused_and_not_hung_up_on(sdk: Sdk) -> None:
    """A chat request of 17 MB is answered 413 while it is still being sent, and the next one as ever."""
    with pytest.raises(groq.APIStatusError) as met:
        sdk.chat("x" * 17_000_000)
    assert (type(met.value), met.value.status_code) == (groq.APIStatusError, 413)
    assert envelope(met.value)["message"]
    assert sdk.chat("[[echo]]now").choices[0].message.content == "now"


# Limits, retries and broken connections


def test_a_rate_limit_says_when_to_come_back(sdk: Sdk, url: str) -> None:
    """A RateLimitError has Retry-After and the six limits, and Groq's type and code for it."""
    arm(url, "rate_limit", seconds=7)
    with pytest.raises(groq.RateLimitError) as met:
        sdk.chat("one")
    assert met.value.response.headers["retry-after"] == "7"
    assert set(LIMITS) <= set(met.value.response.headers)
    error = envelope(met.value)
    assert (error["type"], error["code"]) == ("tokens", "rate_limit_exceeded")


def test_the_sdks_own_retry_keeps_to_retry_after(sdk: Sdk, url: str) -> None:
    """One 429 is not seen by a client that retries: it waits as long as it was told, and then is served."""
    arm(url, "rate_limit", seconds=0.7)
    patient = sdk.but(max_retries=1)
    began = time.monotonic()
    raw = patient.got(patient.client.chat.completions.with_raw_response.create(**asking("[[echo]]now")))
    # By itself the SDK would wait for half a second at most.
    assert (raw.retries_taken, time.monotonic() - began >= 0.7) == (1, True)
    assert patient.got(raw.parse()).choices[0].message.content == "now"


def test_flex_that_is_full_is_not_retried(sdk: Sdk, url: str) -> None:
    """498 is no status that the SDK retries, so the first one is what a patient client gets."""
    arm(url, "refuse", status=498)
    patient = sdk.but(max_retries=2)
    with pytest.raises(groq.APIStatusError) as met:
        patient.chat("one")
    assert (type(met.value), met.value.status_code) == (groq.APIStatusError, 498)


def test_a_refused_upload_leaves_no_file(sdk: Sdk, url: str) -> None:
    """After a 503 to an upload there is not one file more."""
    before = sdk.files()
    arm(url, "refuse", on="POST /files")
    with pytest.raises(groq.InternalServerError):
        sdk.upload(lines_of("one"))
    assert sdk.files() == before


def test_a_create_answered_500_may_have_been_carried_out(sdk: Sdk, url: str) -> None:
    """The SDK's own retry of such a create makes a second batch: nothing tells that both are one."""
    file = sdk.upload(lines_of("one"))
    arm(url, "accepted_500")
    with pytest.raises(groq.InternalServerError) as met:
        sdk.create(file.id)
    assert (bool(envelope(met.value)["message"]), sdk.batches_over(file.id)) == (True, 1)
    arm(url, "accepted_500")
    assert sdk.but(max_retries=1).create(file.id).status == "validating"
    assert sdk.batches_over(file.id) == 3


def test_an_upload_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A connection closed within an upload leaves no file; a client that retries sends it anew, whole."""
    content, before = lines_of("x" * 4_000_000), sdk.files()
    arm(url, "reset", times=2)
    with pytest.raises(groq.APIConnectionError) as met:
        sdk.upload(content)
    assert not isinstance(met.value, groq.APITimeoutError)
    assert sdk.files() == before
    file = sdk.but(max_retries=1).upload(content)
    assert (file.bytes, len(sdk.files())) == (len(content), len(before) + 1)


def test_a_download_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A content that ends before its announced length is an APIConnectionError, and whole at the next go."""
    content = lines_of("x" * 400_000)
    file = sdk.upload(content)
    arm(url, "reset_reply")
    with pytest.raises(groq.APIConnectionError):
        sdk.read(file.id)
    assert sdk.read(file.id) == content.encode()


def test_a_download_that_is_cut_looks_whole(sdk: Sdk, url: str) -> None:
    """A truncated content raises nothing in the SDK: it is shorter, and that is all there is to see."""
    content = lines_of("x" * 400_000).encode()
    file = sdk.upload(content.decode())
    arm(url, "truncate")
    cut = sdk.read(file.id)
    assert 0 < len(cut) < len(content)
    assert content.startswith(cut)


def test_a_stream_that_breaks_off_is_seen(sdk: Sdk, url: str) -> None:
    """Chunks that stop half-way end in httpx's error, which this SDK lets through, never as if whole."""
    arm(url, "reset_reply", on="POST /chat/completions")
    came = []
    with pytest.raises(httpx.RemoteProtocolError):
        came.extend(sdk.each(sdk.chat("[[echo]]" + "word " * 200, stream=True)))
    assert 1 < len(came) < 250


def test_a_reply_that_comes_late_is_a_timeout(sdk: Sdk, url: str) -> None:
    """A reply that begins after the client's patience is an APITimeoutError."""
    arm(url, "slow", seconds=0.6)
    with pytest.raises(groq.APITimeoutError):
        (hasty := sdk.but(timeout=0.2)).got(hasty.client.models.list())
    assert sdk.got(sdk.client.models.list()).data


def test_a_reply_that_is_merely_slow_is_whole(sdk: Sdk, url: str) -> None:
    """A patient client gets what it asked for, only later."""
    arm(url, "slow", seconds=0.3)
    began = time.monotonic()
    assert sdk.got(sdk.client.models.list()).data
    assert time.monotonic() - began >= 0.3


def test_garbage_is_refused_by_a_strict_client(sdk: Sdk, url: str) -> None:
    """A page of HTML is an APIResponseValidationError where the client is strict, and a string where not."""
    arm(url, "garbage", times=2)
    strict = sdk.strict()
    with pytest.raises(groq.APIResponseValidationError) as met:
        strict.got(strict.client.models.list())
    assert (met.value.status_code, "<html" in str(met.value.body).lower()) == (200, True)
    assert "<html" in sdk.got(sdk.client.models.list()).lower()
