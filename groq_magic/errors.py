"""Every error that groq_magic raises, in one tree.

::

    GroqMagicError          what happened, where, and what to type next; a key in the text is blacked out
    ├── InputError          what was typed or passed cannot be sent (also a ValueError)
    ├── KeyMissing          no Groq key was found in any of the places we look
    ├── StillRunning        this answer, or the whole, is not there yet
    ├── NotSent             the batch could not be sent at all; nothing was paid
    ├── LedgerError         the ledger on disk cannot be read or written
    └── ApiError            the service did not do what was asked
        ├── Refused         it answered with an HTTP error: the request was not carried out
        └── NoReply         no usable answer came; `maybe_done` says whether it may have been carried out
            └── TooLarge    it was longer than any answer can be
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KEY = re.compile(r"gsk_[A-Za-z0-9_\-]+")


_in_use: set[str] = set()


def keep_secret(key: str) -> None:
    """From now on this key, whatever it looks like, is blacked out wherever `redact` is asked."""
    if len(key) >= 6:  # a shorter one would black out ordinary words
        _in_use.add(key)


def redact(text: str) -> str:
    """The text with every key in use, and everything that looks like a Groq key, blacked out."""
    for key in _in_use:  # with what follows: a longer key may begin like it
        text = re.sub(re.escape(key) + r"[A-Za-z0-9_\-]*", "gsk_…", text)
    return _KEY.sub("gsk_…", text)


class GroqMagicError(Exception):
    """The root. Its message says what happened, where, and what to type next, and never holds a key."""

    def __init__(self, message: str) -> None:
        # What is named in it comes from anywhere: an escape sequence would act, a line end would part the
        # line, and half a character could not be shown at all.
        shown = _CONTROL.sub(" ", message).encode("utf-8", "replace").decode()
        self.message = redact(shown)
        super().__init__(self.message)


class InputError(GroqMagicError, ValueError):
    """What was typed or passed cannot be sent. Nothing was sent and no variable was touched."""


class KeyMissing(GroqMagicError):
    """No Groq key was found. The message names the ways to give one."""


class StillRunning(GroqMagicError):
    """A text or a frame was asked for before it came. The message says how far things are."""


class NotSent(GroqMagicError):
    """The batch could not be sent at all, so there are no answers and nothing was paid."""


class LedgerError(GroqMagicError):
    """The ledger on disk cannot be read or written."""


class ApiError(GroqMagicError):
    """The service did not do what was asked."""


class Refused(ApiError):
    """The service answered with an HTTP error status: the request was certainly seen.

    `status` is the HTTP status, `code` Groq's word for it (or ""), `retry_after_s` what the service
    asked us to wait, in seconds, or None; `body` is the reply as it came, no more than its beginning, and
    `request_id` what the service calls the request. https://console.groq.com/docs/errors
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after_s: float | None = None,
        *,
        body: bytes = b"",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.body, self.request_id = body, request_id
        self.status = status
        self.code = redact(code)
        self.retry_after_s = retry_after_s


class NoReply(ApiError):
    """No usable answer came. `maybe_done` is False only where the request surely never left."""

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class TooLarge(NoReply):
    """An answer came that is longer than any can be. The request was carried out."""
