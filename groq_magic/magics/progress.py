"""Progress: how many prompts were read, once that takes more than a second; what an interrupt stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from IPython.display import display

_AFTER_S = 1.0
_EVERY_S = 0.5


@contextmanager
def interrupt(means: str) -> Iterator[None]:
    """An interrupt in here is shown as one line, which says what it means, in place of our own frames."""
    try:
        yield
    except KeyboardInterrupt as exc:
        exc._render_traceback_ = lambda: [f"KeyboardInterrupt: {means}"]  # type: ignore[attr-defined]  # IPython's hook
        raise


class Progress:
    """Told how many prompts were read, it shows that as one line, which stays as a fact at the end.

    `live` is whether there is a frontend that can change what it shows; a terminal's line is overwritten.
    """

    def __init__(self, *, live: bool) -> None:
        self._live, self._shown = live, False
        self._handle: Any = None
        self._begun = time.monotonic()
        self._shown_at = self._begun + _AFTER_S - _EVERY_S
        self._read = 0

    def __call__(self, read: int) -> None:
        """So many prompts were read."""
        self._read = max(read, self._read)
        if (now := time.monotonic()) - self._shown_at > _EVERY_S:
            self._shown_at = now
            self._show(f"Reading prompts: {self._read:,} so far. Nothing is sent yet; an interrupt stops it.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._shown:
            took = time.monotonic() - self._begun
            ended = "Read" if kind is None else "Stopped after"
            self._show(f"{ended} {self._read:,} prompts in {took:.0f} s.", last=True)

    def _show(self, said: str, *, last: bool = False) -> None:
        self._shown = True
        if not self._live:
            print(f"\r\x1b[K{said}", end="\n" if last else "", flush=True)  # noqa: T201
        elif self._handle is None:
            self._handle = display({"text/plain": said}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": said}, raw=True)
