import json
import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic import errors, wire

SAMPLES = Path(__file__).parent / "samples"

RESULT_LINES = ["output_line", "output_line_2025", "error_line", "error_line_bare", "expired_line"]


def sample(name: str) -> Any:
    """What the sample's file holds as the wire's shape."""
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))["sample"]


def as_bytes(value: object) -> bytes:
    """The value as it comes over the wire, broken characters as `json.dumps` writes them."""
    return json.dumps(value).encode()


def changed(name: str, **fields: Any) -> bytes:
    """A sample with other values in some of its fields; `...` takes a field out."""
    whole = sample(name) | fields
    return as_bytes({key: value for key, value in whole.items() if value is not ...})


def answered(**body: Any) -> dict[str, Any]:
    """A result line with this body."""
    return {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}


# --- the samples -------------------------------------------------------------------------------------

BATCH = "batch_01k7a2n4q8v3w5x6y7z8a9b0cd"
INPUT = "file_01k7a2n4m1p2q3r4s5t6v7w8x9"
OUTPUT = "file_01k7a2n6e1f2g3h4j5k6m7n8p9"
ERRORS = "file_01k7a2n6e9f8g7h6j5k4m3n2p1"

READ_AS = {
    "batch_validating": ("validating", None, None, None, (0, 0, 0)),
    "batch_in_progress": ("in_progress", None, None, None, (1, 1, 4)),
    "batch_finalizing": ("finalizing", None, None, None, (3, 1, 4)),
    "batch_cancelling": ("cancelling", None, None, None, (2, 0, 4)),
    "batch_completed": ("completed", OUTPUT, ERRORS, 1780000021, (3, 1, 4)),
    "batch_failed": ("failed", None, None, 1780000003, (0, 0, 0)),
    "batch_failed_wrapped": ("failed", None, None, 1780000003, (0, 0, 0)),
    "batch_expired": ("expired", OUTPUT, ERRORS, 1780086400, (2, 0, 4)),
    "batch_cancelled": ("cancelled", OUTPUT, None, 1780000012, (2, 0, 4)),
}


@pytest.mark.parametrize("name", READ_AS)
def test_a_batch_is_read_as_its_sample_says(name: str) -> None:
    """Status, files, end and counts of each sample batch come out as they stand in it."""
    batch = wire.batch(as_bytes(sample(name)))
    counts = (batch.completed, batch.failed, batch.total)
    assert (batch.status, batch.output_file_id, batch.error_file_id, batch.ended_at, counts) == READ_AS[name]
    assert (batch.id, batch.input_file_id) == (BATCH, INPUT)
    assert (batch.created_at, batch.expires_at) == (1780000000, 1780086400)


@pytest.mark.parametrize("name", ["batch_failed", "batch_failed_wrapped"])
def test_a_failed_batch_says_why_and_on_which_line(name: str) -> None:
    """The errors of the sample batch that was turned down, flat or wrapped, are code, message and line."""
    (error,) = wire.batch(as_bytes(sample(name))).errors
    assert (error.code, error.line) == ("invalid_method", 4)
    assert error.message == "Invalid value: 'GET'. Supported values are: 'POST'"


def test_a_page_is_its_batches_and_the_cursor_of_the_next() -> None:
    """The sample page holds one batch, its metadata as text, and a cursor."""
    page = wire.page(as_bytes(sample("batch_list")))
    assert [(batch.id, batch.metadata) for batch in page.batches] == [(BATCH, {"job": "reviews"})]
    assert page.next_cursor == "cursor_01k7a2n4q8v3w5x6y7z8a9b0cd"


@pytest.mark.parametrize("paging", [{"next_cursor": ""}, {"next_cursor": None}, {}, None, ...])
def test_the_last_page_has_no_cursor(paging: Any) -> None:
    """An empty, null or missing cursor all mean that there is no further page."""
    assert wire.page(changed("batch_list", paging=paging)).next_cursor is None


