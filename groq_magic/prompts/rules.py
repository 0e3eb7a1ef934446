"""What Groq's documents say of a request's body, checked before anything is sent.

Each function returns what is wrong as words that follow the place: "" where nothing is, and otherwise what
it is, why, where that is written, and what to type. Only what is documented is refused: a field that nobody
here knows may be one that Groq has added, and passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from groq_magic.prompts.values import a_type, json_fault, shown
from groq_magic.wire import CHAT

__all__ = [
    "ENDPOINTS",
    "EXCLUSIVE",
    "RANGES",
    "ROLES",
    "body_fault",
    "conversation_fault",
    "json_fault",
    "message_fault",
]

_DOCS = "https://console.groq.com/docs"
_OF_CHAT = f"{_DOCS}/api-reference#chat-create"
_OF_AUDIO = f"{_DOCS}/api-reference"
_OF_BATCH = f"{_DOCS}/batch"
_REFUSED = f"{_DOCS}/openai"  # what is answered with 400
_OF_REASONING = f"{_DOCS}/reasoning"
_OF_SCHEMAS = f"{_DOCS}/structured-outputs"

ENDPOINTS = (CHAT, "/v1/audio/transcriptions", "/v1/audio/translations")
"""What the lines of a batch may ask: https://console.groq.com/docs/batch"""

RANGES = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0)}
"""https://console.groq.com/docs/api-reference#chat-create"""

EXCLUSIVE = (
    ("max_completion_tokens", "max_tokens", _OF_CHAT),  # the second is the deprecated word for the first
    ("include_reasoning", "reasoning_format", _OF_REASONING),
)
"""Pairs of fields of which a body has one at most, and where that is written."""

# --- messages: https://console.groq.com/docs/api-reference#chat-create ------------------------------------

ROLES = ("system", "user", "assistant", "tool", "developer")
_PARTS = ("text", "image_url", "document")
_ONLY_TEXTS = ("system", "developer", "assistant")
_DETAILS = ("auto", "low", "high")

_A_LIST = 'not a list of messages: [{"role": …, "content": …}]'
_A_TEXT = '{"type": "text", "text": "…"}'
_AN_IMAGE = '{"type": "image_url", "image_url": {"url": "https://…"}}'
_A_DOCUMENT = '{"type": "document", "document": {"data": {…}}}'
_A_CALL = '{"id": "…", "type": "function", "function": {"name": "…", "arguments": "…"}}'


def conversation_fault(messages: object) -> str:
    """What is wrong with a list of messages, or "": "message 1 has no role"."""
    if not isinstance(messages, list | tuple):
        return f"messages is {a_type(messages)}, {_A_LIST}"
    if not messages:
        return 'messages is empty: [{"role": "user", "content": …}]'
    for at, message in enumerate(messages):
        if fault := message_fault(message):
            return f"message {at} {fault}"
    return ""


def message_fault(message: object) -> str:
    """What is wrong with one message, or "": "has no role"."""
    if not isinstance(message, dict):
        return f'is {a_type(message)}, not a dict {{"role": …, "content": …}}'
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES:
        if "role" not in message:
            return f"has no role: one of {', '.join(ROLES)} ({_OF_CHAT})"
        return f"has the role {shown(role)}: one of {', '.join(ROLES)} ({_OF_CHAT})"
    if message.get("name") is not None:
        return f"has a name, which Groq answers with 400: leave `name` out ({_REFUSED})"
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        return f"has no `tool_call_id`: the id, a text, of the tool call that it answers ({_OF_CHAT})"
    calls = message.get("tool_calls")
    if calls is not None and (fault := _calls_fault(role, calls)):
        return fault
    if isinstance(content, str):
        return ""
    if isinstance(content, list | tuple):
        return _parts_fault(role, content)
    if content is None:
        # `function_call` is the deprecated word for `tool_calls`.
        calling = role == "assistant" and (calls or message.get("function_call") is not None)
        return "" if calling else "has no content: a text or a list of parts"
    return f"has {a_type(content)} as its content: a text or a list of parts"


def _calls_fault(role: str, calls: object) -> str:
    if not isinstance(calls, list | tuple):
        return f"has {a_type(calls)} as its `tool_calls`: a list of {_A_CALL} ({_OF_CHAT})"
    if calls and role != "assistant":
        return f"has `tool_calls`, which only an assistant makes: leave them out ({_OF_CHAT})"
    for at, call in enumerate(calls):
        call = call if isinstance(call, dict) else {}
        called = call.get("function")
        called = called if isinstance(called, dict) else {}
        said = called.get("arguments")
        if isinstance(said, dict):
            return f"has tool call {at} with a dict of arguments: `json.dumps(…)` makes a text ({_OF_CHAT})"
        texts = call.get("id"), call.get("type"), called.get("name"), said
        if not all(isinstance(text, str) for text in texts) or call["type"] != "function":
            return f"has tool call {at} in another form than {_A_CALL} ({_OF_CHAT})"
    return ""


