"""OpenAI's SDK, sync and async, which Groq recommends too, against a sandbox on a socket.

It wants the base URL with `/openai/v1`, and an error's `body` is what is inside Groq's envelope.
https://console.groq.com/docs/openai
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pydantic
import pytest

from tests.desk import lines_of
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


class City(pydantic.BaseModel):
    """What a model is asked for."""

    name: str
    size: Literal["small", "large"]
    people: int
    rivers: list[str]


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


@pytest.fixture(scope="module", params=[openai.OpenAI, openai.AsyncOpenAI])
def kind(request: pytest.FixtureRequest) -> Any:
    """The SDK's client: the sync one, and the async one."""
    return request.param


@pytest.fixture(scope="module")
def at_once(kind: Any, url: str) -> Iterator[Sdk]:
    """The SDK at the sandbox whose batches are completed at the first look."""
    with calling(kind, f"{url}/openai/v1") as sdk:
        yield sdk


@pytest.fixture
def sdk(at_once: Sdk, url: str) -> Iterator[Sdk]:
    """The same, and nothing stays armed after the test."""
    yield at_once
    disarm(url)


@pytest.fixture(scope="module")
def slow(kind: Any, slow_url: str) -> Iterator[Sdk]:
    """The SDK at the sandbox whose clock is turned by hand."""
    with calling(kind, f"{slow_url}/openai/v1") as sdk:
        yield sdk


def inside(error: Any) -> dict[str, Any]:
    """Groq's error, out of an exception that must hold what is inside the envelope, and its words."""
    assert error.response.json() == {"error": error.body}
    assert {"message", "type"} <= set(error.body)
    assert (error.type, error.code) == (error.body["type"], error.body.get("code"))
    return error.body


# Files