def test_the_other_samples_are_read() -> None:
    """A file's id, the models' ids and an error's code and message come out of their samples."""
    for name in ("file", "file_deleted"):
        assert wire.file_id(as_bytes(sample(name))) == INPUT
    kept, output = wire.files(as_bytes(sample("file_list")))
    assert kept == wire.File(INPUT, "reviews.jsonl", "batch", 966, 1780000000)
    assert (output.id, output.purpose) == (OUTPUT, "batch_output")
    (batch,) = wire.page(as_bytes(sample("batches_by_id"))).batches
    assert (batch.id, wire.page(as_bytes(sample("batches_by_id"))).next_cursor) == (BATCH, None)
    chat, audio = wire.models(as_bytes(sample("models")))
    assert chat == wire.Model("openai/gpt-oss-20b", "OpenAI", True, 131_072, 65_536)
    assert (audio.id, audio.context_window) == ("whisper-large-v3", 448)


def test_a_model_that_says_little_is_a_model() -> None:
    """Only an id is needed; what is no number is None, and a model is active unless it says it is not."""
    rows = [{"id": "a"}, {"id": "b", "active": False, "context_window": "many"}, {"object": "model"}, None]
    assert wire.models(as_bytes({"data": rows})) == [
        wire.Model("a", None, True, None, None),
        wire.Model("b", None, False, None, None),
    ]


ERROR_CODES = {
    "error_envelope": "invalid_api_key",
    "error_expired_api_key": "expired_api_key",
    "error_not_available_for_plan": "not_available_for_plan",
    "error_model_not_found": "model_not_found",
    "error_model_decommissioned": "model_decommissioned",
    "error_json_validate_failed": "json_validate_failed",
    "error_rate_limit": "rate_limit_exceeded",
    "error_with_param": "invalid_request_error",
    "error_unsupported_property": "invalid_request_error",
    "error_context_length_exceeded": "context_length_exceeded",
}


@pytest.mark.parametrize("name", ERROR_CODES)
def test_an_error_envelope_is_its_code_and_its_words(name: str) -> None:
    """Code, where there is none type, and message of each sample envelope come out as they stand in it."""
    assert wire.error(as_bytes(sample(name))) == (ERROR_CODES[name], sample(name)["error"]["message"])


LIMITS = {
    "rate_limit_headers": wire.Limits(500_000, 250_000, 499_999, 249_885, 0.1728, 0.0276, None),
    "rate_limited_headers": wire.Limits(500_000, 250_000, 499_999, 0, 0.1728, 67.5, 7.0),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_read_from_the_headers(name: str) -> None:
    """What is left, when it is whole again in seconds, and how long to wait, as the samples say."""
    read = wire.limits(sample(name))
    assert astuple(read) == pytest.approx(astuple(LIMITS[name]))
    assert wire.limits({key.upper(): value for key, value in sample(name).items()}) == read


@pytest.mark.parametrize(
    ("headers", "after_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.2"}, 1.0),
        ({"retry-after": "-1"}, 1.0),
        ({"retry-after": "1e9"}, 600.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "17.212s"}, 17.212),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "17.212s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3s"}, 600.0),
        ({"x-ratelimit-remaining-tokens": "٣", "x-ratelimit-reset-tokens": "7s x"}, None),
    ],
)
def test_how_long_to_wait_is_read_whatever_came(headers: dict[str, str], after_s: float | None) -> None:
    """Retry-After, else the reset of what is used up, within 1 and 600 seconds; nonsense is None."""
    assert wire.limits(headers).retry_after_s == (None if after_s is None else pytest.approx(after_s))


