"""The whole table: `python -m tests.benchmarks [--quick] [--only NAME …] [--out FILE.json] [--peers]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import groups, measure, table
from tests.benchmarks.venvs import environments


def main() -> None:
    """Measures, prints as it goes, and writes JSON at the end if asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: under two minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="a group, or GROUP.CONTEST")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where the figures go as JSON")
    parser.add_argument("--peers", action="store_true", help="other packages, too; they are installed first")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is cleaned up
    about, began = table.machine(), time.monotonic()
    print(table.heading(about), flush=True)
    wanted = asked.only or (() if asked.peers else groups.NAMES)
    done = [found for name in groups.NAMES for found in _group(name, wanted, quick=asked.quick)]
    if asked.peers:
        from tests.benchmarks.peers import PACKAGES

        with environments(PACKAGES) as pythons:
            done += _group(groups.PEERS, [groups.PEERS], quick=asked.quick, pythons=pythons)
    took = time.monotonic() - began
    print(f"\n{took:.0f} s in all")
    if asked.out:
        whole = {"machine": about, "quick": asked.quick, "seconds": took, "groups": done}
        asked.out.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def _group(
    name: str, wanted: Sequence[str], *, quick: bool, pythons: Callable[[str], str] | None = None
) -> list[dict[str, Any]]:
    """Measures and prints one group, or those of its contests that are wanted; nothing where none is."""
    if not any(each == name or each.startswith(f"{name}.") for each in wanted):
        return []
    group, found = groups.group(name), []
    print(f"\n=== {group.title}", flush=True)
    for each in group.contests:
        if name not in wanted and f"{name}.{each.name}" not in wanted:
            continue
        sizes = each.quick if quick else each.sizes
        if not sizes:
            continue
        measured = [
            measure.contest(name, each, rows, 1 if quick else measure.ROUNDS, pythons) for rows in sizes
        ]
        print(f"\n{table.block(each, measured)}", flush=True)
        found.append(table.as_json(each, measured))
    if group.bound:
        print(f"\n{table.bound(group)}")
    return [{"group": name, "title": group.title, "bound": group.bound, "contests": found}]


if __name__ == "__main__":
    main()
