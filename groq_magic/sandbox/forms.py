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
# In the order of the line. Not every form has all of them.
_BLANKS = (
    *(b"<id>", b"<custom_id>", b"<request_id>", b"<chat_id>", b"<content>", b"<reasoning>", b"<finish>"),
    *(b"<usage>", b"<request_id>", b"<seed>"),
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
        self._drawn: dict[tuple[str, bool], list[bytes]] = {}
        self._seeded = rules.output_line != "2025"

    def line(self, line: ordinary.Line, prompt: str, prompt_tokens: int, salt: str) -> bytes:
        """What `answered` makes of `replies.completion` for this row."""
        body, number = line.body, number_of(prompt)
        limit = body.limit
        content, finish = replies.within(replies.plain_content(prompt, number), "stop", limit)
        reply_tokens, reasoning, reasoning_tokens = tokens(content), b"", None
        reasoned = replies.reasons(body.model, body.include_reasoning)
        if reasoned:
            said = replies.reasoning_about(len(prompt), limit, reply_tokens)
            reasoning, reasoning_tokens = _encode(said), tokens(said)
        seed = replies.drawn_seed(number) if body.seed is None else body.seed
        form = self._drawn.get((body.model, reasoned)) or self._draw(body.model, reasoned)
        asked = request_id(self._moment, salt).encode()
        return b"".join(
            (
                *(form[0], line_id(self._moment, salt).encode(), form[1], _encode(line.custom_id)),
                *(form[2], asked, form[3], chat_id(salt).encode(), form[4], _encode(content)),
                *(form[5], reasoning, form[6], _FINISH[finish], form[7]),
                *(_usage(prompt_tokens, reply_tokens, reasoning_tokens), form[8], asked, form[9]),
                *(b"%d" % seed if self._seeded else b"", form[10]),
            )
        )

    def _draw(self, model: str, reasoned: bool) -> list[bytes]:
        """What stands before, between and after the blanks."""
        blank = msgspec.Raw
        body = replies.shape(
            model,
            blank(b"<content>"),
            blank(b"<reasoning>") if reasoned else None,
            blank(b"<finish>"),
            blank(b"<usage>"),
            blank(b"<seed>"),
            request_id="<request_id>",
            chat_id="<chat_id>",
            at=self._at,
            tier="batch",
        )
        rest = answered(self._rules, "<id>", blank(b"<custom_id>"), "<request_id>", body)
        drawn = []
        for name in _BLANKS:
            before, found, after = rest.partition(name)
            drawn.append(before if found else b"")
            rest = after if found else rest
        self._drawn[model, reasoned] = drawn = [*drawn, rest]
        return drawn


@functools.lru_cache(maxsize=16_384)
def _usage(prompt_tokens: int, reply_tokens: int, reasoning_tokens: int | None) -> bytes:
    return _encode(replies.usage_of(prompt_tokens, reply_tokens, reasoning_tokens))