READ_LINES = {
    "output_line": ("review-2", "stop", 91, 24, None),
    "output_line_2025": ("review-2", "stop", 41, 12, None),
    "error_line": (
        "review-3",
        None,
        0,
        0,
        ("json_validate_failed", "Failed to validate JSON. Please adjust your prompt."),
    ),
    "error_line_bare": (
        "review-3",
        None,
        0,
        0,
        ("json_validate_failed", "Failed to validate JSON. Please adjust your prompt."),
    ),
    "expired_line": (
        "review-4",
        None,
        0,
        0,
        ("batch_expired", "This request could not be executed before the window expired."),
    ),
}


@pytest.mark.parametrize("name", RESULT_LINES)
def test_a_result_line_is_read_as_its_sample_says(name: str) -> None:
    """Id, finish reason, tokens and error of each sample line come out as they stand in it."""
    assert wire.outcome(as_bytes(sample(name))) == READ_LINES[name]


def test_a_reply_holds_text_reasoning_model_and_the_line_itself() -> None:
    """The sample output line in full: what was said, what was thought, by whom, and the raw line."""
    line = sample("output_line")
    reply = wire.reply(as_bytes(line))
    assert reply.text == "Positive. The wine – and the soup – were praised."
    assert reply.reasoning == "Praise for the food, so positive."
    assert (reply.model, reply.usage) == ("openai/gpt-oss-20b", wire.Usage(91, 24, 115))
    assert reply.raw == line


def test_a_reply_of_the_ordinary_endpoint_is_the_body_of_a_line() -> None:
    """The sample chat completion, put into a result line, says what it said."""
    body = sample("chat_completion")
    line = {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    reply = wire.reply(as_bytes(line))
    assert (reply.text, reply.usage) == (body["choices"][0]["message"]["content"], wire.Usage(91, 24, 115))


def test_every_sample_is_read_here() -> None:
    """No sample is left out by the client: a new one needs a line in this file."""
    others = {"batch_list", "batches_by_id", "file", "file_list", "file_deleted", "models", "chat_completion"}
    read = {*READ_AS, *READ_LINES, *ERROR_CODES, *LIMITS, *others}
    assert {path.stem for path in SAMPLES.glob("*.json")} == read


# --- batches of other shapes --------------------------------------------------------------------------

ERROR = {"code": "token_limit_exceeded", "message": "Too many.", "param": None, "line": None}


@pytest.mark.parametrize(
    ("errors", "codes"),
    [
        ([ERROR], ["token_limit_exceeded"]),
        ({"object": "list", "data": [ERROR, ERROR]}, ["token_limit_exceeded"] * 2),
        ({"object": "list", "data": None}, []),
        (None, []),
        ({}, []),
        ("", []),
        (["odd", {"message": "only this"}], ["unknown", "unknown"]),
    ],
)
def test_errors_of_a_batch_are_read_in_each_form(errors: Any, codes: list[str]) -> None:
    """A flat list, a wrapped one, null and {} are all taken for what they mean."""
    assert [error.code for error in wire.batch(changed("batch_failed", errors=errors)).errors] == codes


@pytest.mark.parametrize("nothing", ["", {}, None, [], 0, ...])
def test_a_file_id_that_is_none_counts_as_absent(nothing: Any) -> None:
    """An empty text, {} or null where a file's id should be is no id, for both files."""
    batch = wire.batch(changed("batch_completed", error_file_id=nothing, output_file_id=nothing))
    assert (batch.output_file_id, batch.error_file_id) == (None, None)


@pytest.mark.parametrize("word", ["scheduling", "queued", "Ein neues Wort"])
def test_an_unknown_status_stays_the_word_it_is(word: str) -> None:
    """A status that nobody documented is handed on unchanged."""
    assert wire.batch(changed("batch_in_progress", status=word)).status == word


@pytest.mark.parametrize(
    ("counts", "read"),
    [
        (None, (None, None, None)),
        ({}, (None, None, None)),
        (..., (None, None, None)),
        ({"completed": 2, "failed": None}, (2, None, None)),
        ({"completed": "2", "failed": True, "total": 4.0}, (None, None, 4)),
    ],
)
def test_counts_that_are_not_given_are_none(counts: Any, read: tuple[int | None, ...]) -> None:
    """A null, a missing and a strange count are None, and never 0."""
    batch = wire.batch(changed("batch_in_progress", request_counts=counts))
    assert (batch.completed, batch.failed, batch.total) == read


def test_times_that_are_missing_are_none() -> None:
    """A batch without timestamps is still a batch."""
    batch = wire.batch(b'{"id": "batch_1", "status": "queued"}')
    assert (batch.created_at, batch.expires_at, batch.ended_at, batch.metadata) == (None, None, None, {})


@pytest.mark.parametrize(
    "data", [b"", b"<html>busy</html>", b"[]", b"null", b'{"id": "batch_1"}', b'{"status": "completed"}']
)
def test_what_is_no_batch_is_refused(data: bytes) -> None:
    """HTML, another JSON value and a batch without id or status raise ValueError."""
    with pytest.raises(ValueError, match=r"."):
        wire.batch(data)


def test_a_page_leaves_out_what_is_no_batch() -> None:
    """Entries of a list that have no id do not cost the others."""
    page = wire.page(changed("batch_list", data=[None, {}, "x", *sample("batch_list")["data"]]))
    assert [batch.id for batch in page.batches] == [BATCH]


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (b'{"error": {"message": "No.", "type": "t", "code": "c"}}', ("c", "No.")),
        (b'{"error": {"message": "No.", "type": "t"}}', ("t", "No.")),
        (b'{"error": "No."}', ("", '{"error": "No."}')),
        (b"<html>busy</html>", ("", "<html>busy</html>")),
        (b"", ("", "")),
    ],
)
def test_an_error_is_read_whatever_came(data: bytes, read: tuple[str, str]) -> None:
    """Where an envelope is odd or none at all, its beginning is the message."""
    assert wire.error(data) == read


