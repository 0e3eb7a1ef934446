"""What is refused before anything is sent, and in which words; what Groq documents passes."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import json
import math
import types
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.prompts import from_source, rules
from groq_magic.settings import Settings, body_options
from groq_magic.shards import Form

DOCS = "https://console.groq.com/docs"
CHAT = f"({DOCS}/api-reference#chat-create)"
REFUSED = f"({DOCS}/openai)"
BATCH = f"({DOCS}/batch)"
REASONING = f"({DOCS}/reasoning)"
SCHEMAS = f"({DOCS}/structured-outputs)"
AUDIO = f"({DOCS}/api-reference)"
MODELS = f"({DOCS}/models)"

HALF = (
    "holds half a character (a lone surrogate), which cannot be sent: "
    'text.encode("utf-8", "replace").decode() takes it out'
)


def call(**other: Any) -> dict[str, Any]:
    """A tool call as documented, but for what is given."""
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}} | other


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of these parts."""
    return {"role": "user", "content": list(parts)}


def image(url: object, **other: object) -> dict[str, Any]:
    """A picture as a part of a message."""
    return {"type": "image_url", "image_url": {"url": url, **other}}


TEXT = {"type": "text", "text": "What is it?"}
TALK = [{"role": "user", "content": "Hi"}]


# --- messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        *[{"role": role, "content": "x"} for role in ("system", "user", "assistant", "developer")],
        {"role": "user", "content": ""},
        {"role": "user", "content": [TEXT, image("https://example.com/cat.png")]},
        {"role": "user", "content": (TEXT,)},
        user(image("HTTP://example.com/cat.png", detail="low")),
        user(image("data:image/png;base64,iVBORw0KGgo=", detail=None)),
        user({"type": "document", "document": {"data": {"a": 1}, "id": "d"}}),
        *[{"role": role, "content": [TEXT]} for role in ("system", "assistant", "developer")],
        {"role": "tool", "content": "x", "tool_call_id": "call_1"},
        {"role": "tool", "content": [image("https://example.com/x.png")], "tool_call_id": "call_1"},
        {"role": "assistant", "tool_calls": [call()]},
        {"role": "assistant", "content": None, "tool_calls": (call(), call(id="call_2"))},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "content": "x", "reasoning": "because", "tool_calls": []},
        {"role": "user", "content": "x", "name": None, "tool_calls": None, "what Groq adds": 1},
    ],
)
def test_messages_as_documented_pass(message: dict[str, Any]) -> None:
    """Every role and every kind of part that Groq documents is let through, and fields that nobody knows."""
    assert rules.message_fault(message) == ""