def test_a_file_goes_up_is_listed_and_goes(sdk: Sdk, tmp_path: Path) -> None:
    """Create, list, retrieve and delete tell of one File, the size and the name it had."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines_of("one"), encoding="utf-8")
    file = sdk.got(sdk.client.files.create(file=path, purpose="batch"))
    assert (file.object, file.filename, file.purpose) == ("file", "in.jsonl", "batch")
    assert file.bytes == path.stat().st_size
    assert sdk.got(sdk.client.files.retrieve(file.id)).to_dict() == file.to_dict()
    assert sdk.files()[0].to_dict() == file.to_dict()

    gone = sdk.got(sdk.client.files.delete(file.id))
    assert (gone.id, gone.object, gone.deleted) == (file.id, "file", True)
    assert file.id not in [left.id for left in sdk.files()]
    with pytest.raises(openai.NotFoundError):
        sdk.got(sdk.client.files.retrieve(file.id))


def test_content_comes_in_every_way_the_sdk_has(sdk: Sdk, tmp_path: Path) -> None:
    """text, content, read, iter_lines and write_to_file give what went up, byte for byte."""
    sent = lines_of("[[echo]]Zürich\u2028 – one line", "two").encode()
    file = sdk.upload(sent.decode())
    content = sdk.got(sdk.client.files.content(file.id))
    assert (content.text, content.content, content.read()) == (sent.decode(), sent, sent)
    assert b"".join(content.iter_bytes()) == sent
    # httpx's iter_lines splits as str.splitlines does, so also at U+2028.
    assert list(content.iter_lines()) == sent.decode().splitlines()
    content.write_to_file(tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == sent
    with sdk.within(sdk.client.files.with_streaming_response.content(file.id)) as reply:
        assert reply.headers["content-type"] == "application/octet-stream"
        sdk.got(reply.stream_to_file(tmp_path / "streamed"))
    assert (tmp_path / "streamed").read_bytes() == sent


def test_a_file_is_gone_after_thirty_days(slow: Sdk, slow_url: str) -> None:
    """A file older than 30 days is neither listed nor found."""
    file = slow.upload(lines_of("one"))
    forward(slow_url, 29 * DAY_S)
    assert slow.got(slow.client.files.retrieve(file.id)).id == file.id
    forward(slow_url, 2 * DAY_S)
    assert file.id not in [left.id for left in slow.files()]
    for asked in (slow.client.files.retrieve, slow.client.files.content, slow.client.files.delete):
        with pytest.raises(openai.NotFoundError):
            slow.got(asked(file.id))


# Batches


def test_a_batch_runs_from_create_to_its_lines(sdk: Sdk) -> None:
    """Create says `validating`, retrieve `completed`; one file has each answer, the other each failure."""
    made = sdk.batch_over(lines_of("[[echo]]one", "[[echo]]two", "[[fail]]"), metadata={"run": "7"})
    batch = sdk.look(made)
    assert (made.status, batch.status, batch.endpoint) == ("validating", "completed", "/v1/chat/completions")
    assert (made.metadata, batch.metadata) == ({"run": "7"}, {"run": "7"})
    assert batch.request_counts.to_dict() == {"completed": 2, "failed": 1, "total": 3}
    assert batch.project_id.startswith("project_")
    # What OpenAI's batches have, and Groq's have not.
    assert (batch.model, batch.usage, batch.errors) == (None, None, None)
    answers = {line["custom_id"]: said_in(line) for line in sdk.lines(batch.output_file_id)}
    assert answers == {"row-0": "one", "row-1": "two"}
    [failure] = sdk.lines(batch.error_file_id)
    assert (failure["custom_id"], failure["response"]["status_code"]) == ("row-2", 400)


def test_a_cancelled_batch_passes_through_cancelling(slow: Sdk, slow_url: str) -> None:
    """Cancel answers `cancelling`, and the batch is `cancelled` later, with what was answered until then."""
    made = slow.batch_over(lines_of(*["[[echo]]yes"] * 10))
    forward(slow_url, 0.5 * PACE_S)
    assert slow.look(made).status == "in_progress"
    cancelled = slow.got(slow.client.batches.cancel(made.id))
    assert (cancelled.id, cancelled.status) == (made.id, "cancelling")
    forward(slow_url, PACE_S)
    batch = slow.look(made)
    assert (batch.status, batch.cancelled_at is None) == ("cancelled", False)
    assert len(slow.lines(batch.output_file_id)) == batch.request_counts.completed < 10
    with pytest.raises(openai.BadRequestError):
        slow.got(slow.client.batches.cancel(made.id))


def test_an_expired_batch_has_both_files(slow: Sdk, slow_url: str) -> None:
    """What was answered before the window closed is in one file, what was not is in the other."""
    made = slow.batch_over(lines_of("[[expire]][[echo]]one", *["[[echo]]more"] * 3))
    forward(slow_url, PACE_S)
    batch = slow.look(made)
    assert (batch.status, batch.expired_at is None, batch.completed_at) == ("expired", False, None)
    answered, left = slow.lines(batch.output_file_id), slow.lines(batch.error_file_id)
    assert {line["custom_id"] for line in answered + left} == {"row-0", "row-1", "row-2", "row-3"}
    assert len(left) == 2


def test_batches_are_listed_page_by_page(sdk: Sdk) -> None:
    """Groq's cursor goes in extra_query and comes in the page's `paging`, the newest batch first."""
    file = sdk.upload(lines_of("one"))
    made = [sdk.create(file.id).id for _ in range(21)]
    first = sdk.got(sdk.client.batches.list())
    query = {"cursor": first.paging["next_cursor"]}
    second = sdk.got(sdk.client.batches.list(extra_query=query))
    assert [batch.id for batch in first.data + second.data][:21] == made[::-1]


def test_errors_are_the_guides_flat_list(sdk: Sdk) -> None:
    """By default `errors` is a list, so the SDK, which expects an object, gives a list of what it holds."""
    batch = sdk.look(sdk.batch_over(BAD_LINE))
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    [fault] = batch.errors
    assert (fault.code, fault.line, fault.param) == ("invalid_method", 2, "method")


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
    """All pages of models are one, and each is told of by its id, also where the id has a slash."""
    models = sdk.all(sdk.client.models.list())
    assert MODEL in [model.id for model in models]
    for model in models:
        assert sdk.got(sdk.client.models.retrieve(model.id)).to_dict() == model.to_dict()


def test_a_chat_is_answered_and_says_by_whom(sdk: Sdk) -> None:
    """A chat request has the prompt's reply, its tokens, and signs that no model of Groq's wrote it."""
    reply = sdk.chat("[[echo]]now")
    [choice] = reply.choices
    assert (choice.message.content, choice.finish_reason) == ("now", "stop")
    assert (reply.object, reply.model) == ("chat.completion", f"sandbox/{MODEL}")
    assert (reply.system_fingerprint, reply.usage.completion_tokens > 0) == ("fp_sandbox", True)
    assert reply._request_id == reply.x_groq["id"]


def test_a_stream_is_the_same_reply_in_chunks(sdk: Sdk) -> None:
    """With stream=True the chunks of one reply add up to it: its id, its text, its end and its usage."""
    text = "[[echo]]" + "a word and another – Zürich, " * 20
    whole = sdk.chat(text)
    chunks = sdk.all(sdk.chat(text, stream=True, stream_options={"include_usage": True}))
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", whole.model)}
    assert len({chunk.id for chunk in chunks}) == 1
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert ("".join(pieces), len(pieces) > 1) == (whole.choices[0].message.content, True)
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


def test_the_stream_helper_puts_a_reply_together(sdk: Sdk) -> None:
    """The SDK's own `stream` ends with a completion that is the reply, its content told of in events."""
    with sdk.within(sdk.client.chat.completions.stream(**asking("[[echo]]one two three"))) as stream:
        told = "".join(event.delta for event in sdk.all(stream) if event.type == "content.delta")
        reply = sdk.got(stream.get_final_completion())
    assert (told, reply.choices[0].message.content) == ("one two three", "one two three")
    assert reply.choices[0].finish_reason == "stop"


