"""Notebooks that are run without a browser: what nbclient (and so papermill and nbmake) finds in the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

from tests import markup
from tests.kernel import clean_environment

pytestmark = pytest.mark.kernel

# A batch of two seconds: long enough that the cell returns before its end.
LOAD = "%load_ext groq_magic\nfrom groq_magic import services\nservices.use_sandbox(pace_s=2); None"
PROMPTS = "Name a colour.\nName a fruit."


def executed(
    python: str, home: Path, cells: list[str], monkeypatch: pytest.MonkeyPatch
) -> list[list[nbformat.NotebookNode]]:
    """Runs the cells as a notebook in a kernel of this Python; the outputs of each cell."""
    spec_folder = home / "specs" / "kernels" / "tested"
    spec_folder.mkdir(parents=True)
    spec = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "tested",
        "language": "python",
        "env": clean_environment(home),
    }
    (spec_folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(home / "specs"))
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(
        node, kernel_name="tested", timeout=60, resources={"metadata": {"path": str(home)}}
    ).execute()
    return [cell.outputs for cell in node.cells]


def shown(outputs: list[nbformat.NotebookNode]) -> str:
    """All the HTML that a cell shows."""
    return "\n".join(output.data.get("text/html", "") for output in outputs if "data" in output)


def widgets(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs that need a kernel to be seen."""
    return [o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]


@pytest.mark.parametrize(
    ("cells", "card"),
    [
        pytest.param([LOAD, f"%%groq_batch answers --wait\n{PROMPTS}"], 1, id="--wait"),
        pytest.param([LOAD, f"%%groq_batch answers\n{PROMPTS}", "answers.wait(); None"], 1, id="wait()"),
        pytest.param([LOAD, f"%%groq_batch answers\n{PROMPTS}", "%groq wait answers"], 1, id="%groq wait"),
    ],
)
def test_waiting_returns_with_the_static_card_in_the_file(
    kernel_python: str, tmp_path: Path, cells: list[str], card: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However one waits, the batch's cell then holds the static card, and no widget."""
    outputs = executed(kernel_python, tmp_path, cells, monkeypatch)[card]
    assert "✓ completed" in markup.read(shown(outputs)).text
    assert "opened again" not in shown(outputs)
    assert widgets(outputs) == []


def test_a_batch_under_way_is_exported_as_its_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody waits, the file and its exports have the line that says what to do, and no innards."""
    cells = [LOAD, f"%%groq_batch answers\n{PROMPTS}"]
    outputs = executed(sys.executable, tmp_path, cells, monkeypatch)[1]
    cell = nbformat.v4.new_code_cell("%%groq_batch answers", outputs=outputs)
    for exporter in (HTMLExporter(), MarkdownExporter()):
        page, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
        assert "run this cell to go on" in page
        assert "VBox(" not in page


def test_papermill_leaves_the_static_card_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that papermill runs with --wait holds the end card and no widget; so do its exports."""
    for name, value in clean_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    cells = [nbformat.v4.new_code_cell(cell) for cell in (LOAD, f"%%groq_batch answers --wait\n{PROMPTS}")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "in.ipynb"
    )
    run = [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    outputs = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[1].outputs
    assert "✓ completed" in markup.read(shown(outputs)).text
    assert "completed" in "".join(output.data.get("text/plain", "") for output in outputs)
    assert widgets(outputs) == []
    for exporter in (HTMLExporter(), MarkdownExporter()):
        page, _ = exporter.from_filename(str(tmp_path / "out.ipynb"))
        assert '<script type="application/vnd.jupyter.widget-view+json">' not in page
        assert re.search(r"All \d+ answered\.", page)
