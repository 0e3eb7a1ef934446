"""What came back for many rows, a list for each thing, without an Answer for each row.

The files are read once, in the rows' order, some lines at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from groq_magic import wire
from groq_magic.answers import display
from groq_magic.answers.reading import CUT, OK, PENDING, SKIPPED, STATUSES, Rows

_LINES = 64  # read and decoded together: about what a processor has at hand


@dataclass(frozen=True)
class Came:
    """A list for each column, as long as the rows; None where a row has nothing of it.

    `status` are the names; `errors` are `code: message`.
    """

    texts: list[str | None] = field(default_factory=list)
    status: list[str] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    finish_reasons: list[str | None] = field(default_factory=list)
    prompt_tokens: list[int | None] = field(default_factory=list)
    completion_tokens: list[int | None] = field(default_factory=list)


def came(rows: Rows, picked: Sequence[int]) -> Came:
    """What came back for these rows; of those that are pending, only that they are."""
    found = Came()
    lines = rows.found(picked)
    for some in _pieces(picked):
        states = rows.states(some)
        held = list(islice(lines, len(some)))
        if not _plain(found, states, held):
            for row, state, line in zip(some, states, held, strict=True):
                _add(found, rows, row, state, line)
    return found


def _pieces(picked: Sequence[int]) -> Iterator[Sequence[int]]:
    return (picked[start : start + _LINES] for start in range(0, len(picked), _LINES))


def _plain(found: Came, states: bytes, lines: list[bytes | None]) -> bool:
    """Adds rows that all have plain answers; False, and nothing is added, where one has another end."""
    if not {OK, CUT}.issuperset(states):
        return False
    said = wire.ordinary([line for line in lines if line is not None], texts=True)
    if said is None or len(said.ids) < len(states):
        return False
    found.texts.extend(said.texts)
    found.status.extend(STATUSES[state] for state in states)
    found.errors.extend([None] * len(states))
    found.finish_reasons.extend(said.finish_reasons)
    found.prompt_tokens.extend(said.prompt_tokens)
    found.completion_tokens.extend(said.completion_tokens)
    return True


def _add(found: Came, rows: Rows, row: int, state: int, line: bytes | None) -> None:
    """Adds one row, however it ended."""
    reply = None if line is None or state == PENDING else wire.reply(line)
    here = reply is not None and reply.error is None
    found.texts.append(reply.text if reply and here else None)
    found.status.append(STATUSES[state])
    found.errors.append(None if state in (PENDING, OK, CUT) else _error(rows, row, reply))
    found.finish_reasons.append(reply.finish_reason if reply else None)
    found.prompt_tokens.append(reply.usage.prompt_tokens if reply and here else None)
    found.completion_tokens.append(reply.usage.completion_tokens if reply and here else None)


def _error(rows: Rows, row: int, reply: wire.Reply | None) -> str:
    code, message = reply.error if reply is not None and reply.error else rows.end(row)
    return f"{code}: {message}"


def prompts(rows: Rows, picked: Iterable[int]) -> Iterator[str | list[dict[str, object]] | None]:
    """What was asked for each of these rows, as `Answer.prompt` says it; None where it was skipped."""
    wanted = list(picked)
    lines = rows.lines([row for row in wanted if rows.status[row] != SKIPPED])
    for row in wanted:
        if rows.status[row] == SKIPPED:
            yield None
        else:
            line = next(lines)
            text = wire.prompt_text(line)
            yield display.prompt_of(wire.request(line)) if text is None else text
