"""Measuring: each side in a fresh process of its own, ours and the others in turn, the best of a few."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.contest import Contest, Facts

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
ENOUGH_S = 20.0  # no further round begins after so many seconds on one size
LONGEST_S = 240.0  # what takes longer is said to


@dataclass(frozen=True)
class Measured:
    """The best of each side for so many rows: its fastest round, with the smallest CPU time and peak of all.

    A side that cannot do it has no facts, and stands in `cannot` with its reason.
    """

    rows: int
    rounds: int
    sides: dict[str, Facts]
    cannot: dict[str, str]


def contest(
    group: str,
    each: Contest,
    rows: int,
    rounds: int | None = None,
    pythons: Callable[[str], str] | None = None,
) -> Measured:
    """Measures one size of a contest, in so many rounds or its own.

    `pythons` gives the Python that a side runs in, if not this one.
    """
    python_of = pythons or (lambda side: sys.executable)
    shared = Path(tempfile.mkdtemp(prefix="groq-magic-benchmark-"))
    found: dict[str, list[Facts]] = {side: [] for side in each.sides}
    cannot: dict[str, str] = {}
    began, done = time.monotonic(), 0
    try:
        if each.give:
            _asked(sys.executable, f"{group}.{each.name}.give", rows, shared)
        for _ in range(rounds or each.rounds or ROUNDS):
            for side, facts in found.items():
                if side not in cannot:
                    said = _asked(python_of(side), f"{group}.{each.name}.{side}", rows, shared)
                    if isinstance(said, str):
                        cannot[side] = said
                    else:
                        facts.append(said)
            done += 1
            if time.monotonic() - began > ENOUGH_S:
                break
    finally:
        shutil.rmtree(shared, ignore_errors=True)
    return Measured(rows, done, {side: _best(facts) for side, facts in found.items() if facts}, cannot)


def _best(rounds: Sequence[Facts]) -> Facts:
    best = min(rounds, key=lambda facts: facts["seconds"])
    return {**best, **{name: min(facts[name] for facts in rounds) for name in ("cpu_s", "peak_mb")}}


def _asked(python: str, case: str, rows: int, shared: Path) -> Facts | str:
    """What a fresh process says of one measurement, or why it has none."""
    command = [python, "-m", "tests.benchmarks.one", case, str(rows), "--shared", str(shared)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GROQ_")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    # In a session of its own, so that a sandbox which it has started ends with it.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=shared,
        start_new_session=True,
    )
    try:
        said, wrong = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return f"took over {LONGEST_S:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
    if process.returncode:
        return (wrong.strip().splitlines() or [f"ended with {process.returncode}"])[-1]
    facts: Facts = json.loads(said.splitlines()[-1]) if said else {}
    return facts


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """How seconds grow with rows: the slope of a line through their logarithms, 1 where twice as many take
    twice as long. None for fewer than two points.
    """
    if len(points) < 2:
        return None
    logs = [(math.log(rows), math.log(seconds)) for rows, seconds in points]
    x = sum(rows for rows, _ in logs) / len(logs)
    y = sum(seconds for _, seconds in logs) / len(logs)
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)
