"""Starting: what `%load_ext groq_magic` and `import groq_magic` take, and how many modules they bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Prepare, Sides, Target

_TIMED = """
import json, sys, time
{before}
modules, began, cpu = len(sys.modules), time.perf_counter(), time.process_time()
{timed}
took = time.perf_counter() - began, time.process_time() - cpu
print(json.dumps(dict(seconds=took[0], cpu_s=took[1], modules=len(sys.modules) - modules)))
"""
_SHELL = """
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
HistoryManager.enabled = False
shell = InteractiveShell.instance(colors="nocolor")
"""
_LOAD = "assert shell.run_line_magic('load_ext', 'groq_magic') is None"


def _timed(timed: str, before: str = "") -> Prepare:
    """A piece of Python in a process of its own, timed there."""

    def prepare(rows: int, place: Place) -> Act:
        own = {"GROQ_MAGIC_HOME": str(place.own / "home"), "IPYTHONDIR": str(place.own / "ipython")}
        command = [sys.executable, "-c", _TIMED.format(before=before, timed=timed)]

        def act() -> Facts:
            said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | own)
            facts: Facts = json.loads(said.stdout.splitlines()[-1])
            return facts

        return act

    return prepare


def _bare(statement: str) -> Prepare:
    """A whole process from its start to its end; how many modules it holds at the end."""
    counted = f"import sys\n{statement}\nprint(len(sys.modules))"

    def prepare(rows: int, place: Place) -> Act:
        def act() -> Facts:
            command = [sys.executable, "-c", counted]
            before = os.times()
            said = subprocess.run(command, capture_output=True, text=True, check=True)
            after = os.times()
            spent = after.children_user + after.children_system
            spent -= before.children_user + before.children_system
            return {"modules": float(said.stdout), "cpu_s": spent}

        return act

    return prepare


def _over(other: str, most_s: float) -> Target:
    def more(sides: Sides) -> float:
        return sides["ours"]["seconds"] - sides[other]["seconds"]

    return Target(f"s more than {other}", more, most=most_s)


def _contest(name: str, ours: Prepare, other: str, than: Prepare, most_s: float) -> Contest:
    sides, once = {"ours": ours, other: than}, (1,)
    return Contest(name, sides, once, once, (_over(other, most_s),), warm=False, rounds=10)


GROUP = Group(
    "starting",
    "Starting: the best of ten processes each",
    (
        _contest("load_ext", _timed(_LOAD, _SHELL), "ipywidgets", _timed("import ipywidgets", _SHELL), 0.1),
        _contest("import", _bare("import groq_magic"), "python", _bare("pass"), 0.06),
    ),
)