ROLES = "one of system, user, assistant, tool, developer"
AN_IMAGE = '{"type": "image_url", "image_url": {"url": "https://…"}}'
A_CALL = '{"id": "…", "type": "function", "function": {"name": "…", "arguments": "…"}}'
A_DOCUMENT = '{"type": "document", "document": {"data": {…}}}'
NOT_HERE = "which is on this machine or nowhere: an address https://…, or the picture itself"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("hi", 'is a str, not a dict {"role": …, "content": …}'),
        (None, 'is None, not a dict {"role": …, "content": …}'),
        ({"content": "hi"}, f"has no role: {ROLES} {CHAT}"),
        ({"role": "bot", "content": "hi"}, f"has the role 'bot': {ROLES} {CHAT}"),
        ({"role": ["user"], "content": "hi"}, f"has the role ['user']: {ROLES} {CHAT}"),
        (
            {"role": "user", "content": "hi", "name": "Ann"},
            f"has a name, which Groq answers with 400: leave `name` out {REFUSED}",
        ),
        ({"role": "user"}, "has no content: a text or a list of parts"),
        ({"role": "assistant", "content": None}, "has no content: a text or a list of parts"),
        ({"role": "assistant", "tool_calls": []}, "has no content: a text or a list of parts"),
        ({"role": "user", "function_call": {}}, "has no content: a text or a list of parts"),
        ({"role": "user", "content": 3}, "has an int as its content: a text or a list of parts"),
        ({"role": "user", "content": TEXT}, "has a dict as its content: a text or a list of parts"),
        (user(), 'has content that is no list of parts: [{"type": "text", "text": …}]'),
        (user("hi"), 'has content that is no list of parts: [{"type": "text", "text": …}]'),
        (user(TEXT, {"text": "x"}), f"has part 1 without a type: one of text, image_url, document {CHAT}"),
        (
            user({"type": "input_image"}),
            f"has part 0 of the type 'input_image': one of text, image_url, document {CHAT}",
        ),
        (
            user({"type": ["text"]}),
            f"has part 0 of the type ['text']: one of text, image_url, document {CHAT}",
        ),
        (user({"type": "text"}), 'has part 0 without its text: {"type": "text", "text": "…"}'),
        (user({"type": "text", "text": 1}), 'has part 0 without its text: {"type": "text", "text": "…"}'),
        (
            user({"type": "image_url", "image_url": "https://x.org/cat.png"}),
            f"has part 0 with a text as its image_url: {AN_IMAGE} {CHAT}",
        ),
        (user({"type": "image_url"}), f"has part 0 without the url of its image: {AN_IMAGE} {CHAT}"),
        (user(image(None)), f"has part 0 without the url of its image: {AN_IMAGE} {CHAT}"),
        (
            user(TEXT, image("cat.png")),
            f"has part 1 with the image 'cat.png', {NOT_HERE}, data:image/png;base64,… {CHAT}",
        ),
        (
            user(image("data:text/plain,hi")),
            f"has part 0 with the image 'data:text/plain,hi', {NOT_HERE}, data:image/png;base64,… {CHAT}",
        ),
        (
            user(image("https://x.org", detail="best")),
            f"has part 0 with the detail 'best': one of auto, low, high {CHAT}",
        ),
        (user({"type": "document"}), f"has part 0 without its document: {A_DOCUMENT} {CHAT}"),
        (
            user({"type": "document", "document": {"data": "x"}}),
            f"has part 0 without its document: {A_DOCUMENT} {CHAT}",
        ),
        *[
            (
                {"role": role, "content": [TEXT, image("https://x.org")]},
                f"has part 1 of the type 'image_url', which the role {role} cannot have: user can {CHAT}",
            )
            for role in ("system", "developer", "assistant")
        ],
        *[
            (
                {"role": "tool", "content": "x", **given},
                f"has no `tool_call_id`: the id, a text, of the tool call that it answers {CHAT}",
            )
            for given in ({}, {"tool_call_id": 7})
        ],
        (
            {"role": "user", "content": "x", "tool_calls": [call()]},
            f"has `tool_calls`, which only an assistant makes: leave them out {CHAT}",
        ),
        (
            {"role": "assistant", "tool_calls": call()},
            f"has a dict as its `tool_calls`: a list of {A_CALL} {CHAT}",
        ),
        (
            {"role": "assistant", "tool_calls": [call(), call(function={"name": "f", "arguments": {}})]},
            f"has tool call 1 with a dict of arguments: `json.dumps(…)` makes a text {CHAT}",
        ),
        *[
            (
                {"role": "assistant", "tool_calls": [odd]},
                f"has tool call 0 in another form than {A_CALL} {CHAT}",
            )
            for odd in (
                "f",
                call(id=None),
                call(type="web"),
                call(function="f"),
                call(function={"name": "f"}),
                call(function={"arguments": "{}"}),
            )
        ],
    ],
)
def test_a_faulty_message_is_refused_with_what_to_write(message: object, said: str) -> None:
    """What Groq does not document for a message is said in one line, with the form that it has."""
    assert rules.message_fault(message) == said


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (TALK, ""),
        (tuple(TALK), ""),
        ([{"role": "assistant", "content": "x"}], ""),
        ("Hi", 'messages is a str, not a list of messages: [{"role": …, "content": …}]'),
        ([], 'messages is empty: [{"role": "user", "content": …}]'),
        ([*TALK, {"role": "user"}], "message 1 has no content: a text or a list of parts"),
    ],
)
def test_a_conversation_is_a_list_of_good_messages(messages: object, said: str) -> None:
    """The first faulty message is named; in which order roles come, no document says."""
    assert rules.conversation_fault(messages) == said


