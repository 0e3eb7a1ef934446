"""The body of a cell, split into its prompts; templates in them are filled with the notebook's variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from groq_magic.errors import InputError
from groq_magic.prompts.checks import Prompts, checked_option, has_marks, texts
from groq_magic.prompts.values import encodes

RULE = "---"
"""The line that parts blocks, each of which is one prompt."""


class Piece(NamedTuple):
    """One prompt as it was typed, and the line of the body where it starts, from 1."""

    text: str
    line: int


def from_body(
    body: str,
    *,
    lines: bool = False,
    raw: bool = False,
    variables: Mapping[str, object] = {},  # read, never written
    system: str | None = None,
) -> Prompts:
    """The prompts that a body holds: its lines, or the blocks between its `---` lines.

    Templates are filled with `variables` by name, one prompt at a time as they are read; `raw` leaves them as
    plain text.
    """
    pieces = split(body, lines=lines)
    if system is not None:
        system = checked_option(system, "the system message")
        if has_marks(system) and not raw:
            system = checked_option(_filled(system, variables, "the system message", 1), "the system message")
    return Prompts(
        items=texts(_texts(pieces, raw, variables), lambda row: f"the prompt on line {pieces[row].line}"),
        count=len(pieces),
        system=system,
    )


def split(body: str, *, lines: bool = False) -> list[Piece]:
    """The body's prompts as typed, none of them blank. Raises where one prompt or many could be meant."""
    if not encodes(body):
        raise InputError("the body holds half a character (a lone surrogate), which cannot be sent")
    typed = body.split("\n")
    ruled = any(line.strip() == RULE for line in typed)
    if ruled and lines:
        raise InputError(
            "the body has `---` lines, which part it into blocks, and `--lines` too: keep one of them"
        )
    pieces = (
        _blocks(typed)
        if ruled
        else [Piece(line.strip(), n) for n, line in enumerate(typed, 1) if line.strip()]
    )
    if not pieces:
        raise InputError("the body holds no prompt: write one on each line")
    if not ruled and not lines and len(pieces) > 1 and _looks_like_one(typed):
        many = len(pieces)
        raise InputError(f"one prompt or {many}? `---` on the first line for one, `--lines` for {many}")
    return pieces


def _blocks(typed: list[str]) -> list[Piece]:
    """The blocks between the rules without the blank lines around them; blank blocks are dropped."""
    pieces, block, start = [], list[str](), 1
    for number, line in enumerate([*typed, RULE], 1):
        if line.strip() != RULE:
            block.append(line)
            continue
        while block and not block[0].strip():
            block.pop(0)
            start += 1
        while block and not block[-1].strip():
            block.pop()
        if block:
            pieces.append(Piece("\n".join(block), start))
        block, start = [], number + 1
    return pieces


def _looks_like_one(typed: list[str]) -> bool:
    """Whether the lines seem to belong together: an indented one, a code fence, one that ends in a colon."""
    return any(
        line.strip() and (line[0].isspace() or line.startswith("```") or line.rstrip().endswith(":"))
        for line in typed
    )


def _texts(pieces: list[Piece], raw: bool, variables: Mapping[str, object]) -> Iterator[str]:
    for text, line in pieces:
        yield text if raw or not has_marks(text) else _filled(text, variables, "the body", line)


def _filled(text: str, variables: Mapping[str, object], what: str, line: int) -> str:
    from groq_magic.prompts import templates

    return templates.for_body(text, variables, what, line).render_once(f"{what}, line {line}")