# --- lines of other shapes ----------------------------------------------------------------------------


BARE = {"custom_id": "a"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (BARE | {"error": {"code": "batch_expired", "message": "m"}}, "batch_expired"),
        (BARE | {"error": {"code": 7, "message": "m"}}, "7"),
        (BARE | {"error": {"type": "server_error"}}, "server_error"),
        (BARE | {"error": "everything is broken"}, "unknown"),
        (BARE | {"error": {"message": "m"}, "response": {"status_code": 503}}, "http_503"),
        (BARE, "no_response"),
        (BARE | {"response": None, "error": None}, "no_response"),
        (BARE | {"response": {"status_code": 429, "body": {}}}, "http_429"),
        (BARE | {"response": {"status_code": 200, "body": {}}}, "no_choices"),
        (BARE | {"response": {"status_code": 200, "body": {"choices": []}}}, "no_choices"),
        (BARE | {"response": {"status_code": 200, "body": "not JSON"}}, "unreadable_body"),
        (answered(choices=[{"finish_reason": "stop"}], error={"code": "late"}), "late"),
    ],
)
def test_a_failure_is_known_in_every_form(line: dict[str, Any], code: str) -> None:
    """An error at the top, in the body, as a text, by status alone, or by saying nothing has a code."""
    error = wire.outcome(as_bytes(line))[4]
    assert error is not None
    assert error[0] == code


def test_an_audio_task_answers_with_a_text() -> None:
    """A transcript is an answer, though it has no choices."""
    line = as_bytes(answered(text="Good morning."))
    assert (wire.reply(line).text, wire.outcome(line)[4]) == ("Good morning.", None)