# --- bodies -------------------------------------------------------------------------------------------------

SCHEMA = {"type": "json_schema", "json_schema": {"name": "mood", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"temperature": 0, "top_p": 1, "seed": -7, "n": 1, "stop": "x", "max_tokens": 1},
        {"temperature": 2.0, "top_p": 0.0, "stop": ["a", "b", "c", "d"], "max_completion_tokens": 65_536},
        {"tools": [{"type": "function"}] * 128, "tool_choice": "auto", "parallel_tool_calls": False},
        {"functions": [{"name": "f"}], "function_call": "auto"},
        {"reasoning_effort": "as Groq will call it", "reasoning_format": "parsed"},
        {"reasoning_format": "raw", "response_format": {"type": "text"}},
        {"reasoning_format": "hidden", "tools": [{}], "response_format": {"type": "json_object"}},
        {"reasoning_format": "hidden", "tools": [], "response_format": SCHEMA},
        {"include_reasoning": False, "reasoning_format": None},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x" * 64, "strict": True}}},
        {"stream": False, "frequency_penalty": 1, "presence_penalty": 1, "store": True, "metadata": {}},
        dict.fromkeys(("stream", "stream_options", "service_tier", "n", "logprobs", "stop", "messages")),
        {"what Groq adds": [1, {"a": 2}]},
    ],
)
def test_options_as_documented_pass(body: dict[str, Any]) -> None:
    """Every value in range, null, what is deprecated or has no effect, and fields that nobody knows."""
    assert rules.body_fault(body, whole=False) == ""


