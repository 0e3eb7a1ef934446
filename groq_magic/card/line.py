"""The card as text: a line in a terminal that redraws while somebody waits, or `--plain` in a notebook."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from typing import Any

from IPython.display import display

from groq_magic.answers import Answers
from groq_magic.card import words
from groq_magic.errors import NotSent, StillRunning
from groq_magic.job import NAMELESS, Snapshot

_READ_S = 1.0  # answers that are all here are read before the cell returns, if it takes no longer
_AFRESH = "\r\x1b[K"  # the beginning of the line, and nothing after it


class TerminalLine:
    """One line in a terminal. Nothing is ever printed over a prompt: only on the thread of whoever waits."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._last: Snapshot | None = None
        self._printed = ""
        answers.while_waiting = self.redraw

    def __call__(self, snapshot: Snapshot) -> None:
        """Remembers the snapshot; it is seen when somebody waits."""
        self._last = snapshot

    def begin(self) -> None:
        """Prints how things stand now; where only the answers are still to be read, that is waited for."""
        if self._last is not None and self._last.phase == "collecting":
            with suppress(StillRunning, NotSent):
                self._answers.wait(_READ_S)
        if self._last is None or self._last.done:
            self.redraw()
            return
        name = self._last.name
        how = "" if name == NAMELESS else f" To watch it: %groq wait {name}, or {name}.wait()."
        _print(f"{_AFRESH}{words.text(self._last)}\nIt goes on by itself.{how}")

    def redraw(self) -> None:
        """Prints the line anew if it changed; at the end all there is to say."""
        if self._last is None:
            return
        done = self._last.done
        line = words.text(self._last) if done else words.line(self._last, brief=True)
        if line != self._printed:
            shown = line if done else _fitted(line, shutil.get_terminal_size().columns - 1)
            _print(f"{_AFRESH}{shown}", end="\n" if done else "")
            self._printed = line


def _print(text: str, end: str = "\n") -> None:
    """Prints what the output can encode; a question mark stands for the rest."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end=end, flush=True)  # noqa: T201 (a terminal's card)


def _fitted(line: str, cells: int) -> str:
    """As much of the line as one row of the terminal holds: only that is redrawn in place."""
    from prompt_toolkit.utils import get_cwidth  # it is what IPython's own terminal stands on

    if get_cwidth(line) <= cells:
        return line
    while line and get_cwidth(line) >= cells:
        line = line[:-1]
    return line.rstrip(" ·,") + "…"


class PlainCard:
    """The card as text in a notebook's output, updated in place."""

    def __init__(self) -> None:
        self._handle: Any = display({"text/plain": ""}, raw=True, display_id=True)
        self._drawn = ""

    def __call__(self, snapshot: Snapshot) -> None:
        """Shows the snapshot's text where it changed; at the end once more for whoever waited."""
        text = words.text(snapshot)
        if text != self._drawn or snapshot.done:
            self._drawn = text
            self._handle.update({"text/plain": text}, raw=True)
