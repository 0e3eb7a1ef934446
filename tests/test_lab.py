"""The card in JupyterLab, in a real browser: it moves, it ends, it can be read without its kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error

from tests.lab import Lab, Notebook, chromium, wait_until

pytestmark = pytest.mark.browser

WIDGET = "application/vnd.jupyter.widget-view+json"
START = "%load_ext groq_magic\n%groq sandbox"
BATCH = "\n".join(["%%groq_batch answers", *(f"Name {n} colours." for n in range(2, 22))])


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    opened = chromium()
    try:
        started = opened.__enter__()
    except Error as exc:
        pytest.skip(f"no Chromium: {exc.message.splitlines()[0]}")
    try:
        yield started
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A JupyterLab of its own."""
    with Lab(tmp_path) as started:
        yield started


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: GROQ_MAGIC_TEST_PICTURES, or the test's own folder."""
    return Path(os.environ.get("GROQ_MAGIC_TEST_PICTURES") or tmp_path / "pictures")


def test_the_bar_moves_and_the_saved_card_needs_no_kernel(lab: Lab, browser: Browser, pictures: Path) -> None:
    """The bar moves while the next cell sleeps; reopened without a kernel, the end card is there."""
    lab.write("moves.ipynb", [START, BATCH, "import time\ntime.sleep(7)", "answers.wait(); None"])
    page = lab.page(browser)
    notebook = Notebook(page, "moves.ipynb")
    notebook.run(0)
    notebook.run(1)
    card = notebook.outputs(1)
    bar = card.locator("progress").first
    bar.wait_for()
    notebook.start(2)
    notebook.wait_for_kernel("busy")
    seen: set[str | None] = set()

    def moved() -> bool:
        seen.add(bar.get_attribute("value"))
        return len(seen) >= 3

    wait_until(page, moved, timeout=15, what="the bar to move")
    assert notebook.count(2) is None, "the bar must move while the cell is busy"
    notebook.pictures(pictures, "running", card)
    notebook.run(3)
    card.get_by_text("completed").first.wait_for()
    notebook.pictures(pictures, "completed", card)
    notebook.save()
    notebook.shut_down_kernel()
    notebook.close()
    page.close()

    saved = lab.read("moves.ipynb").cells[1].outputs
    assert not [output for output in saved if WIDGET in output.get("data", {})]
    page = lab.page(browser)
    notebook = Notebook(page, "moves.ipynb", kernel=False)
    assert not notebook.has_kernel()
    notebook.outputs(1).get_by_text("completed").first.wait_for()
    assert page.get_by_text(re.compile("model not found|Error displaying widget", re.I)).count() == 0
    notebook.pictures(pictures, "reopened", notebook.outputs(1))


def test_cancel_asks_once_and_ends_the_batch(lab: Lab, browser: Browser, pictures: Path) -> None:
    """With an idle kernel Cancel asks once, and the card then ends as cancelled."""
    lab.write("cancel.ipynb", [START, BATCH, "answers.wait(); print(answers.done)"])
    page = lab.page(browser)
    notebook = Notebook(page, "cancel.ipynb")
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_kernel("idle")
    card = notebook.outputs(1)
    card.get_by_role("button", name=re.compile("^Cancel")).click()
    notebook.pictures(pictures, "asks", card)
    card.get_by_role("button", name=re.compile("^Yes")).click()
    card.get_by_text("cancelled").first.wait_for(timeout=30_000)
    notebook.run(2)
    assert notebook.outputs(2).get_by_text("True", exact=True).count() == 1
    assert card.get_by_role("button").count() == 0
    notebook.pictures(pictures, "cancelled", card)