NO_STREAM = f"the answers of a batch come in a file, not in a stream: leave it out {BATCH}"
WITH_400 = f"Groq answers it with 400: leave it out {REFUSED}"
FROM_1 = f"Groq takes whole numbers from 1 to 2,147,483,647 {CHAT}"
A_SCHEMA = '{"type": "json_schema", "json_schema": {"name": "…", "schema": {…}}}'
FORMATS = f'Groq takes {{"type": "text"}}, {{"type": "json_object"}} and {A_SCHEMA} {SCHEMAS}'
MESSAGES = f'did you mean messages: [{{"role": "user", "content": …}}]? {CHAT}'
ONLY_1 = (
    "Groq takes 1 alone and answers any other with 400: leave it out; "
    f"`samples` asks a prompt several times {REFUSED}"
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"stream": True}, f"stream is True; {NO_STREAM}"),
        (
            {"stream_options": {"include_usage": True}},
            f"stream_options is {{'include_usage': True}}; {NO_STREAM}",
        ),
        (
            {"service_tier": "flex"},
            "service_tier is 'flex'; a batch is a tier of its own, and its replies say 'batch': leave it out",
        ),
        ({"n": 2}, f"n is 2; {ONLY_1}"),
        ({"n": True}, f"n is True; {ONLY_1}"),
        ({"logprobs": False}, f"logprobs is False; {WITH_400}"),
        ({"top_logprobs": 0}, f"top_logprobs is 0; {WITH_400}"),
        ({"logit_bias": {}}, f"logit_bias is {{}}; {WITH_400}"),
        ({"temperature": 2.1}, f"temperature is 2.1; Groq takes numbers from 0 to 2 {CHAT}"),
        ({"temperature": "1"}, f"temperature is '1'; Groq takes numbers from 0 to 2 {CHAT}"),
        ({"top_p": 7}, f"top_p is 7; Groq takes numbers from 0 to 1 {CHAT}"),
        ({"top_p": -0.1}, f"top_p is -0.1; Groq takes numbers from 0 to 1 {CHAT}"),
        ({"top_p": True}, f"top_p is True; Groq takes numbers from 0 to 1 {CHAT}"),
        ({"top_p": math.nan}, f"top_p is nan; Groq takes numbers from 0 to 1 {CHAT}"),
        ({"max_tokens": 0}, f"max_tokens is 0; {FROM_1}"),
        ({"max_completion_tokens": 1.5}, f"max_completion_tokens is 1.5; {FROM_1}"),
        ({"max_completion_tokens": True}, f"max_completion_tokens is True; {FROM_1}"),
        (
            {"max_completion_tokens": 1, "max_tokens": 1},
            f"`max_completion_tokens` and `max_tokens` exclude each other: keep one of them {CHAT}",
        ),
        ({"seed": 1.0}, f"seed is 1.0; Groq takes whole numbers {CHAT}"),
        ({"seed": np.eye(2)}, f"seed is array([[1., 0.], [0., 1.]]); Groq takes whole numbers {CHAT}"),
        (
            {"stop": ["a", "b", "c", "d", "e"]},
            f"stop is ['a', 'b', 'c', 'd', 'e']; Groq takes a text, or a list of up to 4 {CHAT}",
        ),
        ({"stop": [1]}, f"stop is [1]; Groq takes a text, or a list of up to 4 {CHAT}"),
        ({"tools": {}}, f"tools is {{}}; Groq takes a list of up to 128 {CHAT}"),
        ({"tools": [1] * 129}, f"tools is [{'1, ' * 19}1,…; Groq takes a list of up to 128 {CHAT}"),
        (
            {"reasoning_effort": 3},
            f"reasoning_effort is 3; Groq takes a text, for example 'low' {REASONING}",
        ),
        (
            {"reasoning_format": True},
            f"reasoning_format is True; Groq takes a text, for example 'parsed' {REASONING}",
        ),
        (
            {"tools": [{}], "response_format": SCHEMA},
            "a schema and `tools` exclude each other: keep one of them "
            "(https://console.groq.com/docs/structured-outputs)",
        ),
        (
            {"include_reasoning": True, "reasoning_format": "parsed"},
            f"`include_reasoning` and `reasoning_format` exclude each other: keep one of them {REASONING}",
        ),
        *[
            (
                {"reasoning_format": "raw", **other},
                "reasoning_format is 'raw'; Groq answers 400 where JSON or tools are asked for: "
                f"'parsed' or 'hidden' {REASONING}",
            )
            for other in (
                {"tools": [{}]},
                {"response_format": SCHEMA},
                {"response_format": {"type": "json_object"}},
            )
        ],
        ({"response_format": "json"}, f"response_format is 'json'; {FORMATS}"),
        ({"response_format": {"type": "json"}}, f"response_format is {{'type': 'json'}}; {FORMATS}"),
        *[
            (
                {"response_format": {"type": "json_schema", **inner}},
                f"response_format is {shown}; its json_schema {why}: {A_SCHEMA} {SCHEMAS}",
            )
            for inner, shown, why in (
                ({}, "{'type': 'json_schema'}", "has no name"),
                ({"json_schema": {}}, "{'type': 'json_schema', 'json_schema': {}}", "has no name"),
                (
                    {"json_schema": {"name": "a b"}},
                    "{'type': 'json_schema', 'json_schema': {'name': 'a b'}}",
                    "has a name of more than 64 signs, or of others than a-z, A-Z, 0-9, _ and -",
                ),
                (
                    {"json_schema": {"name": "x", "schema": "{}"}},
                    "{'type': 'json_schema', 'json_schema': {'name': 'x', 'schema…",
                    "has a str as its schema",
                ),
            )
        ],
        ({"prompt": "Hi"}, f"prompt is 'Hi'; {MESSAGES}"),
        ({"input": ["Hi"]}, f"input is ['Hi']; {MESSAGES}"),
        ({"messages": [{"role": "user"}]}, "message 0 has no content: a text or a list of parts"),
        (
            {"model": " "},
            f"model is ' '; Groq takes the name of a model, for example 'openai/gpt-oss-20b' {MODELS}",
        ),
    ],
)
def test_an_option_that_groq_would_refuse_is_named_with_the_reason(body: dict[str, Any], said: str) -> None:
    """Field and value, what Groq takes instead, and the page that says so; also inside a whole body."""
    assert rules.body_fault(body, whole=False) == said
    whole = {"model": "m", "messages": TALK, **body}
    assert rules.body_fault(whole) == said


