from pathlib import Path
from typing import Any

import pytest
import xxhash

from groq_magic import shards, wire
from groq_magic.prompts import Prompt, Prompts
from groq_magic.shards import Form

MODEL = "openai/gpt-oss-20b"
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "mood", "strict": True, "schema": {"type": "object"}},
}
TURNED = {
    "json_schema": {"schema": {"type": "object"}, "strict": True, "name": "mood"},
    "type": "json_schema",
}
TALK: Prompt = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
]

ORDERED = {
    "type": "json_schema",
    "json_schema": {
        "name": "mood",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "why": {"type": "string"},
                "properties": {"type": "string"},
                "mood": {"type": "string"},
            },
        },
    },
}

# A request is known by these for ever: a change here makes every user pay again for what is answered.
GOLDEN: dict[str, tuple[Form, Prompt, str]] = {
    "a plain prompt": (Form(MODEL), "Say hi", "2b83102afa9bd6b392b0c7f2172ef649"),
    "a system message": (Form(MODEL, system="Be brief."), "Say hi", "487884af0dfb2d879b377cff06b55c47"),
    "a temperature": (
        Form(MODEL, options={"temperature": 0.0}),
        "Say hi",
        "88d099446d5abb3d4f7c0cbb2208e9f1",
    ),
    "most tokens": (
        Form(MODEL, options={"max_completion_tokens": 64}),
        "Say hi",
        "b7edbecd209b82ff5bd9c29777a068e7",
    ),
    "nested options": (
        Form(MODEL, options={"top_p": 0.5, "response_format": SCHEMA}),
        "Say hi",
        "39c5f308e659fa760479467e845c15f8",
    ),
    "a schema with properties": (
        Form(MODEL, options={"response_format": ORDERED}),
        "Say hi",
        "9c0cb89fd837bd6b1cc0efe5a1e93f24",
    ),
    "a conversation": (Form(MODEL), TALK, "726c0e10f4c5340a70b9d3e4ef1dc508"),
    "a conversation with a system message": (
        Form(MODEL, system="Be brief."),
        TALK,
        "b52111f4c6105ad564cd171a84f79c50",
    ),
    "other scripts": (Form(MODEL), "Grüße, 世界 🌍 \u2028 e\u0301", "59a5477325e4c5efb1896ef429fc6572"),
    "another model": (Form("llama-3.1-8b-instant"), "Say hi", "2e768e441929b2368bfcc85a2f1e72e9"),
    "escapes": (
        Form(MODEL),
        'a "quoted" \\ back\\slash\n\ttab \x00 \x7f </script>',
        "05c2e5f6caa233e01f1927c0e9c5a418",
    ),
}


def print_of(form: Form, prompt: Prompt) -> str:
    """The fingerprint of a request as hex digits."""
    return shards.fingerprint(form.endpoint, form.body(prompt)).hex()


@pytest.mark.parametrize("name", GOLDEN)
def test_a_fingerprint_never_changes(name: str) -> None:
    """A request is known by the same 32 digits in every version of this package."""
    form, prompt, known_by = GOLDEN[name]
    assert print_of(form, prompt) == known_by


def test_different_requests_have_different_fingerprints() -> None:
    """No two of the pinned requests are taken for one another."""
    assert len({known_by for _, _, known_by in GOLDEN.values()}) == len(GOLDEN) == 11


ONE_MESSAGE: Prompt = [{"role": "user", "content": "Say hi"}]
TURNED_MESSAGE: Prompt = [{"content": "Say hi", "role": "user"}]


@pytest.mark.parametrize(
    ("form", "prompt", "same_as"),
    [
        (Form(MODEL, options={}), "Say hi", "a plain prompt"),
        (Form(MODEL, options=None), ONE_MESSAGE, "a plain prompt"),
        (Form(MODEL), TURNED_MESSAGE, "a plain prompt"),
        (Form(MODEL, system="Be brief."), ONE_MESSAGE, "a system message"),
        (
            Form(MODEL),
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi"}],
            "a system message",
        ),
        (Form(MODEL, options={"response_format": TURNED, "top_p": 0.5}), "Say hi", "nested options"),
    ],
    ids=[
        "empty options",
        "a list of one message",
        "other order in a message",
        "a system message before a list",
        "a system message in the list",
        "other order in the options",
    ],
)
def test_the_same_body_has_the_same_fingerprint_however_it_was_given(
    form: Form, prompt: Prompt, same_as: str
) -> None:
    """A text and its list of one message, and options in another order, are one request."""
    assert print_of(form, prompt) == GOLDEN[same_as][2]


@pytest.mark.parametrize(
    "options", [{"temperature": 0.5}, {"seed": 0}, {"stop": None}, {"user": ""}, {"n": 1}, {"n": 1.5}]
)
def test_whatever_was_set_counts(options: dict[str, Any]) -> None:
    """An option that was set makes another request, also where its value is empty or null."""
    assert print_of(Form(MODEL, options=options), "Say hi") != GOLDEN["a plain prompt"][2]


def test_a_further_sample_is_another_request() -> None:
    """The second and third answer to one prompt are known by fingerprints of their own, for ever."""
    body = Form(MODEL).body("Say hi")
    known = [shards.fingerprint(wire.CHAT, body, sample).hex() for sample in (1, 2, 3)]
    assert known == [
        GOLDEN["a plain prompt"][2],
        "429a5961b23d5427f032cda30b67905a",
        "1a362208f4c46f2cab7c154ac2623c4f",
    ]


def test_another_endpoint_makes_another_request() -> None:
    """The same body sent to another endpoint is not the same request."""
    body = Form(MODEL).body("Say hi")
    assert shards.fingerprint("/v1/responses", body) != shards.fingerprint(wire.CHAT, body)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_fingerprint_is_the_hash_of_the_bytes_on_the_wire(name: str, tmp_path: Path) -> None:
    """What is hashed is the endpoint, a line feed, and exactly the body that stands in the file sent."""
    form, prompt, known_by = GOLDEN[name]
    (cut,) = shards.cut(Prompts([prompt], 1), form, tmp_path)
    _, _, after = cut.path.read_bytes().partition(b'"body":')
    body = after.removesuffix(b"}\n")
    assert xxhash.xxh3_128_hexdigest(b"/v1/chat/completions\n" + body) == known_by
    assert cut.fingerprints.hex() == known_by
