"""The live card in a notebook: a receipt line, the card under it, and at the end one static card.

One writer: the loop's thread draws, one part each half second. Buttons may be called on any thread and only
hand a coroutine to the loop. A widget dies with its kernel and a saved one shows as "model not found"; so at
the end both outputs become plain HTML and text. The widget itself then holds the same, for a page that was
closed meanwhile and is opened again while the kernel lives.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from groq_magic import client, loop
from groq_magic.answers import Answers
from groq_magic.card import picture, words
from groq_magic.card.style import STYLE
from groq_magic.job import Snapshot

log = logging.getLogger("groq_magic")

_EVERY_S = 0.5  # between two messages of a card: at most two a second
_SHARE_S = 0.02  # and no more than fifty a second of all cards together
_TWICE_S = 0.5  # a second click this soon after the first is the same one

_ASK = "Cancel this batch? Prompts that are answered by then are paid and kept."
_CANCELLING = "Cancelling. What is answered by then is paid and kept."
_HINT = "While any cell is running, a click waits for its end."
_CHECK, _CANCEL, _YES, _KEEP = "Check now", "Cancel…", "Yes, cancel it", "Keep it"
_TOLD = {
    _CHECK: "ask at once how it stands",
    _CANCEL: "stop this batch; asks once",
    _YES: "stop this batch",
    _KEEP: "let it go on",
}

_live: weakref.WeakSet[Card] = weakref.WeakSet()


class Card:
    """Shows a batch in the cell that makes it, and goes on drawing until its end."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._context = contextvars.copy_context()
        self._lock = threading.RLock()
        self._last: Snapshot | None = None
        self._drawn: dict[str, str] = {}
        self._waiting: dict[str, str] = {}  # parts that are to be drawn, the first one next
        self._next: asyncio.TimerHandle | None = None
        self._state: tuple[object, ...] = ()  # what the main part was last drawn for
        self._sent_at = 0.0
        self._closed = False
        self._asking_since: float | None = None  # Check now was clicked, and nothing was heard yet
        self._clicked_at = 0.0
        self._parts = {name: ipywidgets.HTML() for name in ("main", "spoken", "found", "details")}
        self._parts["hint"] = ipywidgets.HTML(_hint(_HINT))
        self._parts["hint"].add_class("gm-hint")
        # "Cancel…" becomes "Keep it", where the focus stays. "Yes" is a button of its own: a click on another
        # that waited for a cell to end must not be taken for it.
        self._check, self._right, self._yes = (
            ipywidgets.Button(description=what, tooltip=_TOLD[what], layout={"width": "auto"})
            for what in (_CHECK, _CANCEL, _YES)
        )
        for button in (self._check, self._right, self._yes):
            button.on_click(self._clicked)
        self._offered = "offer"  # then "sure", whether it is meant; "over", where it is cancelled; "left"
        self._yes.layout.display = "none"
        self._buttons = ipywidgets.HBox([self._yes, self._check, self._right, self._parts["hint"]])
        shown = [self._parts[name] for name in ("main", "found", "details", "spoken")]
        shown.insert(1, self._buttons)
        self._style = ipywidgets.HTML(STYLE)  # by itself, so that it is sent once
        self._box = ipywidgets.VBox([self._style, *shown])
        self._box.add_class("gm-card")
        _live.add(self)
        self._receipt: Any = display({"text/html": "", "text/plain": ""}, raw=True, display_id=True)
        shown_as = self._box._repr_mimebundle_() | {"text/plain": ""}  # or exports show its innards
        self._card: Any = display(shown_as, raw=True, display_id=True)

    # --- drawing --------------------------------------------------------------------------------------

    def __call__(self, snapshot: Snapshot) -> None:
        """Draws the snapshot on the loop's thread, a part each half second; the last at once, on any."""
        if snapshot.done:
            self._in_context(lambda: self._end(snapshot))
        elif not self._closed:
            self._in_context(lambda: self._hear(snapshot))
            if self._last is None or _tells_more(self._last, snapshot):
                self._last = snapshot
                self._draw_soon()

    def _draw_soon(self) -> None:
        if self._next is not None:
            return
        wait = self._sent_at + max(_EVERY_S, _SHARE_S * len(_live)) - time.monotonic()
        if wait <= 0:
            self._in_context(self._draw)
        else:
            self._next = asyncio.get_running_loop().call_later(wait, self._in_turn)

    def _in_turn(self) -> None:
        self._next = None
        self._in_context(self._draw)

    def _draw(self) -> None:
        """Sends the part that has waited longest of those that look otherwise now; at first all of them.

        A part that looks as before is left alone, so that what is unfolded in it stays so.
        """
        with self._lock:
            if self._closed or self._last is None:
                return
            s, first = self._last, not self._drawn
            wanted = {name: of(s) for name, of in _PARTS.items()}
            turns = [*(name for name in wanted if first or name not in self._drawn), *self._drawn]
            stale = [name for name in turns if self._drawn.get(name) != wanted[name]]
            if self._state != (state := (s.phase, s.status, s.cancelling)) and "main" in stale:
                self._state = state  # it must not say for seconds what the others no longer say
                stale.remove("main")
                stale.insert(0, "main")
            for name in stale if first else stale[:1]:
                self._drawn.pop(name, None)
                self._drawn[name] = wanted[name]  # the last one now
                self._send(name, wanted[name], s)
                self._sent_at = time.monotonic()
        if len(stale) > 1 and not first:
            self._draw_soon()

    def _send(self, name: str, html: str, s: Snapshot) -> None:
        if name == "receipt":
            self._receipt.update({"text/html": html, "text/plain": words.line(s)}, raw=True)
        else:
            self._parts[name].value = html

    def _end(self, snapshot: Snapshot) -> None:
        """Both outputs become one static card; said again as often as somebody waited for it."""
        with self._lock:
            html, text = picture.static(snapshot), words.text(snapshot)
            self._receipt.update({"text/html": html, "text/plain": text}, raw=True)
            self._card.update({"text/html": "", "text/plain": ""}, raw=True)
            if not self._closed:
                self._closed = True
                _live.discard(self)
                self._parts["spoken"].value = picture.announcement(snapshot)
                kept = self._parts["main"]
                kept.value = html
                self._box.remove_class("gm-card")
                self._box.children = (kept,)
                rest = [part for part in self._parts.values() if part is not kept]
                for part in (self._style, self._check, self._right, self._yes, self._buttons, *rest):
                    for each in (part, part.layout, getattr(part, "style", None)):
                        if each is not None:
                            each.close()

    def leave(self) -> None:
        """Draws no more, and says so."""
        self._show("left", "No longer watched: %groq attach takes it up again.")
        with self._lock:
            self._closed = True
            _live.discard(self)

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

    def _show(self, offered: str, said: str) -> None:
        """Which buttons there are now, and what stands beside them."""
        with self._lock:
            if self._closed:
                return
            self._parts["hint"].value = _hint(said)
            if offered != self._offered:
                self._offered = offered
                right = _KEEP if offered == "sure" else _CANCEL
                self._right.description, self._right.tooltip = right, _TOLD[right]
                # Hidden, not taken away: what is drawn anew loses the focus. So does what is hidden: "Yes"
                # is "Check now" from then on.
                meant = offered == "over" and not self._yes.layout.display
                self._yes.description = _CHECK if meant else _YES
                self._yes.tooltip = _TOLD[self._yes.description]
                self._check.layout.display = None if offered in ("offer", "over") and not meant else "none"
                self._yes.layout.display = None if offered == "sure" or meant else "none"
                self._right.layout.display = None if offered in ("offer", "sure") else "none"

    def _hear(self, s: Snapshot) -> None:
        """Says what came of a click, here or on another card of this batch."""
        if s.cancelling:
            if self._offered != "over":
                self._show("over", _CANCELLING)
        elif self._asking_since is not None and self._offered == "offer":
            if (s.checked_at or 0) >= self._asking_since:
                at = time.strftime("%H:%M:%S", time.localtime(s.checked_at))
                self._asking_since = None
                self._show("offer", f"Asked at {at}. {_HINT}")
            elif s.trouble:
                self._show("offer", f"Asked; no answer yet. {_HINT}")

    def _clicked(self, button: ipywidgets.Button) -> None:
        """Hands a click, on whatever thread it came, to the loop."""
        loop.submit(self._act(button))

    async def _act(self, button: ipywidgets.Button) -> None:
        """What the button says, once: a click right after another is a double click, or one that waited for
        the running cell to end and was meant for what stood there before.
        """
        if self._closed or time.monotonic() - self._clicked_at < _TWICE_S:
            return
        self._clicked_at = time.monotonic()
        try:
            await self._do(button)
        except Exception as exc:
            log.warning("groq_magic: a button could not do what it says", exc_info=True)
            said = f"That did not work: {escape(str(exc))}"
            self._in_context(lambda: self._show("offer", said))

    async def _do(self, button: ipywidgets.Button) -> None:
        def show(offered: str, said: str) -> None:
            self._in_context(lambda: self._show(offered, said))

        if button is self._check or (button is self._yes and self._offered == "over"):
            self._asking_since = time.time()
            if self._offered == "offer":
                show("offer", f"Asking now. {_HINT}")
            await asyncio.wrap_future(client.check_now(self._answers))
        elif button is self._yes and self._offered == "sure":
            show("over", _CANCELLING)
            await asyncio.wrap_future(client.cancel(self._answers))
        elif button is self._right and self._offered == "sure":
            show("offer", _HINT)
        elif button is self._right and self._offered == "offer":
            others = escape(self._answers.verbs.shared() or "")
            show("sure", f"{_ASK} <b>{others}</b>" if others else _ASK)


def leave() -> None:
    """Ends the drawing of all cards, as nobody watches their batches any more. From any thread."""
    for card in _live.copy():
        card.leave()


_PARTS: dict[str, Callable[[Snapshot], str]] = {
    "main": picture.main,
    "spoken": picture.announcement,
    "found": picture.found,
    "receipt": picture.receipt,
    "details": picture.details,
}


def _hint(said: str) -> str:
    return f'<span class="gm gm-soft" style="font-size:12px">{said}</span>'


def _tells_more(before: Snapshot, now: Snapshot) -> bool:
    """Whether anything has changed but the time, which is told by the minute."""
    same_time = replace(now, now=before.now, checked_at=before.checked_at)
    return same_time != before or now.now // 60 != before.now // 60
