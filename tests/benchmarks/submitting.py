"""Submitting: how long a cell takes to return, in an IPython without a kernel and in a real one."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

from tests.benchmarks import made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Prepare, at_most

_LATER = 7


def _cell(run: int, rows: int) -> str:
    """A cell with so many prompts that no other run has."""
    asked = "\n".join(f"{run}: {made.review(number)}" for number in range(rows))
    return f"%%groq_batch answers\n{asked}"


def _in_ipython(rows: int, place: Place) -> Callable[[int], float]:
    """The seconds of the cell of a run, in an IPython of this process with a sandbox in it."""
    os.environ |= {"GROQ_MAGIC_HOME": str(place.own / "home"), "IPYTHONDIR": str(place.own / "ipython")}
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    HistoryManager.enabled = False  # type: ignore[assignment]  # its type is a trait
    shell = InteractiveShell.instance(colors="nocolor")
    silent = place.opened.enter_context((place.own / "said").open("w"))
    sys.stdout, out = silent, sys.stdout
    place.opened.callback(lambda: setattr(sys, "stdout", out))
    for line in ("%load_ext groq_magic", "%groq sandbox"):
        assert shell.run_cell(line).success
    place.opened.callback(_leave)

    def run(number: int) -> float:
        cell = _cell(number, rows)
        began = time.perf_counter()
        result = shell.run_cell(cell)
        seconds = time.perf_counter() - began
        assert result.success
        return seconds

    return run


def _leave() -> None:
    from groq_magic import runs

    runs.leave().result(30)


def _in_kernel(rows: int, place: Place) -> Callable[[int], float]:
    """The same in a kernel: from the request to the reply."""
    from tests.kernel import Kernel

    kernel = place.opened.enter_context(Kernel(sys.executable, place.own / "kernel"))
    assert kernel.run("%load_ext groq_magic\n%groq sandbox").status == "ok"

    def run(number: int) -> float:
        cell = _cell(number, rows)
        began = time.monotonic()
        result = kernel.run(cell)
        assert result.status == "ok", result.errors
        return result.replied_at - began

    return run


def _first(into: Callable[[int, Place], Callable[[int], float]]) -> Prepare:
    """The first cell of a process."""

    def prepare(rows: int, place: Place) -> Act:
        run = into(rows, place)
        return lambda: {"seconds": run(0)}

    return prepare


def _later(into: Callable[[int, Place], Callable[[int], float]]) -> Prepare:
    """The cells after it, while the earlier batches are under way: the middle one."""

    def prepare(rows: int, place: Place) -> Act:
        run = into(rows, place)
        run(0)

        def act() -> Facts:
            found = [run(number + 1) for number in range(_LATER)]
            return {"seconds": statistics.median(found), "fastest_s": min(found), "slowest_s": max(found)}

        return act

    return prepare


def _contest(name: str, into: Callable[[int, Place], Callable[[int], float]]) -> tuple[Contest, ...]:
    size = (1_000,)
    later, first = at_most("s, a later cell", "seconds", 0.15), at_most("s, the first cell", "seconds", 0.4)
    return (
        Contest(f"{name}_first", {"ours": _first(into)}, size, size, (first,), warm=False),
        Contest(f"{name}_later", {"ours": _later(into)}, size, size, (later,), warm=False),
    )


GROUP = Group(
    "submitting",
    "Submitting: a cell with 1,000 prompts to its return, the sandbox in the same process",
    (*_contest("ipython", _in_ipython), *_contest("kernel", _in_kernel)),
)
