"""Groq's ids: a prefix, then a ULID in lower-case Crockford base32."""

from __future__ import annotations

import secrets
import threading

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def time_part(at: float) -> str:
    """The ten characters that stand for a time in epoch seconds; any 16 hex digits after them make a ULID."""
    return _base32(int(at * 1000), 10)


class Ids:
    """Makes ids that sort by the order in which they were made, also within one millisecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (0, 0)

    def new(self, prefix: str, at: float) -> str:
        """An id never given before, made at `at` epoch seconds."""
        with self._lock:
            moment, salt = int(at * 1000), secrets.randbits(79)
            if moment <= self._last[0]:
                moment, salt = self._last[0], self._last[1] + 1
            self._last = (moment, salt)
        return prefix + _base32(moment, 10) + _base32(salt, 16)


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