@pytest.mark.parametrize("broken", [b"\\ud83d", b"\xf0\x9f\x98"])
def test_half_a_character_does_not_cost_an_answer(broken: bytes) -> None:
    """A text with half a surrogate pair or a torn UTF-8 sequence is kept, with a sign in its place."""
    line = as_bytes(answered(choices=[{"message": {"content": "so far *"}, "finish_reason": "length"}]))
    line = line.replace(b"*", broken)
    assert wire.outcome(line) == ("a", "length", 0, 0, None)
    text = wire.reply(line).text
    assert text is not None
    assert text.startswith("so far ")
    assert text.encode()


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        (12, 12),
        (12.0, 12),
        (-1, 0),
        (2**40, 2**32 - 1),
        (10**30, 0),
        ("12", 0),
        (None, 0),
        (math.nan, 0),
        (math.inf, 0),
    ],
)
def test_tokens_are_counts_whatever_was_said(said: Any, tokens: int) -> None:
    """A number of tokens is from 0 to what a column holds, so no line can break the others."""
    line = as_bytes(answered(choices=[{}], usage={"prompt_tokens": said}))
    assert wire.outcome(line)[2] == tokens


NO_LINES = [b"", b"{", b"[]", b"null", b"{}", b'{"custom_id": ""}', b'{"custom_id": 3}', b"[" * 100_000]


@pytest.mark.parametrize("line", NO_LINES, ids=[line[:20].decode() for line in NO_LINES])
def test_what_is_no_line_is_refused(line: bytes) -> None:
    """Torn JSON, another value, JSON without end and a line without custom_id raise ValueError."""
    for read in (wire.outcome, wire.reply):
        with pytest.raises(ValueError, match=r"."):
            read(line)


# --- two ways of reading a line ------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Dicts in which each field is missing, as it should be, or anything."""
    return st.fixed_dictionaries({}, optional={key: value | JSON for key, value in fields.items()})


ERRORS_SAID = maybe(code=st.text(max_size=4), type=st.text(max_size=4), message=st.text(max_size=4))
TOKENS = st.integers(min_value=0, max_value=100)
USAGE = maybe(prompt_tokens=TOKENS, completion_tokens=TOKENS, total_tokens=TOKENS)
CHOICE = maybe(
    finish_reason=st.sampled_from(["stop", "length", "", None]), message=maybe(content=st.text(max_size=4))
)
BODY = maybe(
    choices=st.lists(CHOICE, max_size=2),
    usage=st.none() | USAGE,
    error=st.none() | ERRORS_SAID,
    text=st.text(max_size=4),
)
LINE = maybe(
    custom_id=st.text(max_size=4),
    response=maybe(status_code=st.sampled_from([200, 200.0, 400, 500]), body=BODY | BODY.map(json.dumps)),
    error=st.none() | ERRORS_SAID,
)


def read_quickly(line: bytes) -> object:
    """What `outcome` makes of the line; None where it is refused."""
    try:
        return wire.outcome(line)
    except ValueError:
        return None


def read_in_full(line: bytes) -> object:
    """The same from `reply`."""
    try:
        full = wire.reply(line)
    except ValueError:
        return None
    usage = full.usage
    return full.custom_id, full.finish_reason, usage.prompt_tokens, usage.completion_tokens, full.error


@given(LINE)
def test_the_quick_way_and_the_full_way_agree(line: dict[str, Any]) -> None:
    """Whatever a line holds, `outcome` says what `reply` says, and refuses what it refuses."""
    data = as_bytes(line)
    assert read_quickly(data) == read_in_full(data)


@given(LINE)
def test_what_is_read_together_is_what_each_line_says(line: dict[str, Any]) -> None:
    """Of plain answers the columns say what `reply` says, text and all; of others there are none."""
    data = as_bytes(line)
    lean, said = wire.ordinary([data]), wire.ordinary([data, data], texts=True)
    if said is not None:
        full = wire.reply(data)
        assert (full.error, said.texts) == (None, [full.text] * 2)
    if lean is not None:
        read = lean.ids[0], lean.finish_reasons[0], lean.prompt_tokens[0], lean.completion_tokens[0], None
        assert read == read_in_full(data)
    assert wire.ordinary([data, b"{}"]) is None


