"""Groq's JSON as typed values: what comes over the wire, decoded leniently and in one place.

Every shape is held to `tests/samples/`. Nothing a service says is rejected here for being unknown:
a new status stays a string, a null count is None, `{}` and "" where an id should be count as absent,
and one odd line never costs the others. https://console.groq.com/docs/batch
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from groq_magic.errors import redact

CHAT = "/v1/chat/completions"
BATCH = "batch_"  # how the id of a batch begins


# --- files, batches, models ------------------------------------------------------------------------


@dataclass(frozen=True)
class BatchError:
    """Why a file failed validation: Groq's code and message, and the line of the file (from 1), if said."""

    code: str
    message: str
    line: int | None


@dataclass(frozen=True)
class Batch:
    """A Batch as Groq tells it. Times are epoch seconds; counts are None where the service gave none."""

    id: str
    status: str
    input_file_id: str
    endpoint: str | None
    window: str | None
    output_file_id: str | None
    error_file_id: str | None
    created_at: int | None
    expires_at: int | None
    ended_at: int | None
    completed: int | None
    failed: int | None
    total: int | None
    metadata: Mapping[str, str]
    errors: tuple[BatchError, ...]


@dataclass(frozen=True)
class Page:
    """One page of a batch list; `next_cursor` is None on the last one."""

    batches: tuple[Batch, ...]
    next_cursor: str | None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    # Beyond 2**53 nothing is a count or a time, and SQLite takes no whole number beyond 2**63.
    return int(value) if isinstance(value, int | float) and abs(value) < 2**53 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def decode(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`. Raises ValueError where it is no JSON or no object.

    A character that is broken (half a surrogate pair, a byte that is no UTF-8) becomes a replacement sign.
    """
    try:
        value = msgspec.json.decode(data)
    except ValueError:
        value = _mended(data)
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object was expected, not {type(value).__name__}")
    return value


def _mended(data: bytes) -> object:
    """JSON with broken characters in it, which a strict reader refuses as a whole."""
    try:
        value = json.loads(data.decode("utf-8", "replace"))
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc


@dataclass(frozen=True)
class File:
    """A File as Groq tells it: `bytes` is its size, `created_at` epoch seconds; None if not said."""

    id: str
    filename: str
    purpose: str
    bytes: int | None
    created_at: int | None


def files(data: bytes) -> list[File]:
    """The Files of a list; what has no id is left out."""
    return [
        File(
            found,
            _text(row.get("filename")) or "",
            _text(row.get("purpose")) or "",
            _whole(row.get("bytes")),
            _whole(row.get("created_at")),
        )
        for row in map(_dict, _list(decode(data).get("data")))
        if (found := _text(row.get("id")))
    ]


def file_size(data: bytes) -> int:
    """The size in bytes that a File tells, 0 where it tells none."""
    return _whole(decode(data).get("bytes")) or 0


def file_id(data: bytes) -> str:
    """The id of an uploaded File. Raises ValueError where the reply holds none."""
    found = _text(decode(data).get("id"))
    if found is None:
        raise ValueError("the reply has no file id")
    return found


def batch(data: bytes) -> Batch:
    """A Batch. Raises ValueError where the reply holds no batch id or no status."""
    return _batch(decode(data))


def page(data: bytes) -> Page:
    """One page of `GET /batches`; entries that are no batches are left out."""
    reply = decode(data)
    rows = [_batch(row) for row in _list(reply.get("data")) if _text(_dict(row).get("id"))]
    return Page(tuple(rows), _text(_dict(reply.get("paging")).get("next_cursor")))


@dataclass(frozen=True)
class Model:
    """A model as Groq lists it. Windows and answers are counted in tokens; None where nothing is said."""

    id: str
    owned_by: str | None
    active: bool
    context_window: int | None
    max_completion_tokens: int | None


def models(data: bytes) -> list[Model]:
    """The models that the key may use, as `GET /models` lists them; what has no id is left out.

    https://console.groq.com/docs/api-reference#models-list; a model that does not say so is active.
    """
    return [
        Model(
            found,
            _text(row.get("owned_by")),
            row.get("active") is not False,
            _whole(row.get("context_window")),
            _whole(row.get("max_completion_tokens")),
        )
        for row in map(_dict, _list(decode(data).get("data")))
        if (found := _text(row.get("id")))
    ]


_ENDS = ("completed_at", "failed_at", "expired_at", "cancelled_at")


def _batch(reply: dict[str, Any]) -> Batch:
    found, status = _text(reply.get("id")), _text(reply.get("status"))
    if found is None or status is None:
        raise ValueError("the reply has no batch id or no status")
    counts = _dict(reply.get("request_counts"))
    return Batch(
        id=found,
        status=status,
        input_file_id=_text(reply.get("input_file_id")) or "",
        endpoint=_text(reply.get("endpoint")),
        window=_text(reply.get("completion_window")),
        output_file_id=_text(reply.get("output_file_id")),
        error_file_id=_text(reply.get("error_file_id")),
        created_at=_whole(reply.get("created_at")),
        expires_at=_whole(reply.get("expires_at")),
        ended_at=next((at for key in _ENDS if (at := _whole(reply.get(key))) is not None), None),
        completed=_whole(counts.get("completed")),
        failed=_whole(counts.get("failed")),
        total=_whole(counts.get("total")),
        metadata={k: str(v) for k, v in _dict(reply.get("metadata")).items()},
        errors=tuple(_batch_errors(reply.get("errors"))),
    )


def _batch_errors(value: object) -> Iterator[BatchError]:
    # A flat list in the guide, {"object": "list", "data": [...]} in the spec; null or {} on a clean batch.
    for row in _list(value if isinstance(value, list) else _dict(value).get("data")):
        row = _dict(row)
        yield BatchError(
            redact(_text(row.get("code")) or "unknown"),
            redact(_text(row.get("message")) or ""),
            _whole(row.get("line")),
        )


def error(data: bytes) -> tuple[str, str]:
    """`(code, message)` of an error envelope; code is "" and message the text's start where it is none."""
    try:
        found = _dict(decode(data).get("error"))
    except ValueError:
        found = {}
    message = _text(found.get("message")) or data[:200].decode("utf-8", "replace").strip()
    return _text(found.get("code")) or _text(found.get("type")) or "", message


# --- headers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """What a reply's headers say of rate limits; None where they say nothing. Requests are counted by the
    day, tokens by the minute: https://console.groq.com/docs/rate-limits
    """

    limit_requests: int | None
    limit_tokens: int | None
    remaining_requests: int | None
    remaining_tokens: int | None
    reset_requests_s: float | None
    reset_tokens_s: float | None
    retry_after_s: float | None


_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


def limits(headers: Mapping[str, str]) -> Limits:
    """The rate limits in a reply's headers, whose names may be in any case.

    `retry_after_s` is from 1 to 600: Retry-After if there is one, else the longest reset of what is used up.
    """
    said = {name.lower(): value for name, value in headers.items()}
    a_day, a_minute = (_count(said.get(f"x-ratelimit-limit-{of}")) for of in ("requests", "tokens"))
    requests, tokens = (_count(said.get(f"x-ratelimit-remaining-{of}")) for of in ("requests", "tokens"))
    day_s, minute_s = (_duration_s(said.get(f"x-ratelimit-reset-{of}")) for of in ("requests", "tokens"))
    try:
        after_s = float(said.get("retry-after", "nan"))
    except ValueError:
        after_s = math.nan
    if not math.isfinite(after_s):
        used_up = [
            reset_s for left, reset_s in ((requests, day_s), (tokens, minute_s)) if left == 0 and reset_s
        ]
        after_s = max(used_up, default=math.nan)
    after = min(600.0, max(1.0, after_s)) if math.isfinite(after_s) else None
    return Limits(a_day, a_minute, requests, tokens, day_s, minute_s, after)


def _count(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 16 else None


def _duration_s(value: str | None) -> float | None:
    """Go's way of writing a duration (`24m28.8s`, `670ms`) in seconds."""
    found = _DURATION.findall(value or "")
    if not found or "".join(number + unit for number, unit in found) != value:
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in found)


# --- one chat request ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What one chat request was answered with: the body on one line, the request's id, how many tokens it
    used, and the limits in its headers.
    """

    body: bytes
    request_id: str
    tokens: int
    limits: Limits


def told(data: bytes, headers: Mapping[str, str]) -> Told:
    """The reply to a chat request, whatever it holds: one without an answer has been paid as well.

    Raises ValueError where it is no JSON object. https://console.groq.com/docs/api-reference#chat-create
    """
    found = decode(data)
    used = _dict(found.get("usage"))
    tokens = sum(_tokens(used.get(key)) for key in ("prompt_tokens", "completion_tokens"))
    return Told(_on_one_line(data, found), id_of_request(headers), tokens, limits(headers))


def id_of_request(headers: Mapping[str, str]) -> str:
    """The id that the service gave a request, or ""."""
    return next((value for name, value in headers.items() if name.lower() == "x-request-id"), "")


def error_body(data: bytes) -> bytes:
    """The body of a refusal on one line, without anything that looks like a key; an envelope of its text
    where it is none.
    """
    try:
        found = decode(data)
    except ValueError:
        found = {}
    if not found.get("error"):
        code, message = error(data)
        found = {"error": {"message": message, "code": code or None}}
    return redact(msgspec.json.encode(found).decode()).encode()


def error_of(code: str, message: str) -> bytes:
    """An envelope that says what went wrong here, as the service's own do."""
    return msgspec.json.encode({"error": {"message": message, "code": code}})


def result_line(custom_id: str, status: int, request_id: str, body: bytes) -> bytes:
    """A line of a result file as a batch would have it: https://console.groq.com/docs/batch.

    `body` is JSON on one line.
    """
    response = {"status_code": status, "request_id": request_id, "body": msgspec.Raw(body)}
    line = {"id": request_id, "custom_id": custom_id, "response": response, "error": None}
    return msgspec.json.encode(line) + b"\n"


def _on_one_line(data: bytes, found: dict[str, Any]) -> bytes:
    data = data.strip()
    return data if b"\n" not in data and b"\r" not in data else msgspec.json.encode(found)


# --- lines of result files ---------------------------------------------------------------------------


_MOST_TOKENS = 2**32 - 1
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MOST_TOKENS)]


class Usage(msgspec.Struct, frozen=True):
    """Tokens that one request used."""

    prompt_tokens: _Tokens = 0
    completion_tokens: _Tokens = 0
    total_tokens: _Tokens = 0


class _Used(msgspec.Struct, gc=False):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None


class _SaidChoice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None


_C = TypeVar("_C")


class _Choices(msgspec.Struct, Generic[_C], gc=False, array_like=True):
    first: _C


class _Body(msgspec.Struct, Generic[_C], gc=False):
    choices: _Choices[_C]
    usage: _Used
    error: None = None


class _Response(msgspec.Struct, Generic[_C], gc=False):
    status_code: Literal[200]
    body: _Body[_C]


class _Line(msgspec.Struct, Generic[_C], gc=False):
    """An answer as nearly all are; what has another shape is read leniently, by `reply`."""

    custom_id: Annotated[str, msgspec.Meta(min_length=1)]
    response: _Response[_C]
    error: None = None


_decode_line = msgspec.json.Decoder(_Line[_Choice]).decode
_decode_said = msgspec.json.Decoder(_Line[_SaidChoice]).decode


@dataclass(frozen=True, slots=True)
class Reply:
    """One line of a result file in full. `error` is `(code, message)`, None for a success."""

    custom_id: str
    text: str | None
    reasoning: str | None
    finish_reason: str | None
    model: str | None
    usage: Usage
    error: tuple[str, str] | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Some lines of a result file, all of them answers: a column for each thing that they say.

    `texts` is empty where they were not asked for.
    """

    ids: list[str]
    finish_reasons: list[str | None]
    prompt_tokens: list[int]
    completion_tokens: list[int]
    texts: list[str | None]


def ordinary(lines: Sequence[bytes], *, texts: bool = False) -> Ordinary | None:
    """What `outcome` says of each of these lines, with its text if wanted; None where one is no plain answer.

    It takes little longer than skipping over the bytes does.
    """
    try:
        if texts:
            said = [_decode_said(line) for line in lines]
            words = [line.response.body.choices.first.message.content for line in said]
            return _columns(said, words)
        return _columns([_decode_line(line) for line in lines], [])
    except (ValueError, RecursionError):
        return None


def _columns(lines: list[_Line[_Choice]] | list[_Line[_SaidChoice]], texts: list[str | None]) -> Ordinary:
    bodies = [line.response.body for line in lines]
    used = [body.usage for body in bodies]
    return Ordinary(
        [line.custom_id for line in lines],
        [body.choices.first.finish_reason or None for body in bodies],
        [each.prompt_tokens for each in used],
        [each.completion_tokens for each in used],
        texts,
    )


def outcome(line: bytes) -> tuple[str, str | None, int, int, tuple[str, str] | None]:
    """`(custom_id, finish_reason, prompt_tokens, completion_tokens, error)` of a result line.

    The quick way in: only these few fields are decoded. A line of another shape (an error, an older
    service) takes the lenient way. Raises ValueError where the line is no JSON or has no custom_id.
    """
    try:
        found = _decode_line(line)
    except (ValueError, RecursionError):
        pass
    else:
        body = found.response.body
        used, finish = body.usage, body.choices.first.finish_reason or None
        return found.custom_id, finish, used.prompt_tokens, used.completion_tokens, None
    full = reply(line)
    return (
        full.custom_id,
        full.finish_reason,
        full.usage.prompt_tokens,
        full.usage.completion_tokens,
        full.error,
    )


def reply(line: bytes) -> Reply:
    """A result line in full. Raises ValueError where it is no JSON object or has no custom_id."""
    raw = decode(line)
    custom_id = _text(raw.get("custom_id"))
    if custom_id is None:
        raise ValueError("the line has no custom_id")
    response = _dict(raw.get("response"))
    body = _body(response.get("body"))
    choices = _list(body.get("choices"))
    choice = _dict(choices[0]) if choices else {}
    message = _dict(choice.get("message"))
    text = message.get("content") if choices else body.get("text")  # audio tasks answer {"text": ...}
    usage = _dict(body.get("usage"))
    return Reply(
        custom_id=custom_id,
        text=text if isinstance(text, str) else None,
        reasoning=_text(message.get("reasoning")),
        finish_reason=_text(choice.get("finish_reason")),
        model=_text(body.get("model")),
        usage=Usage(*(_tokens(usage.get(key)) for key in Usage.__struct_fields__)),
        error=_line_error(raw, response, body),
        raw=raw,
    )


def text_of(line: bytes) -> str | None:
    """Only the text of a result line. Raises ValueError as `reply` does."""
    with suppress(ValueError, RecursionError):
        return _decode_said(line).response.body.choices.first.message.content
    return reply(line).text


def _tokens(value: object) -> int:
    return min(max(_whole(value) or 0, 0), _MOST_TOKENS)


def _body(value: object) -> dict[str, Any]:
    """The response's body; some services send it as a JSON string."""
    if isinstance(value, str):
        try:
            return decode(value.encode())
        except ValueError:
            return {"error": {"code": "unreadable_body", "message": value[:200]}}
    return _dict(value)


def _line_error(
    raw: dict[str, Any], response: dict[str, Any], body: dict[str, Any]
) -> tuple[str, str] | None:
    """Failure in any of the forms seen: an `error`, no `response`, a status other than 200, no choices."""
    status = _whole(response.get("status_code"))
    for found in (raw.get("error"), body.get("error")):
        if found:
            said = _dict(found)
            code = said.get("code") or said.get("type") or (f"http_{status}" if status else "unknown")
            message = _text(said.get("message")) or (found if isinstance(found, str) else "")
            return redact(str(code)), redact(message)
    if not response:
        return "no_response", "The line holds neither a response nor an error."
    if status != 200:
        return f"http_{status}", "The service gave no reason."
    choices = _list(body.get("choices"))
    if not (choices and isinstance(choices[0], dict)) and "text" not in body:
        return "no_choices", "The reply holds no answer."
    return None


# --- lines of request files --------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True):
    """One line of an input file: https://console.groq.com/docs/batch#1-prepare-your-batch-file."""

    custom_id: str
    url: str
    body: dict[str, Any]
    method: str = "POST"


class _RequestId(msgspec.Struct):
    custom_id: str


class Weight(msgspec.Struct):
    """What of a request's body its price depends on, as it stands there."""

    model: Any = None
    messages: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: Any = None
    max_tokens: Any = None
    reasoning_effort: Any = None


class _Weighed(msgspec.Struct):
    body: Weight


request = msgspec.json.Decoder(Request).decode
_weigh = msgspec.json.Decoder(_Weighed).decode
_decode_id = msgspec.json.Decoder(_RequestId).decode


def weight(line: bytes) -> Weight:
    """What of an input line its price depends on. Raises ValueError for a line that is none of ours."""
    return _weigh(line).body


@dataclass(frozen=True)
class Asked:
    """A line of ours as it is asked by itself: its body is sent as it lies in the file."""

    custom_id: str
    body: bytes


class _Asked(msgspec.Struct):
    custom_id: str
    body: msgspec.Raw


_decode_asked = msgspec.json.Decoder(_Asked).decode


def asked(line: bytes) -> Asked:
    """A line of a file that was cut, as one request."""
    found = _decode_asked(line)
    return Asked(found.custom_id, bytes(found.body))


class _Asking(msgspec.Struct, gc=False):
    role: str
    content: str


class _Prompt(msgspec.Struct, gc=False):
    messages: list[_Asking]


class _Prompted(msgspec.Struct, gc=False):
    body: _Prompt


_decode_prompt = msgspec.json.Decoder(_Prompted).decode


def prompt_text(line: bytes) -> str | None:
    """The text of an input line's lone user message, system messages aside; None for another shape."""
    try:
        messages = _decode_prompt(line).body.messages
    except (ValueError, RecursionError):
        return None
    asked = [message for message in messages if message.role != "system"]
    return asked[0].content if len(asked) == 1 and asked[0].role == "user" else None


def any_request(line: bytes) -> Request:
    """One input line as somebody else may have written it: broken characters and missing parts are mended.

    Raises ValueError where it is no JSON object, or has no custom_id.
    """
    found = decode(line.removeprefix(b"\xef\xbb\xbf"))
    custom_id = found.get("custom_id")
    if not isinstance(custom_id, str | int) or custom_id == "":
        raise ValueError("it has no custom_id")
    return Request(str(custom_id), _text(found.get("url")) or CHAT, _dict(found.get("body")))


def result_id(line: bytes) -> str:
    """Only the custom_id of a result line. Raises ValueError where there is none."""
    try:
        return _decode_id(line).custom_id
    except ValueError:
        return outcome(line)[0]


def result_ids(lines: Sequence[bytes]) -> list[str] | None:
    """The custom_id of each of these result lines; None where one has none, or is read leniently."""
    try:
        return [_decode_id(line).custom_id for line in lines]
    except (ValueError, RecursionError):
        return None


def request_id(line: bytes) -> str:
    """Only the custom_id of an input line."""
    return _decode_id(line).custom_id
