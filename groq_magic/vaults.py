"""Keys that others keep: the system's keyring, and Colab's secrets, each only where it exists.

Whatever goes wrong with one of them counts as no key there: a cell in Run All is to end with our one line,
not with theirs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module

KEYRING = ("groq_magic", "GROQ_API_KEY")
"""Under which service and user name: `keyring set groq_magic GROQ_API_KEY`."""

_ANSWERED_BY_S = 3.0
_silent = False  # the keyring did not answer in time
_last: dict[str, str] = {}


def kept() -> Iterator[tuple[str, str]]:
    """Where a key is kept, and the key as it lies there. Never raises.

    On the main thread each is asked anew, on others only where it has not told before: the loop is not to
    wait, and Colab answers the main thread alone. A keyring is given three seconds; one that takes longer,
    since it asks somebody to unlock it, is not asked again in this process.
    """
    here = threading.current_thread() is threading.main_thread()
    for where, ask in (("the keyring", _keyring), ("Colab's secrets", _colab)):
        if here or where not in _last:
            _last.pop(where, None)
            with suppress(Exception):
                if (key := ask()) and isinstance(key, str) and key.strip():
                    _last[where] = key.strip()
        if where in _last:
            yield where, _last[where]


def _keyring() -> object:
    """https://keyring.readthedocs.io/en/latest/#api-interface"""
    global _silent
    if _silent:
        return None
    get = import_module("keyring").get_password
    answered, found = _within(_ANSWERED_BY_S, lambda: get(*KEYRING))
    _silent = not answered
    return found


def _colab() -> object:
    """The key sign on the left of https://colab.research.google.com, whose kernels alone have its page.

    The page is asked on the main thread's own channel, which no other thread may use.
    """
    if "google.colab" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return None
    return import_module("google.colab.userdata").get("GROQ_API_KEY")


def _within(seconds: float, ask: Callable[[], object]) -> tuple[bool, object]:
    """Whether it answered in time, an error included, and what it said. What hangs is left behind."""
    said: list[object] = []

    def asked() -> None:
        with suppress(Exception):
            said.append(ask())

    thread = threading.Thread(target=asked, name="groq_magic keyring", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive(), said[0] if said else None
