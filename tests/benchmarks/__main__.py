"""The whole table: `python -m tests.benchmarks [--quick] [--only NAME …] [--out FILE.json] [--peers]`."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import groups, measure, table


def main() -> None:
    """Measures, prints as it goes, and writes JSON at the end if asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: under two minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="a group, or GROUP.CONTEST")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where the figures go as JSON")
    asked = parser.parse_args()
    about, began = table.machine(), time.monotonic()
    print(table.heading(about), flush=True)
    wanted = asked.only or groups.NAMES
    done = [found for name in groups.NAMES if (found := _group(name, wanted, quick=asked.quick))]
    took = time.monotonic() - began
    print(f"\n{took:.0f} s in all")
    if asked.out:
        whole = {"machine": about, "quick": asked.quick, "seconds": took, "groups": done}
        asked.out.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def _group(name: str, wanted: list[str] | tuple[str, ...], *, quick: bool) -> dict[str, Any] | None:
    """Measures and prints one group, or those of its contests that are wanted."""
    if not any(each == name or each.startswith(f"{name}.") for each in wanted):
        return None
    group, found = groups.group(name), []
    print(f"\n=== {group.title}", flush=True)
    for each in group.contests:
        if name not in wanted and f"{name}.{each.name}" not in wanted:
            continue
        sizes = each.quick if quick else each.sizes
        measured = [measure.contest(name, each, rows, 1 if quick else measure.ROUNDS) for rows in sizes]
        print(f"\n{table.block(each, measured)}", flush=True)
        found.append(table.as_json(each, measured))
    if group.bound:
        print(f"\n{table.bound(group)}")
    return {"group": name, "title": group.title, "bound": group.bound, "contests": found}


if __name__ == "__main__":
    main()
