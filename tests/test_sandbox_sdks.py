"""Groq's own SDK and OpenAI's, which Groq recommends too, sync and async, against a sandbox on a socket.

What both do alike; what only one of them has stands in a file of its own.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import groq
import openai
import pytest

from tests.desk import BAD_LINE, lines_of, said_in
from tests.sdks import LIMITS, MODEL, PACE_S, Sdk, asking
from tests.sockets import arm, forward

DAY_S = 86_400.0

# What both SDKs raise for a status: https://github.com/groq/groq-python#handling-errors
ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    498: "APIStatusError",
    500: "InternalServerError",
    502: "InternalServerError",
    503: "InternalServerError",
}

# Ids that no sandbox gives.
NO_BATCH, NO_FILE = "batch_01k7a2n4q8v3w5x6y7z8a9b0cd", "file_01k7a2n4q8v3w5x6y7z8a9b0cd"

# For each field of a create what it cannot be. https://console.groq.com/docs/api-reference#batches-create
NONSENSE: dict[str, dict[str, Any]] = {
    "completion_window": {"completion_window": "1h"},
    "endpoint": {"endpoint": "/v1/embeddings"},
    "input_file_id": {"input_file_id": NO_FILE},
    "metadata": {"metadata": {"run": 7}},
}

# What a chat request cannot have: at Groq by https://console.groq.com/docs/openai, tools only here.
NOT_TAKEN: dict[str, dict[str, Any]] = {
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    "functions": {"functions": [{"name": "f", "parameters": {"type": "object"}}]},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "name": {"messages": [{"role": "user", "name": "Ada", "content": "one"}]},
    "no messages": {"messages": []},
    "temperature": {"temperature": 3},
}


@pytest.fixture(scope="module", params=[groq.Groq, groq.AsyncGroq, openai.OpenAI, openai.AsyncOpenAI])
def kind(request: pytest.FixtureRequest) -> Any:
    """Each SDK's client: the sync one, and the async one."""
    return request.param


# Files


def test_a_file_goes_up_is_listed_and_goes(sdk: Sdk, tmp_path: Path) -> None:
    """Create, list, info and delete tell of one File: Groq's six keys, the name and the size it had."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines_of("one"), encoding="utf-8")
    file = sdk.got(sdk.client.files.create(file=path, purpose="batch"))
    assert set(file.to_dict()) == {"id", "object", "bytes", "created_at", "filename", "purpose"}
    assert (file.object, file.filename, file.purpose) == ("file", "in.jsonl", "batch")
    assert file.bytes == path.stat().st_size
    assert sdk.info(file.id).to_dict() == file.to_dict()
    listed = sdk.got(sdk.client.files.list())
    assert (listed.object, listed.data[0].to_dict()) == ("list", file.to_dict())

    gone = sdk.got(sdk.client.files.delete(file.id))
    assert gone.to_dict() == {"id": file.id, "object": "file", "deleted": True}
    assert file.id not in [left.id for left in sdk.files()]
    with pytest.raises(sdk.errors.NotFoundError):
        sdk.info(file.id)


def test_a_file_is_gone_after_thirty_days(slow: Sdk, slow_url: str) -> None:
    """A file older than 30 days is neither listed nor found."""
    file = slow.upload(lines_of("one"))
    forward(slow_url, 29 * DAY_S)
    assert slow.info(file.id).id == file.id
    forward(slow_url, 2 * DAY_S)
    assert file.id not in [left.id for left in slow.files()]
    for asked in (slow.info, slow.client.files.content, slow.client.files.delete):
        with pytest.raises(slow.errors.NotFoundError):
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
    assert (batch.status, batch.cancelled_at is None) == ("cancelled", False)
    assert batch.request_counts.total == 10
    assert len(slow.lines(batch.output_file_id)) == batch.request_counts.completed < 10
    with pytest.raises(slow.errors.BadRequestError):
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
    """Groq's cursor goes in extra_query and leads from page to page, the newest first, none there twice."""
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
    said = (choice.message.role, choice.message.content, choice.finish_reason)
    assert said == ("assistant", "now", "stop")
    assert (reply.object, reply.model) == ("chat.completion", f"sandbox/{MODEL}")
    assert (reply.system_fingerprint, reply.service_tier) == ("fp_sandbox", "on_demand")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens > 0
    x_groq = reply.to_dict()["x_groq"]
    assert (x_groq["id"].startswith("req_"), x_groq["seed"]) == (True, 7)


def test_a_stream_is_the_same_reply_in_chunks(sdk: Sdk) -> None:
    """With stream=True the chunks of one reply add up to it: its id, its text, its end and its usage."""
    text = "[[echo]]" + "a word and another – Zürich, " * 20
    whole = sdk.chat(text)
    chunks = sdk.all(sdk.chat(text, stream=True))
    assert {(chunk.object, chunk.model) for chunk in chunks} == {("chat.completion.chunk", whole.model)}
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert deltas[0].role == "assistant"
    pieces = [delta.content for delta in deltas if delta.content]
    assert ("".join(pieces), len(pieces) > 1) == (whole.choices[0].message.content, True)
    ends = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert chunks[-1].usage.total_tokens == whole.usage.total_tokens


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