def _parts_fault(role: str, parts: list[Any] | tuple[Any, ...]) -> str:
    if not parts or not all(isinstance(part, dict) for part in parts):
        return 'has content that is no list of parts: [{"type": "text", "text": …}]'
    for at, part in enumerate(parts):
        kind = part.get("type")
        if not isinstance(kind, str) or kind not in _PARTS:
            what = f"of the type {shown(kind)}" if "type" in part else "without a type"
            fault = f"{what}: one of {', '.join(_PARTS)} ({_OF_CHAT})"
        elif kind == "text":
            fault = "" if isinstance(part.get("text"), str) else f"without its text: {_A_TEXT}"
        elif role in _ONLY_TEXTS:
            fault = f"of the type '{kind}', which the role {role} cannot have: user can ({_OF_CHAT})"
        elif kind == "image_url":
            fault = _image_fault(part.get("image_url"))
        else:
            inner = part.get("document")
            fits = isinstance(inner, dict) and isinstance(inner.get("data"), dict)
            fault = "" if fits else f"without its document: {_A_DOCUMENT} ({_OF_CHAT})"
        if fault:
            return f"has part {at} {fault}"
    return ""


def _image_fault(image: object) -> str:
    if isinstance(image, str):
        return f"with a text as its image_url: {_AN_IMAGE} ({_OF_CHAT})"
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(image, dict) or not isinstance(url, str):
        return f"without the url of its image: {_AN_IMAGE} ({_OF_CHAT})"
    if not url[:11].lower().startswith(("https://", "http://", "data:image/")):
        return (
            f"with the image {shown(url)}, which is on this machine or nowhere: an address https://…, or the "
            f"picture itself, data:image/png;base64,… ({_OF_CHAT})"
        )
    detail = image.get("detail")
    if detail is not None and (not isinstance(detail, str) or detail not in _DETAILS):
        return f"with the detail {shown(detail)}: one of {', '.join(_DETAILS)} ({_OF_CHAT})"
    return ""


# --- bodies -------------------------------------------------------------------------------------------------

_Rule = Callable[[Any], str]
"""A field's value, never None, to what is to be said of it; "" for a good one."""


def body_fault(body: Mapping[str, Any], endpoint: str = CHAT, *, whole: bool = True) -> str:
    """What is wrong with a request's body, or "": "top_p is 7; Groq takes numbers from 0 to 1 (https://…)".

    Without `whole` it is a part of one (`extra`), which need not hold what every body must. None is null,
    which is nothing given. What JSON cannot hold is not looked for: `json_fault` does.
    """
    if endpoint not in ENDPOINTS:
        return f"the endpoint {shown(endpoint)} is none of a batch's: {', '.join(ENDPOINTS)} ({_OF_BATCH})"
    rules = _CHAT_FIELDS if endpoint == CHAT else _AUDIO_FIELDS
    for name, rule in rules.items():
        value = body.get(name)
        if value is not None and (fault := rule(value)):
            return fault if name == "messages" else f"{name} is {shown(value)}; {fault}"
    if fault := _together(body) if endpoint == CHAT else "":
        return fault
    for name, example in _NEEDED[endpoint == CHAT] if whole else ():
        if body.get(name) is None:
            return f"the body has no `{name}`: {example}"
    return ""


def _together(body: Mapping[str, Any]) -> str:
    """What is wrong with fields that are good by themselves."""
    for one, other, url in EXCLUSIVE:
        if body.get(one) is not None and body.get(other) is not None:
            return f"`{one}` and `{other}` exclude each other: keep one of them ({url})"
    form = (body.get("response_format") or {}).get("type")
    if form == "json_schema" and body.get("tools"):
        return f"a schema and `tools` exclude each other: keep one of them ({_OF_SCHEMAS})"
    in_json = form in ("json_object", "json_schema")
    if body.get("reasoning_format") == "raw" and (in_json or body.get("tools")):
        why = "Groq answers 400 where JSON or tools are asked for"
        return f"reasoning_format is 'raw'; {why}: 'parsed' or 'hidden' ({_OF_REASONING})"
    return ""


def _takes(what: str, holds: Callable[[Any], bool], url: str = _OF_CHAT) -> _Rule:
    return lambda value: "" if holds(value) else f"Groq takes {what} ({url})"


def _leave_out(why: str, url: str = "", holds: Callable[[Any], bool] = lambda value: False) -> _Rule:
    source = f" ({url})" if url else ""
    return lambda value: "" if holds(value) else f"{why}: leave it out{source}"


