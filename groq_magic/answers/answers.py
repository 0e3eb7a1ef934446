"""What a user holds: one Answer for every prompt, in the prompts' order, filling in place."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from groq_magic import wire
from groq_magic.answers import columns, display, frames, saved, spending
from groq_magic.answers.reading import CUT, OK, PENDING, SKIPPED, STATUSES, Rows
from groq_magic.answers.saved import Asked
from groq_magic.costs import Cost
from groq_magic.errors import GroqMagicError, InputError, NotSent, StillRunning, redact
from groq_magic.prompts.checks import one_line
from groq_magic.schema import Schema

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


@dataclass(frozen=True)
class AnswerError:
    """Why a prompt has no answer: a code (Groq's where there is one) and a message."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Answer:
    """One prompt and what became of it.

    `status` is `pending`, then `ok`, `cut` (stopped at max tokens; text kept), `failed` (Groq's error, or a
    reply that does not fit its schema), `expired`, `cancelled`, `missing` (no reply came) or `skipped`.
    Reading what is not there yet raises StillRunning; where no text came, `text` is None and `error` says
    why.
    """

    def __init__(self, rows: Rows, row: int, name: str, schema: Schema | None = None) -> None:
        self._rows, self._row, self._name = rows, row, name
        self._schema = schema or rows.schema

    @property
    def index(self) -> int:
        """The prompt's place in the submission, from 0; its samples share it."""
        return self._row // self._rows.samples

    @property
    def custom_id(self) -> str:
        """The id under which the prompt was sent: the user's, or ours; "" if skipped without one."""
        return self._rows.custom_id(self._row)

    @cached_property
    def prompt(self) -> str | list[dict[str, Any]] | None:
        """What was asked, as it was sent: the text, or the messages of a conversation; None if skipped."""
        return None if self.status == "skipped" else display.prompt_of(self._rows.request(self._row))

    @property
    def sample(self) -> int:
        """Which of several answers to one prompt this is, from 1."""
        return self._rows.sample(self._row)

    @property
    def status(self) -> str:
        """How it stands: see the class."""
        return STATUSES[self._rows.status[self._row]]

    @cached_property
    def _reply(self) -> wire.Reply | None:
        return self._rows.reply(self._row, self._name)

    @property
    def text(self) -> str | None:
        """The answer as it came, or None where none did; of one that does not fit its schema, too."""
        return self._reply.text if self._reply and self._reply.error is None else None

    @cached_property
    def parsed(self) -> Any:
        """The answer as an instance of its schema: a label, a dataclass, a dict …; None where none fits.

        Without a schema there is nothing to parse by: None.
        """
        text = self.text if self._schema is not None and self.status == "ok" else None
        return None if text is None or self._schema is None else self._schema.instance(text)

    @property
    def reasoning(self) -> str | None:
        """What the model thought on the way, where it says so."""
        return self._reply.reasoning if self._reply else None

    @property
    def finish_reason(self) -> str | None:
        """Groq's word for why the answer ended: stop, length, tool_calls."""
        return self._reply.finish_reason if self._reply else None

    @property
    def model(self) -> str | None:
        """The model that answered, as the reply says."""
        return self._reply.model if self._reply else None

    @property
    def usage(self) -> wire.Usage | None:
        """Tokens used, or None where nothing was answered."""
        return self._reply.usage if self._reply and self._reply.error is None else None

    @property
    def raw(self) -> dict[str, Any] | None:
        """The whole line of the result file, as Groq sent it."""
        return self._reply.raw if self._reply else None

    @property
    def error(self) -> AnswerError | None:
        """Why there is no answer, or None where there is one (or none yet)."""
        status = self._rows.status[self._row]
        if status in (PENDING, OK, CUT):
            return None
        if self._rows.not_sent is None and self._reply and self._reply.error:
            return AnswerError(*self._reply.error)
        return AnswerError(*self._rows.end(self._row))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self._rows is other._rows and self._row == other._row

    def __hash__(self) -> int:
        return hash((id(self._rows), self._row))

    def __repr__(self) -> str:
        return display.answer_line(self)


@dataclass(frozen=True)
class Verbs:
    """What can be done about a job, handed in from above by whoever drives it."""

    watch: Callable[[Callable[[Any], None]], None]
    check_now: Callable[[], Future[None]]
    cancel: Callable[[bool], Future[None]]
    shared: Callable[[], str | None]
    retry: Callable[..., int]
    settle: Callable[[], None]
    status: Callable[[], str]
    batch_ids: Callable[[], list[str]]
    asked: Callable[[], Asked]


class Answers(Sequence[Answer]):
    """One Answer for every prompt, in the prompts' order; a slice is Answers over the same rows."""

    def __init__(
        self,
        name: str,
        rows: Rows,
        verbs: Verbs,
        *,
        frame: object | None = None,
        picked: Sequence[int] | None = None,
        schema: Schema | None = None,
    ) -> None:
        self.name = name
        self._rows, self.verbs = rows, verbs
        self._own_schema = schema
        self._frame = frames.kept(frame) if picked is None else frame
        self._picked = range(len(rows)) if picked is None else picked
        # For whoever shows a card: what to do now and then while someone waits, and whether the running cell
        # shows this batch already.
        self.while_waiting: Callable[[], None] = lambda: None
        self.beside_card = False

    # --- a sequence ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._picked)

    @overload
    def __getitem__(self, key: int | str) -> Answer: ...
    @overload
    def __getitem__(self, key: slice) -> Answers: ...
    def __getitem__(self, key: int | str | slice) -> Answer | Answers:
        if isinstance(key, slice):
            return self._of(self._picked[key])
        if isinstance(key, str):
            row = self._rows.row_of(key)
            if row is None or row not in self._picked:
                raise KeyError(f"no prompt was sent under the id {key!r}")
            return self._at(row)
        return self._at(self._picked[key])

    def _at(self, row: int) -> Answer:
        return Answer(self._rows, row, self.name, self._own_schema)

    def _of(self, picked: Sequence[int]) -> Answers:
        """A part of these, over the same rows."""
        own = self._own_schema
        return Answers(self.name, self._rows, self.verbs, frame=self._frame, picked=picked, schema=own)

    def __contains__(self, item: object) -> bool:
        """An Answer, or the id of one."""
        if isinstance(item, str):
            return (row := self._rows.row_of(item)) is not None and row in self._picked
        return any(item == answer for answer in self)

    def __iter__(self) -> Iterator[Answer]:
        return map(self._at, self._picked)

    def each(self, *, prompts: bool = False) -> Iterator[Answer]:
        """The same as iterating, for who reads all: each file is opened once. `prompts` are read, too."""
        asked = [row for row in self._picked if self._rows.status[row] != SKIPPED] if prompts else []
        lines = self._rows.lines(asked)
        for answer, reply in zip(map(self._at, self._picked), self._rows.replies(self._picked), strict=True):
            known = vars(answer)  # where its cached properties keep what they have read
            if reply is not None:  # else one may come yet
                known["_reply"] = reply
            if prompts and answer.status != "skipped":
                known["prompt"] = display.prompt_of(wire.request(next(lines)))
            yield answer

    # --- how it stands ------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self._rows.done

    @property
    def status(self) -> str:
        """One word: Groq's for the batches together, or `sending`, `not sent`, `unsure`."""
        return self.verbs.status()

    @property
    def counts(self) -> dict[str, int]:
        """How many answers are in each status; those that occur."""
        if not self._part:
            return {name: n for name, n in self._rows.counts().items() if n}
        seen = self._rows.states(self._picked)
        return {name: n for code, name in enumerate(STATUSES) if (n := seen.count(code))}

    @property
    def _part(self) -> bool:
        return self._picked != range(len(self._rows))

    @property
    def job_id(self) -> str:
        """Our id of the submission: `%groq attach` finds it again by this."""
        return self._rows.job_id

    @property
    def batch_ids(self) -> list[str]:
        """Groq's ids of the batches, one for each file."""
        return self.verbs.batch_ids()

    @property
    def usage(self) -> wire.Usage:
        """Tokens of all answers so far, earlier attempts at retried ones among them."""
        return spending.usage(self._rows, self._picked)

    @property
    def cost(self) -> Cost | None:
        """What these answers have cost so far in USD, earlier attempts too: `paid`, `on_demand`, `saved`.

        Exact, by the tokens that Groq counted and the prices of `groq_magic.prices`; None where one of the
        models has no price there. In a sandbox nothing is paid.
        """
        return spending.cost(self._rows, self._picked)

    # --- waiting ------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> Answers:
        """Blocks until the end (or `timeout` seconds) and returns itself. An interrupt stops only the wait.

        Raises StillRunning when the time is over first, and NotSent when nothing could be sent, or nothing
        of a retry.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self._rows.finished.done():
            if self._rows.left:
                self._rows.check_done("The batch is", self.name)
            left = 0.2 if until is None else min(0.2, until - time.monotonic())
            if left <= 0:
                raise StillRunning(f"Still running after {timeout:g} s: {self._rows.describe(self.name)}")
            with suppress(TimeoutError):  # short waits: on some platforms a long one cannot be interrupted
                self._rows.finished.result(left)
            self.while_waiting()
        self._rows.finished.result(0)  # raises where nobody watches any more
        self.verbs.settle()
        self.while_waiting()  # the end, which may have come after the last look
        if why := self._rows.not_sent or self._rows.not_resent:
            raise NotSent(why)
        return self

    def __await__(self) -> Generator[Any, None, Answers]:
        yield from asyncio.shield(asyncio.wrap_future(self._rows.finished)).__await__()
        return self.wait(0)

    def cancel(self, *, anyway: bool = False) -> None:
        """Stops further sending and cancels this job's batches. What is answered is charged and kept.

        Where others count on these batches, that takes `anyway`; else InputError says who.
        """
        if self._rows.left:
            self._rows.check_done("The batch is", self.name)
        self.verbs.cancel(anyway).result()

    def retry(self, **changes: Any) -> Answers:
        """Sends again what has no answer, changed as `changes` says, and returns itself, filling in place.

        `changes` are model, temperature, max_tokens, seed, reasoning, extra and max_cost, as for `submit`;
        what was cut off is sent, too, if `max_tokens` rises. An old row stays readable until its replacement
        is there. Raises StillRunning before the end, InputError, KeyMissing.
        """
        self.verbs.retry(self, self._picked, **changes)
        return self

    # --- what came back -----------------------------------------------------------------------------

    @property
    def texts(self) -> list[str | None]:
        """Every answer's text; None exactly where there is none. Raises StillRunning before the end."""
        self._check("The texts are")
        return columns.came(self._rows, self._picked).texts

    @property
    def parsed(self) -> list[Any]:
        """Every answer as an instance of its schema; None where none fits, as `failed` and `cut` tell.

        Raises StillRunning before the end, and InputError where no schema was asked for.
        """
        self._check("The parsed answers are")
        schema = self._schema
        if schema is None:
            raise InputError("These answers have no schema to parse by: ask for one with --schema.")
        replies = zip(self._picked, self._rows.replies(self._picked), strict=True)
        return [
            schema.instance(reply.text or "") if reply is not None and self._rows.status[row] == OK else None
            for row, reply in replies
        ]

    @property
    def _schema(self) -> Schema | None:
        """What was asked for here; of a batch that was attached, what its requests say."""
        return self._own_schema or self._rows.schema

    @property
    def failed(self) -> Answers:
        """Those that were asked and have no answer, whatever the reason."""
        return self._where({*range(len(STATUSES))} - {PENDING, OK, CUT, SKIPPED})

    @property
    def cut(self) -> Answers:
        """Those that stopped at max tokens."""
        return self._where({CUT})

    def _where(self, wanted: set[int]) -> Answers:
        states = self._rows.states(self._picked)
        return self._of([row for row, state in zip(self._picked, states, strict=True) if state in wanted])

    def _check(self, what: str, partial: bool = False) -> None:
        """A part whose rows have all ended may be read before the whole has; `partial` is never too early."""
        early = not partial and PENDING in self._rows.states(self._picked)
        if early or self._rows.not_sent is not None:
            self._rows.check_done(what, self.name)

    def to_dicts(self, *, partial: bool = False) -> list[dict[str, Any]]:
        """One dict for each prompt. `partial` takes what is there now."""
        self._check("The table is", partial)
        return frames.dicts(self)

    def to_pandas(self, *, partial: bool = False) -> pandas.DataFrame:
        """A pandas frame: the source's columns and index where it was a table, then the answers' columns."""
        self._check("The frame is", partial)
        return frames.to_pandas(self)

    def to_polars(self, *, partial: bool = False) -> polars.DataFrame:
        """A Polars frame: the source's columns where it was a table, then the answers' columns."""
        self._check("The frame is", partial)
        return frames.to_polars(self)

    def to_arrow(self, *, partial: bool = False) -> pyarrow.Table:
        """An Arrow table: the source's columns where it was a table, then the answers' columns."""
        self._check("The table is", partial)
        return frames.to_arrow(self)

    def save(self, path: str | os.PathLike[str]) -> Path | None:
        """Writes the answers to a file (.jsonl, .csv, .parquet), which `--save` and `submit(save=…)` read.

        It has the columns of `to_dicts()` and one more, which is ours. Where the file has what these
        have not, answers or what people wrote, it is kept beside the new one: what it is called then comes
        back, else None. Raises StillRunning before the end, NotSent, and InputError for a file that holds
        something else, or cannot be read or written.
        """
        self._check("The answers are")
        return saved.write(self, saved.place(path), self.verbs.asked())

    def save_at_end(self, path: Path) -> None:
        """Has the same done at the end, and after every retry. A failure is said on the card, and no more."""
        named = saved.shown(path)

        def save() -> str:
            try:
                kept = self.save(path)
            except Exception as exc:
                why = (
                    exc.message
                    if isinstance(exc, GroqMagicError)
                    else f"{redact(one_line(exc)) or type(exc).__name__}."
                )
                return f"Not saved: {why} To try again: {self.name}.save({named!r})."
            other = f" What it had besides is in {saved.shown(kept)} now." if kept else ""
            return f"Saved in {named}.{other}"

        self._rows.at_end(str(path), save)

    def as_source(self) -> object:
        """What the next batch has of this one, as `--from`: a table like the source's, or a list of dicts."""
        self._check("The table is")
        return frames.as_source(self)

    def _label_counts(self) -> dict[str, int]:
        """How often each label was given; {} where there are none."""
        return self._rows.label_counts(self._picked if self._part else None)

    def __repr__(self) -> str:
        return display.status_line(self)

    def _ipython_display_(self) -> None:
        """Adds nothing in the cell whose card shows this batch; elsewhere the table below is shown."""
        if not self.beside_card:
            raise NotImplementedError  # IPython's sign to go on to the next way of displaying

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": display.table_text(self), "text/html": display.table_html(self)}