def test_parse_gives_the_asked_model(sdk: Sdk) -> None:
    """`parse` asks with a json_schema and comes back with the pydantic model, filled."""
    reply = sdk.got(sdk.client.chat.completions.parse(**asking("Which city?"), response_format=City))
    city = reply.choices[0].message.parsed
    assert isinstance(city, City)
    assert city == City.model_validate_json(reply.choices[0].message.content)


def test_parse_of_a_cut_reply_is_a_length_error(sdk: Sdk) -> None:
    """A text that stops half-way is the SDK's LengthFinishReasonError, with the completion in it."""
    with pytest.raises(openai.LengthFinishReasonError) as met:
        sdk.got(sdk.client.chat.completions.parse(**asking("[[cut]]Which city?")))
    assert met.value.completion.choices[0].finish_reason == "length"
    assert met.value.completion.usage.completion_tokens > 0


def test_json_that_is_cut_is_a_failed_generation(sdk: Sdk) -> None:
    """JSON that stops half-way is a BadRequestError at Groq, so `parse` never sees half a document."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.got(sdk.client.chat.completions.parse(**asking("[[cut]]Which city?"), response_format=City))
    assert met.value.code == "json_validate_failed"
    assert "max completion tokens reached" in inside(met.value)["failed_generation"]


# Headers


def test_a_raw_chat_reply_has_its_id_and_its_limits(sdk: Sdk) -> None:
    """with_raw_response shows the request's id and the six limits, with_streaming_response too."""
    create = sdk.client.chat.completions.with_raw_response.create
    raw = sdk.got(create(**asking("[[echo]]now")))
    assert set(LIMITS) <= set(raw.headers)
    assert raw.parse().x_groq["id"] == raw.headers["x-request-id"] == raw.request_id
    create = sdk.client.chat.completions.with_streaming_response.create
    with sdk.within(create(**asking("[[echo]]now"), stream=True)) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert set(LIMITS) <= set(reply.headers)
        assert reply.request_id.startswith("req_")
        assert [line for line in sdk.all(reply.iter_lines()) if line][-1] == "data: [DONE]"


def test_every_reply_has_a_request_id_of_its_own(sdk: Sdk) -> None:
    """What each verb gives has a `_request_id`, an error has a `request_id`, and no two are the same."""
    file = sdk.upload(lines_of("one"))
    made = sdk.create(file.id)
    given = [
        file,
        made,
        sdk.got(sdk.client.files.list()),
        sdk.got(sdk.client.files.retrieve(file.id)),
        sdk.got(sdk.client.batches.list()),
        sdk.look(made),
        sdk.got(sdk.client.models.list()),
        sdk.got(sdk.client.models.retrieve(MODEL)),
        sdk.got(sdk.client.files.delete(file.id)),
    ]
    with pytest.raises(openai.NotFoundError) as met:
        sdk.got(sdk.client.files.delete(file.id))
    ids = [*(str(value._request_id) for value in given), str(met.value.request_id)]
    assert [its_id.partition("_")[0] for its_id in ids] == ["req"] * len(ids)
    assert len(set(ids)) == len(ids)


# Refusals