def _numbers(low: float, high: float, url: str = _OF_CHAT) -> _Rule:
    def holds(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return _takes(f"numbers from {low:g} to {high:g}", holds, url)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_stops(value: object) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return len(texts) <= 4 and all(isinstance(text, str) for text in texts)


def _are_tools(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) <= 128


def _is_sound(value: object) -> bool:
    """An address or base64url; a path of this machine is neither."""
    return isinstance(value, str) and bool(re.match(r"https?://|data:|[\w-]+=*\Z", value, re.A | re.I))


def _format_fault(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    known = isinstance(kind, str) and kind in ("text", "json_object", "json_schema")
    if not isinstance(value, dict) or not known:
        return f'Groq takes {{"type": "text"}}, {{"type": "json_object"}} and {_A_SCHEMA} ({_OF_SCHEMAS})'
    if kind != "json_schema":
        return ""
    asked = value.get("json_schema")
    asked = asked if isinstance(asked, dict) else {}
    name, schema = asked.get("name"), asked.get("schema")
    if not isinstance(name, str):
        why = "has no name"
    elif not re.fullmatch(r"[\w-]{1,64}", name, re.A):
        why = "has a name of more than 64 signs, or of others than a-z, A-Z, 0-9, _ and -"
    elif schema is not None and not isinstance(schema, dict):
        why = f"has {a_type(schema)} as its schema"
    else:
        return ""
    return f"its json_schema {why}: {_A_SCHEMA} ({_OF_SCHEMAS})"


_A_SCHEMA = '{"type": "json_schema", "json_schema": {"name": "…", "schema": {…}}}'
_MOST_TOKENS = 2**31 - 1  # far beyond any model's, and more is no number for most services
_FROM_1 = _takes(
    f"whole numbers from 1 to {_MOST_TOKENS:,}", lambda value: _is_whole(value) and 1 <= value <= _MOST_TOKENS
)
_WITH_400 = _leave_out("Groq answers it with 400", _REFUSED)
_MISNAMED = f'did you mean messages: [{{"role": "user", "content": …}}]? ({_OF_CHAT})'
_NO_STREAM = "the answers of a batch come in a file, not in a stream"
_MODEL = _takes("the name of a model, for example 'openai/gpt-oss-20b'", _is_text, f"{_DOCS}/models")

_CHAT_FIELDS: dict[str, _Rule] = {
    "model": _MODEL,
    "prompt": lambda value: _MISNAMED,
    "input": lambda value: _MISNAMED,
    "messages": conversation_fault,
    "stream": _leave_out(_NO_STREAM, _OF_BATCH, lambda value: value is False),
    "stream_options": _leave_out(_NO_STREAM, _OF_BATCH),
    # No document says what a batch makes of it; in every reply seen the tier is "batch".
    "service_tier": _leave_out("a batch is a tier of its own, and its replies say 'batch'"),
    "n": _takes(
        "1 alone and answers any other with 400: leave it out; `samples` asks a prompt several times",
        lambda value: _is_whole(value) and value == 1,
        _REFUSED,
    ),
    "logprobs": _WITH_400,
    "top_logprobs": _WITH_400,
    "logit_bias": _WITH_400,
    **{name: _numbers(*bounds) for name, bounds in RANGES.items()},
    "max_completion_tokens": _FROM_1,
    "max_tokens": _FROM_1,
    "seed": _takes("whole numbers", _is_whole),
    "stop": _takes("a text, or a list of up to 4", _are_stops),
    "tools": _takes("a list of up to 128", _are_tools),
    "reasoning_effort": _takes("a text, for example 'low'", _is_text, _OF_REASONING),
    "reasoning_format": _takes("a text, for example 'parsed'", _is_text, _OF_REASONING),
    "response_format": _format_fault,
}

_AUDIO_FIELDS: dict[str, _Rule] = {
    "model": _MODEL,
    "file": lambda value: f"a batch takes no files: give the sound's address as `url` ({_OF_AUDIO})",
    "url": _takes("an address https://…, or the sound itself as base64url", _is_sound, _OF_AUDIO),
    "temperature": _numbers(0, 1, _OF_AUDIO),
}

_NEEDED = {
    True: (
        ("model", "for example 'openai/gpt-oss-20b'"),
        ("messages", f'[{{"role": "user", "content": …}}] ({_OF_CHAT})'),
    ),
    False: (
        ("model", "for example 'whisper-large-v3'"),
        ("url", f"an address https://… of the sound ({_OF_AUDIO})"),
    ),
}
"""What a body of the chat endpoint must have, and one of the others; and what to write."""
