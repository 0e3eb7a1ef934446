"""How much memory this process holds, and the most that it has held since it was last asked."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_KB = 1024 if sys.platform != "darwin" else 1  # what ru_maxrss counts in


def settle() -> float:
    """Gives back what is free and forgets the peak so far; the bytes that are held now.

    Where the kernel forgets no peak, what comes back is the highest so far, and growth below it is not seen.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _RESET.write_text("5")  # https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    except OSError:
        return peak()
    return _line("VmRSS")


def peak() -> float:
    """The most bytes that were held at once since `settle`."""
    with suppress(OSError):
        return _line("VmHWM")
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KB)


def how() -> str:
    """By which means it is told."""
    try:
        _RESET.write_text("5")
    except OSError:
        return "ru_maxrss, less what it was before"
    return "VmHWM, reset through clear_refs, less VmRSS before"


def _line(name: str) -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return float(line.split()[1]) * 1024
    raise OSError(f"no {name} in {_STATUS}")
