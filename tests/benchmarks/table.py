"""The table: what was measured, as text and as JSON."""

from __future__ import annotations

import datetime
import os
import platform
import textwrap
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks import memory
from tests.benchmarks.contest import Contest, Facts, Group
from tests.benchmarks.measure import Measured, exponent

_LIBRARIES = ("groq_magic", "msgspec", "httpx", "ipython", "ipywidgets", "polars", "pandas", "requests")
_KNOWN = {"rows", "seconds", "cpu_s", "peak_mb", "bytes"}
STEEP = 1.05


def machine() -> dict[str, Any]:
    """Where and when it is measured."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "memory": memory.how(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def heading(about: dict[str, Any]) -> str:
    """The machine in a few lines."""
    libraries = " · ".join(f"{name} {found}" for name, found in about["libraries"].items())
    where = f"{about['cpu']}, {about['cores']} cores, load {about['load']}"
    first = f"{about['date']} · {where} · Python {about['python']} · {about['system']}"
    return f"{first}\n{libraries}\nmemory: {about['memory']}"


def block(each: Contest, measured: Sequence[Measured]) -> str:
    """One contest: a line for each side and size, then how it grows, then the targets."""
    columns = f"{'s':>9}{'CPU s':>9}{'rows/s':>11}{'MB/s':>7}{'peak MB':>9}{'of ours':>9}{'of CPU':>8}"
    lines = [f"{each.name:<15}{'rows':>10}{columns}"]
    for one in measured:
        ours = one.sides.get(next(iter(each.sides)))
        lines += [_line(side, one.rows, facts, ours) for side, facts in one.sides.items()]
        lines += [f"  {side:<10}{one.rows:>10,}  {why}" for side, why in one.cannot.items()]
    lines += _growth(each, measured)
    largest = measured[-1]
    lines += [f"  {_target(target, largest)}" for target in each.targets]
    return "\n".join(lines)


def _line(side: str, rows: int, facts: Facts, ours: Facts | None) -> str:
    seconds, cpu, size = facts["seconds"], facts["cpu_s"], facts.get("bytes", 0.0)
    said = f"  {side:<13}{rows:>10,}{seconds:>9.3f}{cpu:>9.3f}{rows / seconds:>11,.0f}"
    said += f"{size / seconds / 1e6:>7.0f}" if size else f"{'':>7}"
    said += f"{facts['peak_mb']:>9.0f}"
    if ours is not None and ours is not facts:
        said += f"{seconds / ours['seconds']:>7.2f} ×{cpu / max(ours['cpu_s'], 1e-3):>6.2f} ×"
    else:
        said += f"{'':>17}"
    more = [f"{name} {value:,.4g}" for name, value in facts.items() if name not in _KNOWN]
    return f"{said}  {' · '.join(more)}".rstrip()


def slopes(each: Contest, measured: Sequence[Measured]) -> dict[str, float]:
    """How the CPU time of each side grows with the rows, of those that were measured at several sizes."""
    found = {}
    for side in each.sides:
        points = [(float(one.rows), one.sides[side]["cpu_s"]) for one in measured if side in one.sides]
        if (slope := exponent(points)) is not None:
            found[side] = slope
    return found


def _growth(each: Contest, measured: Sequence[Measured]) -> list[str]:
    found = slopes(each, measured)
    if not found:
        return []
    said = [f"{side} {slope:.2f}" for side, slope in found.items()]
    if found.get(next(iter(each.sides)), 0.0) > STEEP:
        said[0] += f" (STEEP: above {STEEP})"
    return [f"  CPU time grows with the power of {', '.join(said)}"]


def _target(target: Any, one: Measured) -> str:
    try:
        value, met = target.value(one.sides), target.met(one.sides)
    except (KeyError, StopIteration):
        return f"? {target.says}: not measured"
    bound = f"at least {target.least:g}" if target.least is not None else f"at most {target.most:g}"
    return f"{'met   ' if met else 'MISSED'} {target.says}: {value:.3g} ({bound}, {one.rows:,} rows)"


def bound(group: Group) -> str:
    """What bounds a group now."""
    return textwrap.fill(group.bound, 108, initial_indent="bound by: ", subsequent_indent="  ")


def as_json(each: Contest, measured: Sequence[Measured]) -> dict[str, Any]:
    """The same for machines."""
    largest = measured[-1]
    targets = []
    for target in each.targets:
        try:
            value, met = target.value(largest.sides), target.met(largest.sides)
        except (KeyError, StopIteration):
            continue
        targets.append(
            {"says": target.says, "value": value, "least": target.least, "most": target.most, "met": met}
        )
    return {
        "contest": each.name,
        "sizes": [
            {"rows": one.rows, "rounds": one.rounds, "sides": one.sides, "cannot": one.cannot}
            for one in measured
        ],
        "grows": slopes(each, measured),
        "targets": targets,
    }
