"""The bare limit: msgspec alone over the same rows, and the same bytes written or read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.made import ENDPOINT, MODEL


class _Message(msgspec.Struct):
    content: str
    role: str = "user"


class _Body(msgspec.Struct):
    messages: list[_Message]
    model: str = MODEL


class _Line(msgspec.Struct):
    custom_id: str
    body: _Body
    method: str = "POST"
    url: str = ENDPOINT


def build(prompts: Iterable[str], path: Path) -> None:
    """Encodes and writes a request for each prompt."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for number, prompt in enumerate(prompts):
            file.write(encode(_Line(f"row-{number}", _Body([_Message(prompt)]))) + b"\n")


def build_lines(lines: Iterable[Any], path: Path) -> None:
    """Encodes and writes requests that are there as a whole."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for line in lines:
            file.write(encode(line) + b"\n")


class _Choice(msgspec.Struct):
    finish_reason: str


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


class _Response(msgspec.Struct):
    status_code: int
    body: _Reply


class _Result(msgspec.Struct):
    custom_id: str
    response: _Response


def read(paths: Iterable[Path]) -> int:
    """Decodes id, status, finish reason and usage of every line; how many tokens they tell of."""
    decode, tokens = msgspec.json.Decoder(_Result).decode, 0
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                tokens += decode(line).response.body.usage.completion_tokens
    return tokens
