"""One measurement in this process: `python -m tests.benchmarks.one GROUP.CONTEST.SIDE ROWS`, JSON on stdout.

`--shared FOLDER` names what was made before for all sides; without it, it is made here. With `give` in place
of a side it is only made.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import groups, memory
from tests.benchmarks.contest import Contest, Facts, Place

_WARM = 60


def measured(contest: Contest, side: str, rows: int, shared: Path, own: Path) -> Facts:
    """Seconds, CPU seconds and peak memory (10⁶ bytes above what was held before) of a side's act.

    What the act itself says of these counts instead.
    """
    prepare = contest.sides[side]
    if contest.warm:
        few, mine = own / "warm-shared", own / "warm"
        few.mkdir()
        mine.mkdir()
        if contest.give:
            contest.give(_WARM, few)
        with ExitStack() as opened:
            prepare(_WARM, Place(few, mine, opened))()
    work = own / "work"
    work.mkdir()
    with ExitStack() as opened:
        act = prepare(rows, Place(shared, work, opened))
        before = memory.settle()
        cpu, began = time.process_time(), time.perf_counter()
        said = act()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        held = (memory.peak() - before) / 1e6
    return {"rows": float(rows), "seconds": seconds, "cpu_s": cpu, "peak_mb": held, **said}


def main() -> None:
    """Measures once and prints it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one")
    parser.add_argument("case", metavar="GROUP.CONTEST.SIDE")
    parser.add_argument("rows", type=int)
    parser.add_argument("--shared", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is cleaned up
    group, contest_name, side = asked.case.split(".")
    contest = groups.contest(group, contest_name)
    with tempfile.TemporaryDirectory(prefix="groq-magic-one-", ignore_cleanup_errors=True) as own:
        shared = asked.shared or Path(own)
        if contest.give and (side == "give" or asked.shared is None):
            contest.give(asked.rows, shared)
        if side != "give":
            print(json.dumps(measured(contest, side, asked.rows, shared, Path(own))))


if __name__ == "__main__":
    main()