def test_a_plain_answer_is_read_the_quick_way() -> None:
    """The sample of today's output line is of the shape that is read many at a time."""
    data = as_bytes(sample("output_line"))
    found = wire.ordinary([data, data], texts=True)
    assert found is not None
    assert found.texts == [wire.reply(data).text] * 2


@given(st.sampled_from(RESULT_LINES), st.data())
def test_both_ways_agree_on_lines_with_a_broken_byte(name: str, data: st.DataObject) -> None:
    """A sample line with one byte changed is read alike or refused alike."""
    line = bytearray(msgspec.json.encode(sample(name)))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    assert read_quickly(bytes(line)) == read_in_full(bytes(line))


# --- one chat request -----------------------------------------------------------------------------------


def test_a_chat_reply_is_an_output_line_like_any_other() -> None:
    """The reply to one request, put down as a line, reads as what it is in a batch's file."""
    body, headers = sample("chat_completion"), {"X-Request-Id": "req_1", **sample("rate_limit_headers")}
    told = wire.told(as_bytes(body), headers)
    used = body["usage"]
    assert (told.request_id, told.tokens) == ("req_1", used["prompt_tokens"] + used["completion_tokens"])
    assert told.limits == wire.limits(headers)
    line = wire.result_line("mine", 200, told.request_id, told.body)
    read = wire.reply(line)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert (read.custom_id, read.text) == ("mine", body["choices"][0]["message"]["content"])
    assert read.raw.keys() == sample("output_line").keys()
    assert read.raw["response"] == {"status_code": 200, "request_id": "req_1", "body": body}


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"choices":[{"message":{"content":"\\ud800"}}]}',
        b'\r\n{\n"choices":\n[{}]\r\n}\n',
        b'{"choices":[1],"usage":{"prompt_tokens":-5,"completion_tokens":1e99}}',
    ],
)
def test_an_odd_reply_is_one_line_that_can_be_read(body: bytes) -> None:
    """Broken characters, line ends and nonsense counts do not break the file that the reply goes into."""
    line = wire.result_line("mine", 200, "", wire.told(body, {}).body)
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert wire.outcome(line)[0] == "mine"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_what_is_no_json_object_is_no_reply(body: bytes) -> None:
    """A page of HTML and its like are not put down as answers."""
    with pytest.raises(ValueError, match=r"."):
        wire.told(body, {})


def test_a_key_that_begins_like_the_one_in_use_is_blacked_out_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the longer one is left standing."""
    monkeypatch.setattr(errors, "_in_use", {"gsk_abc"})
    assert errors.redact("Bad gsk_abc123, or gsk_abc.") == "Bad gsk_…, or gsk_…."


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (as_bytes(sample("error_rate_limit")), sample("error_rate_limit")["error"]),
        (b"<h1>No gsk_secretSECRET</h1>", {"message": "<h1>No gsk_…</h1>", "code": None}),
        (b'{"error":{"message":"Bad gsk_abc123"}}', {"message": "Bad gsk_…"}),
        (b"", {"message": "", "code": None}),
    ],
)
def test_a_refusal_becomes_a_line_without_a_key(body: bytes, error: dict[str, object]) -> None:
    """An error's envelope is kept as it is, anything else as its message; what looks like a key is not."""
    read = wire.reply(wire.result_line("mine", 400, "req_1", wire.error_body(body)))
    assert read.raw["response"]["body"] == {"error": error}
    assert read.error is not None
    assert "gsk_a" not in str(read.raw)


def test_a_line_of_ours_is_asked_as_it_lies_there() -> None:
    """The body of a request line is taken byte for byte."""
    body = b'{"b": 1,"a":"\xc3\xa9 \\u00e9"}'
    asked = wire.asked(b'{"custom_id":"x","method":"POST","url":"/v1/chat/completions","body":%b}\n' % body)
    assert (asked.custom_id, asked.body) == ("x", body)