@pytest.mark.parametrize(
    ("body", "endpoint", "said"),
    [
        ({"model": "m", "messages": TALK}, rules.ENDPOINTS[0], ""),
        (
            {"messages": TALK},
            rules.ENDPOINTS[0],
            "the body has no `model`: for example 'openai/gpt-oss-20b'",
        ),
        (
            {"model": "m"},
            rules.ENDPOINTS[0],
            f'the body has no `messages`: [{{"role": "user", "content": …}}] {CHAT}',
        ),
        *[
            ({"model": "m", "url": url, "language": "de", "response_format": "json"}, endpoint, "")
            for url in ("https://x.org/talk.mp3", "data:audio/mp3;base64,SUQz", "SUQz_-8=")
            for endpoint in rules.ENDPOINTS[1:]
        ],
        ({"url": "https://x"}, rules.ENDPOINTS[1], "the body has no `model`: for example 'whisper-large-v3'"),
        (
            {"model": "m"},
            rules.ENDPOINTS[2],
            f"the body has no `url`: an address https://… of the sound {AUDIO}",
        ),
        (
            {"model": "m", "file": "talk.mp3"},
            rules.ENDPOINTS[1],
            f"file is 'talk.mp3'; a batch takes no files: give the sound's address as `url` {AUDIO}",
        ),
        (
            {"model": "m", "url": "talk.mp3"},
            rules.ENDPOINTS[1],
            f"url is 'talk.mp3'; Groq takes an address https://…, or the sound itself as base64url {AUDIO}",
        ),
        (
            {"model": "m", "url": "https://x.org", "temperature": 1.5},
            rules.ENDPOINTS[2],
            f"temperature is 1.5; Groq takes numbers from 0 to 1 {AUDIO}",
        ),
        (
            {},
            "/openai/v1/chat/completions",
            "the endpoint '/openai/v1/chat/completions' is none of a batch's: /v1/chat/completions, "
            f"/v1/audio/transcriptions, /v1/audio/translations {BATCH}",
        ),
    ],
)
def test_a_whole_body_has_what_its_endpoint_needs(body: dict[str, Any], endpoint: str, said: str) -> None:
    """Chat needs a model and messages, sound a model and an address; other endpoints are no batch's."""
    assert rules.body_fault(body, endpoint) == said


# --- what JSON cannot hold ----------------------------------------------------------------------------------


class Word(enum.StrEnum):
    """Texts of a subclass of str."""

    HI = "hi"


class Plain(str):
    """A text of a class that the encoder does not know."""


class Pair(collections.namedtuple("Pair", "a b")):
    """A tuple of a class of its own."""


class Hidden(dict[str, Any]):
    """A dict that does not tell what the encoder sees."""

    def items(self) -> Any:
        """Nothing."""
        return ()


def nested(depth: int) -> list[Any]:
    """So many lists in one another."""
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return found


