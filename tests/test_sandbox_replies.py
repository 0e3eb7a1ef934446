"""What the sandbox replies, and what a prompt can make happen."""

import json
from typing import Any

import httpx
import jsonschema
import pytest

from groq_magic.sandbox.replies import tokens
from tests.desk import Desk, lines_of, request_line


def replies(desk: Desk, content: str | bytes) -> dict[str, dict[str, Any]]:
    """custom_id → the body of its reply."""
    done = desk.lines(desk.run(content)["output_file_id"])
    return {line["custom_id"]: line["response"]["body"] for line in done}


def reply(desk: Desk, prompt: str, **body: Any) -> dict[str, Any]:
    """The body of the reply to one prompt."""
    return replies(desk, request_line("x", prompt, **body))["x"]


def text(body: dict[str, Any]) -> str:
    """The reply's own words."""
    return body["choices"][0]["message"]["content"]


def test_a_reply_says_that_no_model_was_asked(desk: Desk) -> None:
    """Nobody can take a sandbox's reply for a model's; the same prompt has the same one."""
    first, second = reply(desk, "Is the soup good?"), reply(desk, "Is the soup good?")
    assert text(first).startswith("Sandbox reply, no model was asked: ")
    assert text(first) == text(second) != text(reply(desk, "And the wine?"))
    assert (first["model"], first["system_fingerprint"]) == ("sandbox/openai/gpt-oss-20b", "fp_sandbox")


def test_failed_rows_go_to_the_error_file(desk: Desk) -> None:
    """`[[fail]]`, an unknown model and no messages each fail alone, with Groq's status and code."""
    content = [
        request_line("good", "hello"),
        request_line("fail", "[[fail]] hello"),
        request_line("model", "hello", model="llama-none"),
        request_line("empty", "hello", messages=[]),
    ]
    batch = desk.run("\n".join(content))
    assert batch["request_counts"] == {"completed": 1, "failed": 3, "total": 4}
    errors = {line["custom_id"]: line["response"] for line in desk.lines(batch["error_file_id"])}
    seen = {key: (it["status_code"], it["body"]["error"].get("code")) for key, it in errors.items()}
    assert seen == {
        "fail": (400, "json_validate_failed"),
        "model": (404, "model_not_found"),
        "empty": (400, None),
    }
    assert [line["custom_id"] for line in desk.lines(batch["output_file_id"])] == ["good"]


def test_when_every_row_fails_there_is_no_output_file(desk: Desk) -> None:
    """completed, `output_file_id` null, all rows in the error file."""
    batch = desk.run(lines_of("[[fail]]", "[[fail]]"))
    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert len(desk.lines(batch["error_file_id"])) == 2


@pytest.mark.parametrize(
    "given",
    [
        "",
        " spaces \n",
        "line\u2028para\u2029next\x85",
        'Zoë 😀 \\ " {x} {{y}}',
        "[[fail]][[lose]][[echo]]",
        "\r\n\t\x00",
    ],
)
def test_an_echo_gives_back_any_text(desk: Desk, given: str) -> None:
    """The reply to `[[echo]]text` is exactly the text, whatever is in it."""
    assert text(reply(desk, f"said: [[echo]]{given}")) == given


def test_separators_that_are_no_line_feeds_split_no_line(desk: Desk) -> None:
    """U+2028, U+2029 and U+0085 unescaped in the uploaded file are ordinary characters."""
    prompts = [f"[[echo]]a{sign}b" for sign in "\u2028\u2029\x85"]
    assert sorted(text(body) for body in replies(desk, lines_of(*prompts)).values()) == [
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
    ]


def test_half_a_surrogate_pair_costs_nothing(desk: Desk) -> None:
    """`json.dumps` writes lone surrogates; such a line is answered, with a question mark for the half."""
    line = request_line("x", "[[echo]]a!b").replace("!", "\\ud83d")
    assert text(replies(desk, line)["x"]) == "a?b"


