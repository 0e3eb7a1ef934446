"""What answers took, attempt by attempt: an answer that a retry has replaced was paid all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress

from groq_magic import costs, wire
from groq_magic.answers.reading import CUT, OK, Rows
from groq_magic.costs import Cost, Rate


def usage(rows: Rows, picked: Sequence[int]) -> wire.Usage:
    """Tokens of all attempts at these rows so far; rows that repeat another took none."""
    found = [each.own_tokens(wanted) for each, wanted in _attempts(rows, picked)]
    asked, said = sum(each[0] for each in found), sum(each[1] for each in found)
    return wire.Usage(asked, said, asked + said)


def cost(rows: Rows, picked: Sequence[int], *, free: bool | None = None) -> Cost | None:
    """What all attempts at these rows have cost so far; None where a price is not known.

    `free=False` gives what Groq would ask where nothing is paid.
    """
    return costs.cost(_used(_attempts(rows, picked), free))


def unpriced(rows: Rows) -> tuple[str, ...]:
    """The models that these rows were answered by and of which no price is known."""
    return costs.unpriced(_used(_attempts(rows, range(len(rows))), free=False))


def own_cost(rows: Rows, *, free: bool | None = None) -> Cost | None:
    """The same of what this job itself has sent."""
    return costs.cost(_used([(rows, bytearray(b"\1") * len(rows))], free))


def _attempts(rows: Rows, picked: Sequence[int]) -> list[tuple[Rows, bytearray]]:
    """Everyone who was asked about these rows, each once, and a 1 for each of its rows that was."""
    wanted = {rows.job_id: (rows, bytearray(len(rows)))}
    if picked == range(len(rows)):
        wanted[rows.job_id] = rows, bytearray(b"\1") * len(rows)
    else:
        for row in picked:
            wanted[rows.job_id][1][row] = 1
    waiting = [rows]
    while waiting:
        borrower = waiting.pop()
        mine = wanted[borrower.job_id][1]
        for lent in list(borrower.lent):
            _, theirs = wanted.setdefault(lent.lender.job_id, (lent.lender, bytearray(len(lent.lender))))
            before = theirs.count(1)
            for here, there in zip(lent.rows, lent.lender_rows, strict=True):
                if mine[here]:
                    theirs[there] = 1
            if theirs.count(1) != before:
                waiting.append(lent.lender)
    return list(wanted.values())


def _used(attempts: list[tuple[Rows, bytearray]], free: bool | None) -> dict[Rate, tuple[int, int]]:
    asked: Counter[Rate] = Counter()
    said: Counter[Rate] = Counter()
    for rows, wanted, batch in (each for attempt in attempts for each in _ways(*attempt)):
        rate = replace(rows.rate, batch=batch, free=rows.rate.free if free is None else free)
        found = [(rate, *rows.own_tokens(wanted))]
        if not any(found[0][1:]) and not any(_answered(rows, row) for row in _picked(wanted)):
            continue
        if not rate.model and not rate.free:
            found = _by_model(rows, wanted, rate)
        for its_rate, prompt_tokens, completion_tokens in found:
            asked[its_rate] += prompt_tokens
            said[its_rate] += completion_tokens
    return {rate: (asked[rate], said[rate]) for rate in asked}


def _ways(rows: Rows, wanted: bytearray) -> list[tuple[Rows, bytearray, bool]]:
    """The rows that were asked in batches, and those that were asked one by one; mostly all went one way."""
    one_by_one = bytearray(len(rows))
    for number in rows.direct:
        for row in rows.rows_of(number):
            one_by_one[row] = wanted[row]
    if not any(one_by_one):
        return [(rows, wanted, True)]
    rest = bytearray(want and not one for want, one in zip(wanted, one_by_one, strict=True))
    return [(rows, one_by_one, False), *([(rows, rest, True)] if any(rest) else [])]


def _by_model(rows: Rows, wanted: bytearray, rate: Rate) -> list[tuple[Rate, int, int]]:
    """The tokens of requests that each name a model, which their lines tell."""
    sent = bytearray(len(rows))
    for number in rows.shard_numbers:
        for row in rows.rows_of(number):
            sent[row] = wanted[row]
    picked = [row for row in _picked(sent) if any(rows.own_of(row)) or _answered(rows, row)]
    return [
        (replace(rate, model=str(wire.weight(line).model)), *rows.own_of(row))
        for row, line in zip(picked, rows.lines(picked), strict=True)
    ]


def _picked(wanted: bytearray) -> Iterator[int]:
    return compress(range(len(wanted)), wanted)


def _answered(rows: Rows, row: int) -> bool:
    """Whether this job itself has brought the answer."""
    return rows.status[row] in (OK, CUT) and rows.is_own(row)
