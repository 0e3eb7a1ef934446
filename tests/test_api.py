"""The Python API: the same without magics, and where IPython is not to be had at all."""

from __future__ import annotations

import inspect
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import groq_magic

ROOT = Path(__file__).resolve().parents[1]

WITHOUT = """
import sys
for name in ("IPython", "ipywidgets", "traitlets", "ipykernel"):
    sys.modules[name] = None  # an import of it is an ImportError, as where it is not installed
import groq_magic
from groq_magic import services
services.use_sandbox(pace_s=0)
answers = groq_magic.submit(["[[echo]]one", "[[fail]] two"], name="mine").wait(60)
print(answers.texts, answers.counts)
print(answers.failed[0].error.code, answers)
moods = groq_magic.submit(
    ["I like it: {}", "I do not: {}"], raw=True, schema="good|bad", seed=1, reasoning="low"
).wait(60)
print(len(moods.parsed), set(moods.parsed) <= {"good", "bad"})
print(groq_magic.attach("mine").texts == answers.texts, len(groq_magic.batches()))
"""


def test_submit_attach_and_batches_work_without_ipython(tmp_path: Path) -> None:
    """A script sends, waits, parses, attaches and lists where IPython and ipywidgets cannot be imported."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GROQ_")}
    env |= {"GROQ_MAGIC_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "['one', None] {'ok': 1, 'failed': 1}",
        "json_validate_failed <Answers 'mine': 2 prompts, completed: 1 ok, 1 failed>",
        "2 True",
        "True 2",
    ]


@pytest.mark.parametrize("name", groq_magic.__all__)
def test_every_name_of_the_package_is_documented_and_typed(name: str) -> None:
    """`help(groq_magic)` lists each public name; each has a docstring, and every argument a type."""
    found = getattr(groq_magic, name)
    assert name in dir(groq_magic)
    assert inspect.getdoc(found)
    assert f"\n    {name}(" in pydoc.plain(pydoc.render_doc(groq_magic)) or inspect.isclass(found)
    if inspect.isfunction(found):
        parts = inspect.signature(found)
        assert parts.return_annotation is not inspect.Signature.empty
        assert [each for each in parts.parameters.values() if each.annotation is each.empty] == []


def test_every_argument_of_submit_is_explained() -> None:
    """The docstring of `submit` names each of its arguments."""
    said = inspect.getdoc(groq_magic.submit) or ""
    names = inspect.signature(groq_magic.submit).parameters
    assert [name for name in names if f"`{name}`" not in said and f"`{name}=" not in said] == []
