"""The line of an answered row, and its form: the same line with blanks, for rows that are ordinary.

Most of a line is the same from row to row. A form is drawn once, from the functions that make any line, and
its blanks are filled for each row; so what is filled in here is what they would have made.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from . import ordinary, replies
from .bodies import number_of, tokens
from .rules import Rules

_encode = msgspec.json.Encoder().encode
# What a form has in place of a row's salt, and its blanks in the order of the line; no form has to have all.
_SALT = "g" * 16 + "h" * 16 + "j" * 8 + "k" * 4 + "-lll" + "-mmm" + "n" * 12
_BLANKS = (
    *(b"g" * 16, b"<custom_id>", b"h" * 16, b"j" * 8, b"k" * 4, b"lll", b"mmm", b"n" * 12, b"<content>"),
    *(b"<reasoning>", b"<finish>", b"<usage>", b"h" * 16, b"<seed>"),
)
_FINISH = {"stop": b'"stop"', "length": b'"length"'}


def answered(rules: Rules, its_id: str, custom_id: Any, request_id: str, body: dict[str, Any]) -> bytes:
    """The output line of a row with this reply."""
    if rules.output_line == "2025" and "usage_breakdown" in body:
        del body["usage_breakdown"], body["service_tier"], body["x_groq"]["seed"]
    response = {"status_code": 200, "request_id": request_id, "body": body}
    return _encode({"id": its_id, "custom_id": custom_id, "response": response, "error": None}) + b"\n"


def line_id(moment: str, salt: str) -> str:
    """A line's id; like the others it is told by the time part of its batch and by the row's salt."""
    return f"batch_req_out_{moment}{salt[:16]}"


def request_id(moment: str, salt: str) -> str:
    """The id of a row's request."""
    return f"req_{moment}{salt[16:32]}"


def chat_id(salt: str) -> str:
    """`chatcmpl-` and a version 4 UUID, out of at least 64 hex digits of which the last 32 are used."""
    return f"chatcmpl-{salt[32:40]}-{salt[40:44]}-4{salt[45:48]}-a{salt[49:52]}-{salt[52:64]}"


class Forms:
    """Writes the lines of ordinary rows of one batch, which answers `at` these epoch seconds."""

    def __init__(self, rules: Rules, moment: str, at: int) -> None:
        self._rules, self._moment, self._at = rules, moment, at
        self._drawn: dict[tuple[str, bool | None], tuple[list[bytes], bool]] = {}
        self._seeded = rules.output_line != "2025"

    def line(self, line: ordinary.Line, prompt: str, prompt_tokens: int, salt: str) -> bytes:
        """What `answered` makes of `replies.completion` for this row."""
        body, number = line.body, number_of(prompt)
        limit = body.limit
        content, finish = replies.plain_content(prompt, number), "stop"
        if limit is not None:
            content, finish = replies.within(content, finish, limit)
        reply_tokens, reasoning, reasoning_tokens = tokens(content), b"", None
        asked_for = (body.model, body.include_reasoning)
        form, reasoned = self._drawn.get(asked_for) or self._draw(*asked_for)
        if reasoned:
            left = None if limit is None else limit - reply_tokens
            reasoning, reasoning_tokens = _reasoning(len(prompt), left)
        seed = replies.drawn_seed(number) if body.seed is None else body.seed
        salted = salt.encode()
        asked = salted[16:32]
        form[1::2] = (
            salted[:16],
            _encode(line.custom_id),
            asked,
            salted[32:40],
            salted[40:44],
            salted[45:48],
            salted[49:52],
            salted[52:64],
            _encode(content),
            reasoning,
            _FINISH[finish],
            _usage(prompt_tokens, reply_tokens, reasoning_tokens),
            asked,
            b"%d" % seed if self._seeded else b"",
        )
        return b"".join(form)

    def _draw(self, model: str, include_reasoning: bool | None) -> tuple[list[bytes], bool]:
        """What stands before, between and after the blanks, with the blanks; whether it reasons."""
        reasoned = replies.reasons(model, include_reasoning)
        blank, asked = msgspec.Raw, request_id(self._moment, _SALT)
        body = replies.shape(
            model,
            blank(b"<content>"),
            blank(b"<reasoning>") if reasoned else None,
            blank(b"<finish>"),
            blank(b"<usage>"),
            blank(b"<seed>"),
            request_id=asked,
            chat_id=chat_id(_SALT),
            at=self._at,
            tier="batch",
        )
        its_id = line_id(self._moment, _SALT)
        rest = answered(self._rules, its_id, blank(b"<custom_id>"), asked, body)
        drawn = []
        for name in _BLANKS:
            before, found, after = rest.partition(name)
            drawn += [before if found else b"", b""]
            rest = after if found else rest
        self._drawn[model, include_reasoning] = form = ([*drawn, rest], reasoned)
        return form


@functools.lru_cache(maxsize=16_384)
def _reasoning(size: int, most_tokens: int | None) -> tuple[bytes, int]:
    said = replies.reasoning_about(size, most_tokens)
    return _encode(said), tokens(said)


@functools.lru_cache(maxsize=16_384)
def _usage(prompt_tokens: int, reply_tokens: int, reasoning_tokens: int | None) -> bytes:
    return _encode(replies.usage_of(prompt_tokens, reply_tokens, reasoning_tokens))