@pytest.mark.parametrize(("status", "name"), ERRORS.items())
def test_each_status_is_the_sdks_error_for_it(sdk: Sdk, url: str, status: int, name: str) -> None:
    """A refusal with this status is the SDK's class for it, and holds what is in the envelope."""
    arm(url, "refuse", status=status)
    with pytest.raises(openai.APIStatusError) as met:
        sdk.got(sdk.client.models.list())
    assert (type(met.value), met.value.status_code) == (getattr(openai, name), status)
    assert inside(met.value)["message"]
    assert sdk.all(sdk.client.models.list())


@pytest.mark.parametrize(
    ("key", "code"), [("wrong", "invalid_api_key"), ("gsk_expired_1", "expired_api_key")]
)
def test_a_key_that_opens_nothing_is_an_authentication_error(sdk: Sdk, key: str, code: str) -> None:
    """An invalid and an expired key are refused, each with its own code."""
    other = sdk.but(api_key=key)
    for ask in (other.client.models.list, other.client.files.list, other.client.batches.list):
        with pytest.raises(openai.AuthenticationError) as met:
            other.got(ask())
        assert inside(met.value)["code"] == code


def test_a_free_plan_has_chat_but_no_batches(sdk: Sdk) -> None:
    """A free key gets a PermissionDeniedError where batches begin, whatever it asks, and may chat."""
    free = sdk.but(api_key="gsk_free_1")
    asks = (lambda: free.upload(""), lambda: free.create("none"), lambda: free.batches_over("none"))
    for ask in asks:
        with pytest.raises(openai.PermissionDeniedError) as met:
            ask()
        assert inside(met.value)["code"] == "not_available_for_plan"
    assert free.chat("[[echo]]now").choices[0].message.content == "now"


@pytest.mark.parametrize("field", NONSENSE)
def test_a_create_that_asks_for_nonsense_is_a_bad_request(sdk: Sdk, field: str) -> None:
    """A window, an endpoint, a file or metadata that cannot be taken is named in the error's `param`."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.batch_over(lines_of("one"), **NONSENSE[field])
    assert (bool(inside(met.value)), met.value.param) == (True, field)


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_groq_does_not_take_is_a_bad_request(sdk: Sdk, what: str) -> None:
    """Fields that Groq refuses, and tools, which the sandbox has none of, are refused and not ignored."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.chat("one", **NOT_TAKEN[what])
    assert inside(met.value)["type"] == "invalid_request_error"


def test_a_failed_generation_is_shown(sdk: Sdk) -> None:
    """[[fail]] is a BadRequestError whose body has `failed_generation`, as Groq's JSON mode has it."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.chat("[[fail]]")
    assert (met.value.code, "failed_generation" in inside(met.value)) == ("json_validate_failed", True)


def test_what_is_not_there_is_not_found(sdk: Sdk) -> None:
    """A batch, a file, a content and a model of unknown ids are each a NotFoundError."""
    client = sdk.client
    asks = (
        (client.batches.retrieve, NO_BATCH),
        (client.batches.cancel, NO_BATCH),
        (client.files.retrieve, NO_FILE),
        (client.files.content, NO_FILE),
        (client.files.delete, NO_FILE),
        (client.models.retrieve, "openai/none"),
    )
    for ask, its_id in asks:
        with pytest.raises(openai.NotFoundError) as met:
            sdk.got(ask(its_id))
        assert its_id in inside(met.value)["message"]


def test_another_purpose_than_batch_is_a_bad_request(sdk: Sdk) -> None:
    """Of the purposes that this SDK knows Groq has one, and the others are named in `param`."""
    with pytest.raises(openai.BadRequestError) as met:
        sdk.got(sdk.client.files.create(file=("in.jsonl", lines_of("one").encode()), purpose="fine-tune"))
    assert (bool(inside(met.value)), met.value.param) == (True, "purpose")


def test_the_other_sdks_base_url_is_not_found(sdk: Sdk, url: str) -> None:
    """This SDK adds no /openai/v1, so a base URL without it shows the bare path in the refusal."""
    lost = sdk.but(base_url=url)
    with pytest.raises(openai.NotFoundError) as met:
        lost.got(lost.client.models.retrieve(MODEL))
    assert f"GET /models/{MODEL}" in inside(met.value)["message"]


def test_a_body_beyond_bounds_is_refused_and_not_hung_up_on(sdk: Sdk) -> None:
    """A chat request of 17 MB is answered 413 while it is still being sent, and the next one as ever."""
    with pytest.raises(openai.APIStatusError) as met:
        sdk.chat("x" * 17_000_000)
    assert (type(met.value), met.value.status_code) == (openai.APIStatusError, 413)
    assert inside(met.value)["message"]
    assert sdk.chat("[[echo]]now").choices[0].message.content == "now"


# Limits, retries and broken connections


def test_a_rate_limit_says_when_to_come_back(sdk: Sdk, url: str) -> None:
    """A RateLimitError has Retry-After and the six limits, and Groq's type and code for it."""
    arm(url, "rate_limit", seconds=7)
    with pytest.raises(openai.RateLimitError) as met:
        sdk.chat("one")
    assert met.value.response.headers["retry-after"] == "7"
    assert set(LIMITS) <= set(met.value.response.headers)
    assert (inside(met.value)["type"], met.value.code) == ("tokens", "rate_limit_exceeded")