ENDLESS: list[Any] = []
ENDLESS.append({"again": ENDLESS})
NO = "which JSON cannot hold"
TOO_DEEP = "extra is nested more than 200 levels deep (or holds itself): write it flatter"


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, False, 0, -1, 2**80, 1.5, -0.0, 1e308, "", "Grüße 🌍 \x00"],
        *[Word.HI, np.str_("hi"), Plain("hi"), {Word.HI: 1, Plain("k"): 2, "ü": 3}],
        *[[], (), {}, [1, (2, [3])], Pair(1, "x"), collections.OrderedDict(a=1), nested(199)],
    ],
)
def test_what_json_can_hold_passes_and_is_written(value: object) -> None:
    """Texts, numbers, True, False, None, and lists, tuples and dicts of them, arrive as they are."""
    assert rules.json_fault(value, "extra") == ""
    form = Form("m", options={"x": value})
    found = json.loads(form.body("hi"))["x"]
    assert msgspec.json.encode(found) == msgspec.json.encode(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"x", f"extra is bytes, {NO}: `.decode()` makes a text"),
        (
            {"stop": ["a", b"x"]},
            f"extra['stop'][1] is bytes, {NO}: `.decode()` makes a text",
        ),
        ([bytearray()], f"extra[0] is a bytearray, {NO}: `.decode()` makes a text"),
        ((1, math.nan), "extra[1] is nan, which JSON does not have: None is its null"),
        ([{"a": (math.inf,)}], "extra[0]['a'][0] is inf, which JSON does not have: None is its null"),
        (-math.inf, "extra is -inf, which JSON does not have: None is its null"),
        (
            datetime.date(2026, 1, 2),
            f"extra is a date, {NO}: `.isoformat()` makes a text",
        ),
        (pd.Timestamp(0), f"extra is a Timestamp, {NO}: `.isoformat()` makes a text"),
        (pd.NaT, f"extra is a NaTType, {NO}: None is its null"),
        (pd.NA, f"extra is a NAType, {NO}: None is its null"),
        ({"a": {"x"}}, f"extra['a'] is a set, {NO}: `sorted(x)` makes a list"),
        (np.float64(1), f"extra is a float64, {NO}: `.tolist()` makes a plain value"),
        (np.array([1]), f"extra is a ndarray, {NO}: `.tolist()` makes a plain value"),
        (decimal.Decimal(1), f"extra is a Decimal, {NO}: `float(x)` makes a plain number"),
        (1j, f"extra is a complex, {NO}: write it with dicts, lists, texts and numbers"),
        (
            enum.IntEnum("Size", "S").S,
            f"extra is a Size, {NO}: `.value` is what it stands for",
        ),
        (
            type("Own", (int,), {})(1),
            f"extra is an Own, {NO}: `int(x)` makes a plain number",
        ),
        (types.MappingProxyType({}), f"extra is a mappingproxy, {NO}: `dict(x)` makes a dict"),
        (range(2), f"extra is a range, {NO}: `list(x)` makes a list"),
        (dict, f"extra is a type, {NO}: it is a class; a schema is written as a dict"),
        (object(), f"extra is an object, {NO}: write it with dicts, lists, texts and numbers"),
        (msgspec.Raw(b"{}}"), f"extra is a Raw, {NO}: write it with dicts, lists, texts and numbers"),
        ({1: 2}, "extra has the key 1; JSON's keys are texts: `str(x)` makes one"),
        ({"a": [{None: 2}]}, "extra['a'][0] has the key None; JSON's keys are texts: `str(x)` makes one"),
        ({"a": ["half \ud83d"]}, f"extra['a'][0] {HALF}"),
        ({"\ud83d": 1}, f"extra has the key '\\ud83d', which {HALF}"),
        (Plain("\ud83d"), f"extra {HALF}"),
        (Hidden(a=b"x"), f"extra['a'] is bytes, {NO}: `.decode()` makes a text"),
        (nested(100_000), TOO_DEEP),
        (ENDLESS, TOO_DEEP),
        ([10**5000], "extra[0] is a number of thousands of digits, which nobody reads: write a smaller one"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(value: object, said: str) -> None:
    """What the encoder would turn into something else, or could not write, is refused with the way to it."""
    assert rules.json_fault(value, "extra") == said


def test_200_levels_are_enough() -> None:
    """Two hundred lists in one another pass, and not one more."""
    assert (rules.json_fault(nested(200), "extra"), rules.json_fault(nested(201), "extra")) == ("", TOO_DEEP)


def test_a_fault_without_a_root_begins_with_its_place() -> None:
    """Callers may put any words in front: the text is the way to the fault, or what is wrong."""
    assert rules.json_fault({"a\n": [b""]}).startswith("['a\\n'][0] is bytes")
    assert rules.json_fault(b"").startswith("is bytes")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(JSON)
def test_nothing_that_passes_is_changed_on_the_wire(value: object) -> None:
    """What has no fault arrives equal to what it was; what has one, Python's own JSON cannot write either."""
    if rules.json_fault(value):
        with pytest.raises((ValueError, UnicodeEncodeError)):
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    else:
        assert json.loads(Form("m", options={"x": value}).body("hi"))["x"] == value


# --- where they stand in the way ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"extra": {"stream": True}}, f"extra: stream is True; {NO_STREAM}."),
        ({"extra": {"top_p": 7}}, f"extra: top_p is 7; Groq takes numbers from 0 to 1 {CHAT}."),
        (
            {"extra": {"stop": ["a", b"x"]}},
            f"extra['stop'][1] is bytes, {NO}: `.decode()` makes a text.",
        ),
        (
            {"extra": {"user": datetime.date(2026, 1, 2)}},
            f"extra['user'] is a date, {NO}: `.isoformat()` makes a text.",
        ),
    ],
)
def test_an_extra_is_refused_before_anything_is_sent(given: dict[str, Any], said: str) -> None:
    """What goes into every body is held to the rules, whoever asks: a cell, `submit` or `retry`."""
    with pytest.raises(InputError) as caught:
        body_options(**given)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (7, "The model is 7; it is a text, for example openai/gpt-oss-20b."),
        (b"m", "The model is b'm'; it is a text, for example openai/gpt-oss-20b."),
        (" ", "The model's name is empty: for example openai/gpt-oss-20b."),
        ("m\ud83d", f"The model's name {HALF}."),
    ],
)
def test_a_model_is_a_text(model: Any, said: str) -> None:
    """A model's name that cannot be one is refused with an example of one."""
    with pytest.raises(InputError) as caught:
        Settings(model)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [{"role": "user", "content": "x", "name": "Ann"}],
            f"message 0 has a name, which Groq answers with 400: leave `name` out {REFUSED}",
        ),
        (
            [*TALK, {"role": "user", "content": "x", "weight": math.nan}],
            "messages[1]['weight'] is nan, which JSON does not have: None is its null",
        ),
        (
            [{"role": "user", "content": b"x"}],
            f"messages[0]['content'] is bytes, {NO}: `.decode()` makes a text",
        ),
        ([{"role": "user", "content": "\ud83d"}], f"messages[0]['content'] {HALF}"),
    ],
)
def test_a_conversation_is_held_to_the_rules_while_it_is_read(messages: object, said: str) -> None:
    """The row is named, and within it the message or the place."""
    with pytest.raises(InputError) as caught:
        list(from_source([TALK, messages], named="df").items)
    assert caught.value.message == f"row 1 of `df`: {said}"


def test_texts_of_other_classes_are_written_as_plain_ones() -> None:
    """NumPy's texts in a conversation and in an option are the texts that they hold."""
    (talk,) = from_source([[{"role": np.str_("user"), "content": Plain("Hi")}]]).items
    plain = Form("m", options={"user": "ann"}).body(TALK)
    assert Form(np.str_("m"), options={"user": np.str_("ann")}).body(talk) == plain