# Headers


def test_a_raw_chat_reply_has_its_id_and_its_limits(sdk: Sdk) -> None:
    """with_raw_response shows the request's id, which is x_groq's, and the six limits."""
    raw = sdk.got(sdk.client.chat.completions.with_raw_response.create(**asking("[[echo]]now")))
    assert raw.headers["content-type"] == "application/json"
    assert set(LIMITS) <= set(raw.headers)
    assert "retry-after" not in raw.headers
    reply = sdk.got(raw.parse()).to_dict()
    assert (reply["x_groq"]["id"], raw.retries_taken) == (raw.headers["x-request-id"], 0)


def test_a_streaming_chat_reply_has_them_too(sdk: Sdk) -> None:
    """with_streaming_response has the same headers before anything is read, and then Server-Sent Events."""
    create = sdk.client.chat.completions.with_streaming_response.create
    with sdk.within(create(**asking("[[echo]]now"), stream=True)) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert set(LIMITS) <= set(reply.headers)
        lines = [line for line in sdk.all(reply.iter_lines()) if line]
    assert json.loads(lines[0].removeprefix("data: "))["x_groq"]["id"] == reply.headers["x-request-id"]
    assert lines[-1] == "data: [DONE]"


# Refusals


@pytest.mark.parametrize(("status", "name"), ERRORS.items())
def test_each_status_is_the_sdks_error_for_it(sdk: Sdk, url: str, status: int, name: str) -> None:
    """A refusal with this status is the SDK's class for it, and holds the whole envelope."""
    arm(url, "refuse", status=status)
    with pytest.raises(sdk.errors.APIStatusError) as met:
        sdk.got(sdk.client.models.list())
    assert (type(met.value), met.value.status_code) == (getattr(sdk.errors, name), status)
    assert sdk.error_in(met.value)["message"]
    assert sdk.got(sdk.client.models.list()).data


@pytest.mark.parametrize(
    ("key", "code"), [("wrong", "invalid_api_key"), ("gsk_expired_1", "expired_api_key")]
)
def test_a_key_that_opens_nothing_is_an_authentication_error(sdk: Sdk, key: str, code: str) -> None:
    """An invalid and an expired key are refused at every door, each with its own code."""
    other = sdk.but(api_key=key)
    for ask in (other.client.models.list, other.client.files.list, other.client.batches.list):
        with pytest.raises(sdk.errors.AuthenticationError) as met:
            other.got(ask())
        assert (sdk.error_in(met.value)["code"], met.value.status_code) == (code, 401)


def test_a_free_plan_has_chat_but_no_batches(sdk: Sdk) -> None:
    """A free key gets a PermissionDeniedError where batches begin, whatever it asks, and may chat."""
    free = sdk.but(api_key="gsk_free_1")
    asks = (lambda: free.upload("no line"), lambda: free.create("none"), lambda: free.batches_over("none"))
    for ask in asks:
        with pytest.raises(sdk.errors.PermissionDeniedError) as met:
            ask()
        assert sdk.error_in(met.value)["code"] == "not_available_for_plan"
    assert free.chat("[[echo]]now").choices[0].message.content == "now"


@pytest.mark.parametrize("field", NONSENSE)
def test_a_create_that_asks_for_nonsense_is_a_bad_request(sdk: Sdk, field: str) -> None:
    """A window, an endpoint, a file or metadata that cannot be taken is named in `param`."""
    with pytest.raises(sdk.errors.BadRequestError) as met:
        sdk.batch_over(lines_of("one"), **NONSENSE[field])
    assert sdk.error_in(met.value)["param"] == field


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_groq_does_not_take_is_a_bad_request(sdk: Sdk, what: str) -> None:
    """Fields that Groq refuses, and tools, which the sandbox has none of, are refused and not ignored."""
    with pytest.raises(sdk.errors.BadRequestError) as met:
        sdk.chat("one", **NOT_TAKEN[what])
    assert sdk.error_in(met.value)["type"] == "invalid_request_error"


def test_a_failed_generation_is_shown(sdk: Sdk) -> None:
    """[[fail]] is a BadRequestError whose body has `failed_generation`, as Groq's JSON mode has it."""
    with pytest.raises(sdk.errors.BadRequestError) as met:
        sdk.chat("[[fail]]")
    error = sdk.error_in(met.value)
    assert (error["code"], "failed_generation" in error) == ("json_validate_failed", True)


