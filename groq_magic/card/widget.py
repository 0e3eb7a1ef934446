"""The live card in a notebook: a receipt line, the card under it, and at the end one static card.

One writer: the loop's thread draws. Buttons may be called on any thread and only hand a coroutine to the
loop. A widget dies with its kernel and a saved one shows as "model not found"; so at the end both outputs
become plain HTML and text.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine
from html import escape
from typing import Any

import ipywidgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from groq_magic import client, loop
from groq_magic.answers import Answers
from groq_magic.card import picture
from groq_magic.job import Snapshot

_REDRAW_S = 0.5

_ASK = "Cancel this batch? Prompts that are answered by then are paid and kept."
_HINT = "While a cell runs, a click acts when it ends."


class Card:
    """Shows a batch in the cell that makes it, and goes on drawing until its end."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._context = contextvars.copy_context()
        self._lock = threading.RLock()
        self._drawn: dict[str, str] = {}
        self._drawn_at = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._closed = False
        style = ipywidgets.HTML(picture.STYLE)  # by itself, so that it is sent once
        self._head, self._body, self._details, self._spoken = (ipywidgets.HTML() for _ in range(4))
        self._buttons = ipywidgets.HBox([])
        self._box = ipywidgets.VBox(
            [style, self._head, self._body, self._buttons, self._details, self._spoken]
        )
        self._box.add_class("gm-card")
        self._offer()
        self._receipt: Any = display({"text/html": "", "text/plain": ""}, raw=True, display_id=True)
        self._card: Any = display(self._box, display_id=True)

    # --- drawing --------------------------------------------------------------------------------------

    def __call__(self, snapshot: Snapshot) -> None:
        """Draws the snapshot on the loop's thread, at most twice a second; the last at once, on any."""
        if snapshot.done:
            self._in_context(lambda: self._end(snapshot))
            return
        if self._later is not None:
            self._later.cancel()
        wait = self._drawn_at + _REDRAW_S - time.monotonic()
        if wait > 0:
            self._later = asyncio.get_running_loop().call_later(wait, self, snapshot)
            return
        self._drawn_at = time.monotonic()
        self._in_context(lambda: self._draw(snapshot))

    def _draw(self, snapshot: Snapshot) -> None:
        with self._lock:
            if self._closed:
                return
            self._set(self._head, picture.head(snapshot))
            self._set(self._body, picture.body(snapshot))
            self._set(self._details, picture.details(snapshot))
            self._set(self._spoken, picture.announcement(snapshot))
            self._update_receipt(picture.receipt(snapshot), picture.text(snapshot))

    @staticmethod
    def _set(part: ipywidgets.HTML, html: str) -> None:
        """A part that looks as before is left alone, so that what is unfolded in it stays so."""
        if part.value != html:
            part.value = html

    def _update_receipt(self, html: str, text: str) -> None:
        if self._drawn.get("receipt") != html:
            self._drawn["receipt"] = html
            self._receipt.update({"text/html": html, "text/plain": text}, raw=True)

    def _end(self, snapshot: Snapshot) -> None:
        """Both outputs become one static card; said again as often as somebody waited for it."""
        with self._lock:
            if self._later is not None:
                self._later.cancel()
            html, text = picture.static(snapshot), picture.text(snapshot)
            self._receipt.update({"text/html": html, "text/plain": text}, raw=True)
            self._card.update({"text/html": "", "text/plain": ""}, raw=True)
            if not self._closed:
                self._closed = True
                for part in (*self._buttons.children, *self._box.children, self._box):
                    part.close()  # a box leaves its children open

    def _in_context(self, draw: Callable[[], None]) -> None:
        """Runs `draw` where the kernel can send its messages.

        ipykernel 7.0 knows a thread's cell only in that cell's context (a LookupError tells); everywhere
        else a plain thread is right, because clients that run a notebook cell by cell take in only what the
        running cell says.
        """
        kernel = getattr(get_ipython(), "kernel", None)
        try:
            if kernel is not None:
                kernel.get_parent()
        except LookupError:
            self._context.copy().run(draw)
        else:
            draw()

    # --- buttons --------------------------------------------------------------------------------------

    def _offer(self, said: str = _HINT) -> None:
        self._row(
            said,
            self._button("Check now", "ask Groq at once", self._check),
            self._button("Cancel…", "stop this batch; asks once", self._ask),
        )

    def _row(self, said: str, *buttons: ipywidgets.Button) -> None:
        if self._closed:
            return
        hint = ipywidgets.HTML(f'<span class="gm gm-soft" style="font-size:12px">{said}</span>')
        hint.add_class("gm-hint")
        self._buttons.children = (*buttons, hint)

    def _button(
        self, words: str, tooltip: str, act: Callable[[], Coroutine[Any, Any, None]]
    ) -> ipywidgets.Button:
        button = ipywidgets.Button(description=words, tooltip=tooltip, layout={"width": "auto"})
        button.on_click(lambda _: loop.submit(act()))
        return button

    async def _check(self) -> None:
        client.check_now(self._answers)
        self._in_context(lambda: self._offer("Asking now. " + _HINT))

    async def _ask(self) -> None:
        others = escape(self._answers.verbs.shared() or "")
        self._in_context(
            lambda: self._row(
                f"{_ASK} <b>{others}</b>" if others else _ASK,
                self._button("Yes, cancel it", "stop this batch", self._cancel),
                self._button("Keep it", "let it go on", self._keep),
            )
        )

    async def _keep(self) -> None:
        self._in_context(self._offer)

    async def _cancel(self) -> None:
        client.cancel(self._answers)
        self._in_context(lambda: self._row("Cancelling: it may take up to 10 minutes."))
