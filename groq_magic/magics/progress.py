"""Progress: how many prompts were read, once that takes more than a second; what an interrupt stops."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from IPython.display import display as show

from groq_magic.answers import display

_AFTER_S = 1.0
_EVERY_S = 0.5


@contextmanager
def interrupt(means: Callable[[], str]) -> Iterator[None]:
    """An interrupt in here is shown as one line, which says what it means, in place of our own frames."""
    try:
        yield
    except KeyboardInterrupt as exc:
        said = f"KeyboardInterrupt: {means()}"
        exc._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython's own hook
        raise


class Progress:
    """Told how many prompts were read, it shows that as one line, which stays as a fact at the end.

    A thread shows it, so that a source which is waited for is seen, too: until the end nobody else writes
    here. `live` is whether there is a frontend that can change what it shows; a terminal's line is written
    over.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._handle: Any = None
        self._read, self._shown = 0, False
        self._over = threading.Event()

    def __call__(self, read: int) -> None:
        """So many prompts were read."""
        self._read = max(read, self._read)

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        # In the cell's own context: some kernels else know no cell to show it in.
        watched = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: watched.run(self._watch), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._shown:
            took = time.monotonic() - self._begun
            ended = "Read" if kind is None else "Stopped after"
            count = display.prompts(self._read)
            self._show(f"{ended} {count} in {took:.0f} s.", last=True)

    def _watch(self) -> None:
        pause_s = _AFTER_S
        while not self._over.wait(pause_s):
            pause_s = _EVERY_S
            count = f"Reading prompts: {self._read:,} so far." if self._read else "Waiting for the prompts."
            self._show(f"{count} Nothing is sent yet; an interrupt stops it.")

    def _show(self, said: str, *, last: bool = False) -> None:
        self._shown = True
        if not self._live:
            print(f"\r\x1b[K{said}", end="\n" if last else "", flush=True)  # noqa: T201
        elif self._handle is None:
            self._handle = show({"text/plain": said}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": said}, raw=True)
