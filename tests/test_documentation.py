"""The pages tell the truth: README's blocks run, its tables are generated, the notebook plays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from groq_magic.magics import options
from groq_magic.prompts.kinds import sources_markdown
from groq_magic.sandbox import faults
from tests.kernel import Kernel

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """README's blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_shell_lines_are_the_two_commands() -> None:
    """README begins with the command that shows it and the command that tests it, and has no third."""
    assert README.count("\npip install -e ") == 2
    assert blocks("sh")[0].splitlines() == [
        'pip install -e ".[demo]" && groq-magic demo',
        'pip install -e ".[test]" && pytest',
    ]


def test_readme_holds_the_table_of_options() -> None:
    """README's options are those of the one table."""
    found = re.search(r"<!-- options -->\n(.*)<!-- /options -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == options.options_markdown().strip()


def test_readme_holds_the_table_of_sources() -> None:
    """README's sources are those of the one table."""
    found = re.search(r"<!-- sources -->\n(.*)<!-- /sources -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == sources_markdown()


def test_readme_holds_the_tables_of_faults() -> None:
    """README's marks and faults are those of the sandbox's one table."""
    tables = {
        "marks": [f"| `{mark}` | {says} |" for mark, says in faults.MARKS.items()],
        "faults": [f"| `{name}` | `{on}` | {says} |" for name, (on, says) in faults.REQUESTS.items()],
    }
    for name, rows in tables.items():
        found = re.search(rf"<!-- {name} -->\n(.*)<!-- /{name} -->", README, re.DOTALL)
        assert found is not None
        assert found[1].splitlines()[2:] == rows


def test_every_option_and_verb_of_readme_exists() -> None:
    """README names no option and no verb that cannot be typed."""
    flags = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(re.findall(r"%%?groq_batch[^`\n]*", README)))
    )
    assert flags <= {option.flag for option in options.OPTIONS}
    verbs = set(re.findall(r"%groq (\w+)", README))
    assert verbs == {verb.name for verb in options.VERBS}


def test_every_picture_of_readme_is_there() -> None:
    """README's pictures are files of the project."""
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


@pytest.mark.kernel
def test_the_blocks_of_readme_run(tmp_path: Path) -> None:
    """README's cells, one after the other in a kernel, all run, and what they promise holds."""
    with Kernel(sys.executable, tmp_path) as kernel:
        for cell in blocks("python"):
            result = kernel.run(cell)
            assert result.status == "ok", (cell, result.outputs)
        checks = "labels.wait(); print(answers.counts, labels['r2'].prompt, answers.failed)"
        assert kernel.run(checks).stdout == (
            "{'ok': 2} Is this review positive or negative? One word.\n\n"
            "The {blue} one is not blue. (2 stars) <Answers 'answers': 0 prompts, completed>\n"
        )


@pytest.mark.kernel
def test_the_demo_plays_the_notebook(tmp_path: Path) -> None:
    """`groq-magic demo` leaves the executed notebook and a page, with static cards and no dead widget."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GROQ_", "JPY_"))}
    done = subprocess.run(
        [sys.executable, "-m", "groq_magic", "demo", "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<Answers 'answers': 6 prompts, completed: 5 ok, 1 failed>" in done.stdout
    count = re.search(r"<Answers 'explained': ([\d,]+) prompts, completed: \1 ok>", done.stdout)
    assert count is not None
    assert int(count[1].replace(",", "")) >= 1000
    played = nbformat.read(tmp_path / "out" / "01_first_batch.ipynb", as_version=4)
    outputs = [output for cell in played.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    shown = [output["data"] for output in outputs if output.output_type == "display_data"]
    assert not [data for data in shown if any("widget" in kind for kind in data)]
    assert sum("completed" in data.get("text/html", "") for data in shown) == 2
    page = (tmp_path / "out" / "01_first_batch.html").read_text(encoding="utf-8")
    assert page.count('class="gm-card ') == 2


def test_the_notebook_is_committed_without_outputs() -> None:
    """The first notebook holds only what a person wrote: no outputs, no counts."""
    cells = nbformat.read(ROOT / "notebooks" / "01_first_batch.ipynb", as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []
