"""How things stand: where prompts go, with which key, what runs, how large the ledger is, what to type next.

`look` gathers it, which never waits for the network and never fails; `Standing` says it, and is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

from groq_magic import keys, ledger, listing, services
from groq_magic.answers.display import shortened
from groq_magic.errors import GroqMagicError, KeyMissing, LedgerError
from groq_magic.job import ENDED, Job

_SHOWN, _LOOKED = 8, 50
_WIDTH = 600
_NO_BATCH = ("retry", "saved")  # they belong to one
_STOPPED = frozenset({"unsure", "not collected", "not sent"})


@dataclass(frozen=True)
class Batch:
    """A batch of this notebook: its name, its status, whether a variable of that name holds it, and whether
    it is a sandbox's.
    """

    name: str
    status: str
    held: bool
    sandbox: bool

    @property
    def going(self) -> bool:
        """Whether more will come of it by itself; a word of Groq's that nobody knows yet says so."""
        return self.status not in ENDED | _STOPPED


@dataclass(frozen=True)
class Standing:
    """Everything that plain `%groq` says. `key_from` is "" where no key was found; `size` counts bytes.

    `key_fault` and `ledger_fault` say what could not be read; "" where all could.
    """

    badge: str
    at: str = ""
    sandbox: bool = False
    key_from: str = ""
    fingerprint: str = ""
    key_fault: str = ""
    batches: tuple[Batch, ...] = ()
    others: int = 0
    home: str = ""
    size: int = 0
    ledger_fault: str = ""

    @property
    def next(self) -> str:
        """What to type now, the most pressing first."""
        here = [batch for batch in reversed(self.batches) if batch.held]
        lost = [batch for batch in self.batches if not batch.held]
        asks = self.sandbox or bool(self.key_from)
        if going := [batch.name for batch in here if batch.going]:
            return f"%groq wait {going[0]}"
        if any(batch.going and (asks or batch.sandbox) for batch in lost):
            return "%groq attach"
        if not asks:
            return "%groq sandbox, to practise; %groq key, to use Groq"
        if stopped := [batch.name for batch in here if batch.status in _STOPPED]:
            return f"run the cell of {stopped[0]} again"
        if lost:
            return "%groq attach"
        return (
            f"{here[0].name}.to_pandas()" if here else "%%groq_batch answers, and a prompt on each line below"
        )

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What is said, by its subject."""
        rows = (
            ("prompts go to", self._where()),
            ("key", self._key()),
            ("this notebook has", self._has()),
            ("ledger", self._ledger()),
            ("next", self.next),
        )
        return tuple((subject, shortened(said, _WIDTH)) for subject, said in rows)

    def _where(self) -> str:
        return f"{self.badge} ({self.at})" if self.at else self.badge

    def _key(self) -> str:
        found = f"from {self.key_from} (fingerprint {self.fingerprint})"
        if self.key_fault:
            return self.key_fault
        if self.sandbox:
            return f"none needed here; for Groq there is one {found}" if self.key_from else "none needed here"
        if self.key_from:
            return found
        return "none was found: %groq sandbox needs none, %groq key asks for one, a file .env keeps one"

    def _has(self) -> str:
        if self.ledger_fault:
            return self.ledger_fault
        shown = [f"{shortened(b.name, 30)} ({shortened(b.status, 30)})" for b in self.batches[-_SHOWN:]]
        more = len(self.batches) - len(shown)
        said = ", ".join(shown) + (f" and {more:,} older" if more else "") if shown else "no batches yet"
        others = f"; the ledger knows {_batches(self.others)} besides: %groq batches" if self.others else ""
        return f"{said}{others}"

    def _ledger(self) -> str:
        size = "" if self.ledger_fault else f"{human(self.size)}, "
        return f"{size}in {self.home}"

    def text(self) -> str:
        """One line for each subject."""
        width = max(len(subject) for subject, _ in self.rows)
        return "\n".join(f"{subject:<{width}}  {said}" for subject, said in self.rows)

    def html(self) -> str:
        """The same as a small table, in the notebook's own colours."""
        style = "text-align:left;vertical-align:top;color:var(--jp-ui-font-color1,inherit)"
        rows = "".join(
            f'<tr><th scope="row" style="{style};white-space:nowrap">{escape(subject)}</th>'
            f'<td style="{style}">{_marked(subject, said)}</td></tr>'
            for subject, said in self.rows
        )
        return f'<table class="tex2jax_ignore mathjax_ignore"><tbody>{rows}</tbody></table>'

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


def _marked(subject: str, said: str) -> str:
    return f"<code>{escape(said)}</code>" if subject == "next" else escape(said)


def _batches(count: int) -> str:
    return f"{count:,} {'batch' if count == 1 else 'batches'}"


def human(size: int) -> str:
    """Bytes in the unit that people would use: "0 bytes", "12 kB", "3.4 MB"."""
    for unit, in_bytes in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= in_bytes:
            count = size / in_bytes
            return f"{count:,.1f} {unit}" if count < 10 else f"{count:,.0f} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


# --- gathering -----------------------------------------------------------------------------------------


def look(held: Mapping[str, str]) -> Standing:
    """How things stand now; `held` are the variables that hold a batch, each with its job's id."""
    return replace(_with_ledger(_with_key(), held), home=str(ledger.default_home()))


def _with_key() -> Standing:
    """Where prompts go, and with which key."""
    now = Standing("nowhere yet")
    try:
        if (sandbox := services.chosen()) is None:
            now = Standing(keys.keyless().badge)
        else:
            now = Standing(sandbox.badge, at=sandbox.folder or sandbox.base_url, sandbox=True)
        found = keys.find(at_hand=now.sandbox)
        return replace(now, key_from=found.key_from, fingerprint=found.key_fingerprint)
    except KeyMissing:
        return now
    except (GroqMagicError, OSError) as exc:  # a base URL that is none; a folder or a .env that is not read
        return replace(now, key_fault=str(exc))


def _with_ledger(now: Standing, held: Mapping[str, str]) -> Standing:
    """The same with this notebook's batches, those of others, and the ledger's size."""
    try:
        book = ledger.current()
        known = {job.job_id: job for job in book.jobs()}
        found = {entry.name: entry.job for entry in book.named(ledger.notebook())[-_LOOKED:]}
        found |= {name: known[job_id] for name, job_id in held.items() if job_id in known}
        batches = tuple(_batch(name, job, held.get(name) == job.job_id) for name, job in found.items())
        ours = {job.job_id for job in found.values()}
        others = [job for job in known.values() if job.job_id not in ours and job.origin not in _NO_BATCH]
        return replace(now, batches=batches, others=len(others), size=book.whole_size())
    except (LedgerError, OSError) as exc:
        return replace(now, ledger_fault=str(exc))


def _batch(name: str, job: Job, held: bool) -> Batch:
    return Batch(name, listing.status(job), held, job.sandbox)
