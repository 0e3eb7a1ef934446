"""The notebooks play: each runs from top to bottom in a kernel of its own, as with Run All."""

from __future__ import annotations

import ast
import base64
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from html import unescape
from http import HTTPStatus
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests import markup
from tests.kernel import clean_environment

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))
FIRST, TABLES, FITTING = "01_first_batch.ipynb", "02_tables.ipynb", "03_structured_output.ipynb"
UNBOUND = re.compile("--(dry-run|try)")  # with these a cell sends no batch, and has no card
ANNOUNCED = "raises-exception"  # the tag with which Run All goes on after an error

Play = Callable[[str], nbformat.NotebookNode]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What `groq-magic demo` said, and the folder with what it left."""
    home = tmp_path_factory.mktemp("demo")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GROQ_", "JPY_"))}
    done = subprocess.run(
        [sys.executable, "-m", "groq_magic", "demo", "--out", str(home / "out")],
        cwd=home,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, home / "out"


@pytest.fixture(scope="module")
def play(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The notebook of this name as it is after Run All: the first one by the demo, the others by nbclient."""

    @cache
    def played(name: str) -> nbformat.NotebookNode:
        if name == FIRST:
            return nbformat.read(request.getfixturevalue("demo")[1] / name, as_version=4)
        node, home = nbformat.read(FOLDER / name, as_version=4), tmp_path_factory.mktemp("notebook")
        player = NotebookClient(
            node,
            kernel_name="python3",
            timeout=60,
            allow_errors=True,  # which cells may end with one is a test's business
            resources={"metadata": {"path": str(home)}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        return player.execute(env=clean_environment(home))

    return played


def code(node: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The notebook's cells of code."""
    return [cell for cell in node.cells if cell.cell_type == "code"]


def announced(cell: nbformat.NotebookNode) -> bool:
    """Whether the notebook says that this cell ends with an error."""
    return ANNOUNCED in cell.metadata.get("tags", [])


def shown(cell: nbformat.NotebookNode, kind: str) -> list[str]:
    """All that the cell shows in this form."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def printed(cell: nbformat.NotebookNode) -> str:
    """All that the cell prints."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def cells_with(node: nbformat.NotebookNode, text: str) -> list[nbformat.NotebookNode]:
    """The cells of code in which this stands."""
    return [cell for cell in code(node) if text in cell.source]


def frame(cell: nbformat.NotebookNode) -> list[list[str]]:
    """The table that the cell shows, row by row, with its header and its index."""
    rows = re.findall(r"<tr.*?</tr>", shown(cell, "text/html")[0], re.DOTALL)
    return [[unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


# --- every notebook -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_committed_without_outputs(name: str) -> None:
    """A notebook holds only what a person wrote: no outputs, no counts."""
    cells = code(nbformat.read(FOLDER / name, as_version=4))
    assert cells
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize("name", NAMES)
def test_readme_leads_to_every_notebook(name: str) -> None:
    """README has a link to it."""
    assert f"](notebooks/{name})" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_extra_demo_brings_what_a_notebook_imports(name: str) -> None:
    """What a notebook imports is Python's own, groq_magic, or named in the extra `demo`."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {re.split(r"\W", each)[0] for each in extras["optional-dependencies"]["demo"]}
    imported: set[str] = set()
    for cell in code(nbformat.read(FOLDER / name, as_version=4)):
        imported |= set(re.findall(r"^(?:import|from) (\w+)", cell.source, re.MULTILINE))
        imported |= {"matplotlib"} if ".plot." in cell.source else set()  # pandas asks for it
    assert imported
    assert imported - sys.stdlib_module_names - brought == set()


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_run_all_meets_only_the_errors_that_are_announced(name: str, play: Play) -> None:
    """Run All goes to the end; the cells tagged `raises-exception` end with an error, and no other does."""
    cells = code(play(name))
    assert None not in [cell.execution_count for cell in cells]
    failed = [[output for output in cell.outputs if output.output_type == "error"] for cell in cells]
    assert [bool(errors) for errors in failed] == [announced(cell) for cell in cells], failed


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_run_all_meets_no_warning(name: str, play: Play) -> None:
    """No cell writes to stderr, where warnings go."""
    outputs = [output for cell in code(play(name)) for output in cell.outputs]
    assert [output for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_a_played_notebook_needs_no_kernel_to_be_read(name: str, play: Play) -> None:
    """Saved after Run All, each cell that sent something has its static card, and no widget is left."""
    node = play(name)
    outputs = [output for cell in code(node) for output in cell.outputs]
    assert not [o for o in outputs if any("widget" in kind for kind in o.get("data", {}))]
    sent = [cell for cell in cells_with(node, "%%groq_batch") if not UNBOUND.search(cell.source)]
    sent = [cell for cell in sent if not announced(cell)]
    assert sent
    said = [markup.read("".join(shown(cell, "text/html"))).text for cell in sent]
    assert [each.count("✓ completed") for each in said] == [1] * len(sent)


# --- the first one --------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_the_demo_plays_the_first_notebook(demo: tuple[str, Path]) -> None:
    """`groq-magic demo` prints the first answers of both batches, and leaves a page with their two cards."""
    said, out = demo
    assert "<Answers 'answers': 6 prompts, completed: 5 ok, 1 failed>" in said
    count = re.search(r"<Answers 'explained': ([\d,]+) prompts, completed: \1 ok>", said)
    assert count is not None
    assert int(count[1].replace(",", "")) >= 1000
    page = (out / FIRST).with_suffix(".html").read_text(encoding="utf-8")
    assert page.count('class="gm-card ') == 2


# --- tables ---------------------------------------------------------------------------------------------

# The notebook's table, as this Python has it: the kernel is the same Python.
STATUSES = list(HTTPStatus)
ERRORS = [status for status in STATUSES if status >= 400]
UNDESCRIBED = [row for row, status in enumerate(STATUSES) if not status.description]
SOURCE = ["code", "phrase", "description", "Class of Status"]
ADDED = ["answer", "answer_status", "answer_error", "answer_finish", "prompt_tokens", "completion_tokens"]
SAYS = "Sandbox reply, no model was asked: "


@pytest.mark.kernel
def test_missing_values_are_refused_and_then_skipped(play: Play) -> None:
    """The announced error counts the missing values and names rows; with --missing skip the rest is sent."""
    refused, skipping = cells_with(play(TABLES), "%%groq_batch shortened")
    error = refused.outputs[-1].evalue
    assert f"column `description` of `statuses` has {len(UNDESCRIBED)} missing values" in error
    assert f"(rows {', '.join(map(str, UNDESCRIBED[:5]))}, …)" in error
    said = shown(skipping, "text/plain")[0]
    assert f"{len(STATUSES) - len(UNDESCRIBED)} answered · {len(UNDESCRIBED)} skipped" in said


@pytest.mark.kernel
def test_answers_come_back_beside_the_columns_and_under_the_index(play: Play) -> None:
    """The frame has the source's columns, then the answers', and the rows' numbers in the source."""
    node = play(TABLES)
    (columns,) = cells_with(node, "columns.tolist()")
    assert ast.literal_eval(shown(columns, "text/plain")[0]) == [*SOURCE, *ADDED]
    (head,) = cells_with(node, ".head()")
    assert [row[:3] for row in frame(head)[1:]] == [
        [str(STATUSES.index(status)), str(status.value), status.phrase] for status in ERRORS[:5]
    ]
    assert all(row[3].startswith(SAYS) and row[4] == "ok" for row in frame(head)[1:])
    (named,) = cells_with(node, '["I\'m a Teapot"]')
    assert ast.literal_eval(shown(named, "text/plain")[0]).startswith(SAYS)


@pytest.mark.kernel
def test_frames_join_and_group_as_any_others(play: Play) -> None:
    """A join by the index puts each explanation beside its own row; a crosstab counts every row once."""
    node = play(TABLES)
    (joined,) = cells_with(node, ".join(")
    codes, explained = zip(*((row[1], row[-1].startswith(SAYS)) for row in frame(joined)[1:]), strict=True)
    assert codes == ("200", "404", "418", "503")
    assert explained == (False, True, True, True)
    (crossed,) = cells_with(node, "crosstab")
    head, _, *rows = frame(crossed)
    assert head == ["answer_status", "ok", "skipped"]
    assert sum(int(row[1]) for row in rows) == len(STATUSES) - len(UNDESCRIBED)
    assert sum(int(row[2]) for row in rows) == len(UNDESCRIBED)


@pytest.mark.kernel
def test_the_chart_is_there(play: Play) -> None:
    """One cell shows a picture, and it is a PNG of some size."""
    (picture,) = [found for cell in code(play(TABLES)) for found in shown(cell, "image/png")]
    data = base64.b64decode(picture)
    assert data.startswith(b"\x89PNG")
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert width > height > 100


@pytest.mark.kernel
def test_a_table_that_grew_sends_its_new_rows(play: Play) -> None:
    """The first look counts all the errors, the second only two new rows, and so does the card after it."""
    looked, sent, looked_again, sent_again = cells_with(play(TABLES), "%%groq_batch explained")
    many = len(ERRORS)
    assert f"Would send {many} prompts in" in printed(looked)
    assert "were asked before" not in printed(looked)
    assert f"explained · {many} prompts" in shown(sent, "text/plain")[0]
    assert "Would send 2 prompts in" in printed(looked_again)
    assert f" {many} were asked before and are not sent again. Nothing was sent." in printed(looked_again)
    card = shown(sent_again, "text/plain")[0]
    assert re.search(rf"\n.* {many} of them were asked for .* and are not sent again; 2 are\.\n", card)


# --- the third one --------------------------------------------------------------------------------------

LABELS = {"programmer", "user", "administrator"}


@pytest.mark.kernel
def test_three_cells_lead_from_prompts_to_labels_to_a_chart(play: Play) -> None:
    """The cell with a schema, the frame with a column `label`, and the chart follow each other."""
    cells = code(play(FITTING))
    sends = next(at for at, cell in enumerate(cells) if "--schema" in cell.source)
    asked, framed, chart = cells[sends : sends + 3]
    assert all(len(cell.source.splitlines()) <= 5 for cell in (asked, framed, chart))
    header, *rows = frame(framed)
    assert {row[header.index("label")] for row in rows} <= LABELS
    assert base64.b64decode(shown(chart, "image/png")[0]).startswith(b"\x89PNG")
    (counted,) = [cell for cell in cells if cell.source == "who"]
    assert set(re.findall(r'aria-label="(\w+)"', shown(counted, "text/html")[0])) == LABELS


@pytest.mark.kernel
def test_a_record_is_an_instance_and_its_fields_are_columns(play: Play) -> None:
    """`parsed` is of the notebook's own class, and the frame has its fields by name."""
    (instance,) = cells_with(play(FITTING), "advice[0].parsed")
    assert shown(instance, "text/plain")[0].startswith("Advice(cause=")
    (framed,) = cells_with(play(FITTING), "advice.to_pandas()")
    assert frame(framed)[0] == ["", "error", "cause", "severity"]


@pytest.mark.kernel
def test_what_was_tried_is_taken_over_and_what_does_not_fit_is_told(play: Play) -> None:
    """The whole batch reuses the two that `--try` asked; a misfit says where, and keeps its text."""
    whole = next(cell for cell in cells_with(play(FITTING), "%%groq_batch advice") if "--wait" in cell.source)
    assert "2 of them were asked for on" in "".join(shown(whole, "text/html"))
    (told,) = cells_with(play(FITTING), "print(odd[0].status")
    status, error, text = printed(told).splitlines()
    assert (status, "$.severity" in error) == ("failed", True)
    assert text.endswith('"severity": "enormous"}')


@pytest.mark.kernel
def test_the_saved_file_has_the_labels_again(play: Play) -> None:
    """What pandas reads from the file is what the frame had."""
    (framed,) = cells_with(play(FITTING), "labelled[[")
    (read,) = cells_with(play(FITTING), "pd.read_csv")
    header, *rows = frame(read)
    assert header == ["", "error", "label"]
    assert rows == [row[:3] for row in frame(framed)[1:4]]