def test_parts_of_a_message_are_read_as_one_prompt(desk: Desk) -> None:
    """A content of parts is the texts in it, and only the last user message is answered."""
    parts = [
        {"type": "text", "text": "[[echo]]a"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "b"},
    ]
    messages = [{"role": "user", "content": "[[fail]]"}, {"role": "user", "content": parts}]
    assert text(reply(desk, "", messages=messages, model=SEES)) == "ab"


def test_max_completion_tokens_cuts_the_reply(desk: Desk) -> None:
    """A reply longer than the limit stops there with `length`, and the usage keeps to the limit."""
    body = reply(desk, "[[echo]]" + "abcd" * 10, max_completion_tokens=3)
    assert (text(body), body["choices"][0]["finish_reason"]) == ("abcd" * 3, "length")
    assert body["usage"]["completion_tokens"] == 3
    whole = reply(desk, "[[echo]]abcd", max_completion_tokens=1)
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_usage_is_counted_by_the_stated_rule(desk: Desk) -> None:
    """One token for every four characters, rounded up; the sum is the sum."""
    body = reply(desk, "[[echo]]12345", model="qwen/qwen3.8-27b", seed=7)
    usage = body["usage"]
    assert [tokens(some) for some in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (4, 2, 6)
    assert "reasoning" not in body["choices"][0]["message"]
    assert body["x_groq"]["seed"] == 7


def test_the_request_has_one_id(desk: Desk) -> None:
    """`x_groq.id` is the line's `request_id`, as in every live capture."""
    (line,) = desk.lines(desk.run(lines_of("a"))["output_file_id"])
    assert line["response"]["request_id"] == line["response"]["body"]["x_groq"]["id"]


def test_audio_rows_are_answered_too(desk: Desk) -> None:
    """A file may mix chat and audio."""
    audio = {"custom_id": "audio", "method": "POST", "url": "/v1/audio/transcriptions"}
    audio["body"] = {"model": "whisper-large-v3", "url": "https://example.org/a.wav"}
    bodies = replies(desk, lines_of("a") + json.dumps(audio))
    assert bodies["audio"]["text"].endswith("https://example.org/a.wav")


def test_a_schema_is_answered_with_what_fits_it(desk: Desk) -> None:
    """A reply to `response_format` is JSON that fits the schema; `json_object` gets an object."""
    schema = {
        "type": "object",
        "properties": {
            "label": {"enum": ["positive", "negative"]},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            "note": {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
        },
        "required": ["label", "stars", "tags", "note"],
        "additionalProperties": False,
        "$defs": {
            "tag": {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
        },
    }
    for n in range(8):
        wanted = {"type": "json_schema", "json_schema": {"name": "review", "schema": schema}}
        value = json.loads(text(reply(desk, f"review {n}", response_format=wanted)))
        jsonschema.validate(value, schema)
    assert isinstance(
        json.loads(text(reply(desk, "x as JSON", response_format={"type": "json_object"}))), dict
    )


@pytest.mark.parametrize(
    "schema", [{"type": "string", "minLength": "x"}, {"type": "string", "minLength": 10**9}, {"anyOf": 5}]
)
def test_a_schema_that_cannot_be_filled_fails_its_row_alone(desk: Desk, schema: dict[str, Any]) -> None:
    """An odd schema is a reason in the error file; the batch ends, and the store can still be listed."""
    asked = {"type": "json_schema", "json_schema": {"name": "odd", "schema": schema}}
    batch = desk.run(request_line("odd", "hi", response_format=asked) + "\n" + request_line("good", "hi"))
    assert (batch["status"], batch["request_counts"]["completed"]) == ("completed", 1)
    (error,) = desk.lines(batch["error_file_id"])
    assert (error["custom_id"], error["response"]["status_code"]) == ("odd", 400)
    assert desk.ask("GET", "/batches").status_code == 200


SEES = "qwen/qwen3.8-27b"
IMAGE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer"}}}
STRICT_LABEL = {"name": "x", "strict": True, "schema": {"type": "object", "additionalProperties": False}}
NOT_TAKEN = {
    "an unknown key": ({"metdata": {}}, "property 'metdata' is unsupported, did you mean 'metadata'?"),
    "nothing alike": ({"zzzzz": 1}, "property 'zzzzz' is unsupported"),
    "an unknown key of a message": (
        {"messages": [{"role": "user", "content": "a", "status": "sent"}]},
        "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'status' is "
        "unsupported)]",
    ),
    "JSON mode of which no message speaks": (
        {"response_format": {"type": "json_object"}},
        "'messages' must contain the word 'json' in some form, "
        "to use 'response_format' of type 'json_object'.",
    ),
    "an image for a model that reads": (
        {"messages": [{"role": "user", "content": IMAGE}]},
        "messages[0].content must be a string",
    ),
    "a streamed schema": (
        {"response_format": JSON_SCHEMA, "stream": True},
        "`response_format` of type `json_schema` does not support streaming",
    ),
    "strict of a model without it": (
        {
            "response_format": {"type": "json_schema", "json_schema": STRICT_LABEL},
            "model": "openai/gpt-oss-safeguard-20b",
        },
        "The model `openai/gpt-oss-safeguard-20b` does not support `strict` in response_format",
    ),
    "raw reasoning in JSON mode": (
        {"response_format": JSON_SCHEMA, "reasoning_format": "raw"},
        "`reasoning_format` must not be `raw` in JSON mode",
    ),
    "a prompt of over 131,072 tokens": (
        {"messages": [{"role": "user", "content": "abcd" * 131_073}]},
        "Please reduce the length of the messages or completion.",
    ),
}


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_groq_refuses_is_refused_in_its_words(desk: Desk, what: str) -> None:
    """A body that Groq does not take gets a 400 that says why, in chat and as a failed row alike."""
    change, words = NOT_TAKEN[what]
    body = json.loads(request_line("x", "hello"))["body"] | change
    error = refused_chat(desk.ask("POST", "/chat/completions", json=body))
    assert error["message"] == words
    batch = desk.run(request_line("x", "hello", **change))
    (line,) = desk.lines(batch["error_file_id"])
    assert line["response"]["body"]["error"] == error


def test_a_schema_that_only_some_prompts_can_fill_fails_those_rows_alone(desk: Desk) -> None:
    """What the sandbox cannot fill for one prompt is that row's failure, and never the file's."""
    tight = {"type": "integer", "minimum": 0, "maximum": 100, "not": {"maximum": 92}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": tight}}
    lines = [request_line(f"row-{n}", f"prompt {n}", response_format=wanted) for n in range(64)]
    batch = desk.run("\n".join(lines))
    done, failed = desk.lines(batch["output_file_id"]), desk.lines(batch["error_file_id"])
    assert (len(done) + len(failed), bool(done), bool(failed)) == (64, True, True)
    assert all(int(line["response"]["body"]["choices"][0]["message"]["content"]) > 92 for line in done)


@pytest.mark.parametrize(
    ("url", "model"),
    [("/v1/audio/transcriptions", "openai/gpt-oss-20b"), ("/v1/chat/completions", "whisper-large-v3")],
)
def test_a_model_does_only_what_it_can(desk: Desk, url: str, model: str) -> None:
    """A chat model does not listen, and one that listens does not chat."""
    line = json.loads(request_line("x", "hello", model=model)) | {"url": url}
    line["body"]["url"] = "https://example.com/a.mp3"
    if "audio" in url:
        del line["body"]["messages"]
    (failed,) = desk.lines(desk.run(json.dumps(line))["error_file_id"])
    assert "does not support" in failed["response"]["body"]["error"]["message"]


def refused_chat(reply: httpx.Response) -> dict[str, Any]:
    """The error of a chat reply that must be a 400."""
    assert reply.status_code == 400, reply.text
    error: dict[str, Any] = reply.json()["error"]
    return error


@pytest.mark.parametrize(
    "body", [{"model": SEES, "messages": [{"role": "user", "content": IMAGE}]}, {"store": True}]
)
def test_what_groq_takes_is_taken(desk: Desk, body: dict[str, Any]) -> None:
    """An image for a model that sees, and a key of Groq's SDK that does nothing here, are no mistake."""
    assert reply(desk, "hello", **body)["choices"][0]["finish_reason"] == "stop"