def test_the_sdks_own_retry_keeps_to_retry_after(sdk: Sdk, url: str) -> None:
    """One 429 is not seen by a client that retries: it waits as long as it was told, and then is served."""
    arm(url, "rate_limit", seconds=0.7)
    create = sdk.but(max_retries=1).client.chat.completions.with_raw_response.create
    began = time.monotonic()
    raw = sdk.got(create(**asking("[[echo]]now")))
    # By itself the SDK would wait for half a second at most.
    assert (raw.retries_taken, time.monotonic() - began >= 0.7) == (1, True)
    assert raw.parse().choices[0].message.content == "now"


def test_a_create_answered_500_may_have_been_carried_out(sdk: Sdk, url: str) -> None:
    """After such an error the batch is there, and the SDK's own retry of a create makes a second one."""
    file = sdk.upload(lines_of("one"))
    arm(url, "accepted_500")
    with pytest.raises(openai.InternalServerError) as met:
        sdk.create(file.id)
    assert (bool(inside(met.value)["message"]), sdk.batches_over(file.id)) == (True, 1)
    arm(url, "accepted_500")
    assert sdk.but(max_retries=1).create(file.id).status == "validating"
    assert sdk.batches_over(file.id) == 3


def test_an_upload_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A connection closed within an upload leaves no file; a client that retries sends it anew, whole."""
    content, before = lines_of("x" * 4_000_000), sdk.files()
    arm(url, "reset", times=2)
    with pytest.raises(openai.APIConnectionError) as met:
        sdk.upload(content)
    assert not isinstance(met.value, openai.APITimeoutError)
    assert sdk.files() == before
    file = sdk.but(max_retries=1).upload(content)
    assert (file.bytes, len(sdk.files())) == (len(content), len(before) + 1)


def test_a_download_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A content that ends before its announced length is an APIConnectionError, and whole at the next go."""
    content = lines_of("x" * 400_000)
    file = sdk.upload(content)
    arm(url, "reset_reply")
    with pytest.raises(openai.APIConnectionError):
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


def test_a_stream_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """Chunks that stop half-way end in an APIConnectionError, never as if the reply were whole."""
    arm(url, "reset_reply", on="POST /chat/completions")
    came = []
    with pytest.raises(openai.APIConnectionError):
        came.extend(sdk.each(sdk.chat("[[echo]]" + "word " * 200, stream=True)))
    assert 1 < len(came) < 250


def test_a_reply_that_comes_late_is_a_timeout(sdk: Sdk, url: str) -> None:
    """A reply that begins after the client's patience is an APITimeoutError; a patient one gets it."""
    arm(url, "slow", seconds=0.4, times=2)
    hasty = sdk.but(timeout=0.1)
    with pytest.raises(openai.APITimeoutError):
        hasty.got(hasty.client.models.list())
    began = time.monotonic()
    assert sdk.all(sdk.client.models.list())
    assert time.monotonic() - began >= 0.4


def test_garbage_is_refused_by_a_strict_client(sdk: Sdk, url: str) -> None:
    """A page of HTML is an APIResponseValidationError where the client is strict, and a string where not."""
    arm(url, "garbage", times=2)
    strict = sdk.strict()
    with pytest.raises(openai.APIResponseValidationError) as met:
        strict.got(strict.client.models.retrieve(MODEL))
    assert (met.value.status_code, "<html" in str(met.value.body).lower()) == (200, True)
    assert "<html" in sdk.got(sdk.client.models.retrieve(MODEL)).lower()