def test_what_is_not_there_is_not_found(sdk: Sdk) -> None:
    """A batch, a file, a content and a model of unknown ids are each a NotFoundError."""
    client = sdk.client
    asks = (
        (client.batches.retrieve, NO_BATCH),
        (client.batches.cancel, NO_BATCH),
        (sdk.info, NO_FILE),
        (client.files.content, NO_FILE),
        (client.files.delete, NO_FILE),
        (client.models.retrieve, "openai/none"),
    )
    for ask, its_id in asks:
        with pytest.raises(sdk.errors.NotFoundError) as met:
            sdk.got(ask(its_id))
        assert its_id in sdk.error_in(met.value)["message"]


def test_a_body_beyond_bounds_is_refused_and_not_hung_up_on(sdk: Sdk) -> None:
    """A chat request of 17 MB is answered 413 while it is still being sent, and the next one as ever."""
    with pytest.raises(sdk.errors.APIStatusError) as met:
        sdk.chat("x" * 17_000_000)
    assert (type(met.value), met.value.status_code) == (sdk.errors.APIStatusError, 413)
    assert sdk.error_in(met.value)["message"]
    assert sdk.chat("[[echo]]now").choices[0].message.content == "now"


# Limits, retries and broken connections


def test_a_rate_limit_says_when_to_come_back(sdk: Sdk, url: str) -> None:
    """A RateLimitError has Retry-After and the six limits, and Groq's type and code for it."""
    arm(url, "rate_limit", seconds=7)
    with pytest.raises(sdk.errors.RateLimitError) as met:
        sdk.chat("one")
    assert met.value.response.headers["retry-after"] == "7"
    assert set(LIMITS) <= set(met.value.response.headers)
    error = sdk.error_in(met.value)
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
    with pytest.raises(sdk.errors.APIStatusError) as met:
        patient.chat("one")
    assert (type(met.value), met.value.status_code) == (sdk.errors.APIStatusError, 498)


def test_a_refused_upload_leaves_no_file(sdk: Sdk, url: str) -> None:
    """After a 503 to an upload there is not one file more."""
    before = sdk.files()
    arm(url, "refuse", on="POST /files")
    with pytest.raises(sdk.errors.InternalServerError):
        sdk.upload(lines_of("one"))
    assert sdk.files() == before


def test_a_create_answered_500_may_have_been_carried_out(sdk: Sdk, url: str) -> None:
    """The SDK's own retry of such a create makes a second batch: nothing tells that both are one."""
    file = sdk.upload(lines_of("one"))
    arm(url, "accepted_500")
    with pytest.raises(sdk.errors.InternalServerError) as met:
        sdk.create(file.id)
    assert (bool(sdk.error_in(met.value)["message"]), sdk.batches_over(file.id)) == (True, 1)
    arm(url, "accepted_500")
    assert sdk.but(max_retries=1).create(file.id).status == "validating"
    assert sdk.batches_over(file.id) == 3


def test_an_upload_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A connection closed within an upload leaves no file; a client that retries sends it anew, whole."""
    content, before = lines_of("x" * 4_000_000), sdk.files()
    arm(url, "reset", times=2)
    with pytest.raises(sdk.errors.APIConnectionError) as met:
        sdk.upload(content)
    assert not isinstance(met.value, sdk.errors.APITimeoutError)
    assert sdk.files() == before
    file = sdk.but(max_retries=1).upload(content)
    assert (file.bytes, len(sdk.files())) == (len(content), len(before) + 1)


def test_a_download_that_breaks_off_is_a_connection_error(sdk: Sdk, url: str) -> None:
    """A content that ends before its announced length is an APIConnectionError, and whole at the next go."""
    content = lines_of("x" * 400_000)
    file = sdk.upload(content)
    arm(url, "reset_reply")
    with pytest.raises(sdk.errors.APIConnectionError):
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


def test_a_reply_that_comes_late_is_a_timeout(sdk: Sdk, url: str) -> None:
    """A reply that begins after the client's patience is an APITimeoutError; a patient one gets it whole."""
    arm(url, "slow", seconds=0.6, times=2)
    hasty = sdk.but(timeout=0.2)
    with pytest.raises(sdk.errors.APITimeoutError):
        hasty.got(hasty.client.models.list())
    began = time.monotonic()
    assert sdk.got(sdk.client.models.list()).data
    assert time.monotonic() - began >= 0.6


def test_garbage_is_refused_by_a_strict_client(sdk: Sdk, url: str) -> None:
    """A page of HTML is an APIResponseValidationError where the client is strict, and a string where not."""
    arm(url, "garbage", times=2)
    strict = sdk.strict()
    with pytest.raises(sdk.errors.APIResponseValidationError) as met:
        strict.got(strict.client.models.retrieve(MODEL))
    assert (met.value.status_code, "<html" in str(met.value.body).lower()) == (200, True)
    assert "<html" in sdk.got(sdk.client.models.retrieve(MODEL)).lower()
