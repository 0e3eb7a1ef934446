"""The card in JupyterLab, in a real browser: it moves, it ends, it can be read without its kernel."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.lab import Lab, Notebook, wait_until

pytestmark = pytest.mark.browser

WIDGET = "application/vnd.jupyter.widget-view+json"
START = "%load_ext groq_magic\n%groq sandbox"
BROKEN = re.compile("model not found|Error displaying widget", re.I)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab of its own."""
    with Lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture(scope="module")
def page(lab: Lab, browser: Browser) -> Iterator[Page]:
    """JupyterLab in a browser; each test opens a notebook of its own in it."""
    opened = lab.page(browser)
    yield opened
    opened.close()


def batch(what: str) -> str:
    """A cell with twenty prompts that no other cell has."""
    return "\n".join(["%%groq_batch answers", *(f"Name {n} {what}." for n in range(2, 22))])


def test_the_bar_moves_and_the_saved_card_needs_no_kernel(lab: Lab, page: Page, pictures: Path) -> None:
    """The bar moves while the next cell sleeps; reopened without a kernel, the end card is there."""
    lab.write("moves.ipynb", [START, batch("colours"), "import time\ntime.sleep(7)", "answers.wait(); None"])
    with Notebook(page, "moves.ipynb") as notebook:
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

    saved = lab.read("moves.ipynb").cells[1].outputs
    assert not [output for output in saved if WIDGET in output.get("data", {})]
    with Notebook(page, "moves.ipynb", kernel=False) as notebook:
        assert not notebook.has_kernel()
        notebook.outputs(1).get_by_text("completed").first.wait_for()
        assert page.get_by_text(BROKEN).count() == 0
        notebook.pictures(pictures, "reopened", notebook.outputs(1))


def test_cancel_asks_once_and_ends_the_batch(lab: Lab, page: Page, pictures: Path) -> None:
    """With an idle kernel Cancel asks once, and the card then ends as cancelled."""
    lab.write("cancel.ipynb", [START, batch("animals"), "answers.wait(); print(answers.done)"])
    with Notebook(page, "cancel.ipynb") as notebook:
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


def focused(page: Page, what: str) -> object:
    """Something of the element that has the keyboard's focus."""
    return page.evaluate(f"() => {{ const at = document.activeElement; return {what}; }}")


def test_the_card_works_by_keyboard_alone(lab: Lab, page: Page) -> None:
    """Tab reaches each control in order and shows where it is; Cancel leaves the focus on Keep it."""
    lab.write("keyboard.ipynb", [START, batch("fruits")])
    with Notebook(page, "keyboard.ipynb") as notebook:
        notebook.run(0)
        notebook.run(1)
        card = notebook.outputs(1)
        card.get_by_role("button").first.wait_for()
        card.locator(".gm-card").evaluate("card => { card.tabIndex = -1; card.focus(); }")
        reached = []
        for _ in range(4):
            page.keyboard.press("Tab")
            reached.append(focused(page, "at.textContent.trim()"))
            assert focused(page, "getComputedStyle(at).outlineStyle") == "solid"
        assert reached == ["Check now", "Cancel…", "ids", "first prompt"]
        page.keyboard.press("Enter")
        assert focused(page, "at.parentElement.open") is True
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        card.get_by_role("button", name="Yes, cancel it").wait_for()
        assert focused(page, "at.textContent.trim()") == "Keep it"
        assert card.locator("details[open] pre").inner_text() == "Name 2 fruits."
        page.keyboard.press("Shift+Tab")
        page.wait_for_timeout(600)  # what comes right after another click is taken for a part of it
        page.keyboard.press("Space")
        card.get_by_role("button", name="Check now").wait_for()
        assert focused(page, "at.textContent.trim()") == "Check now"
        card.get_by_text("cancelled").first.wait_for(timeout=30_000)


_LAST = "SELECT state FROM shards WHERE job_id = (SELECT job_id FROM jobs ORDER BY created_at DESC LIMIT 1)"


def last_is_collected(lab: Lab) -> bool:
    """Whether the last batch that this server's kernels have sent has come to its end."""
    with closing(sqlite3.connect(lab.home / "groq_magic" / "ledger.sqlite")) as ledger:
        return {state for (state,) in ledger.execute(_LAST)} == {"collected"}


def test_a_page_that_missed_the_end_shows_it_when_it_is_opened_again(lab: Lab, page: Page) -> None:
    """Saved and closed in mid-batch, opened when all is done, the notebook has the end card."""
    lab.write("closed.ipynb", [START, batch("rivers"), "answers.wait(); print(len(answers.texts))"])
    notebook = Notebook(page, "closed.ipynb")
    notebook.run(0)
    notebook.run(1)
    notebook.outputs(1).get_by_role("button").first.wait_for()
    notebook.save()
    notebook.close()
    wait_until(page, lambda: last_is_collected(lab), what="the end that nobody sees")
    with Notebook(page, "closed.ipynb") as notebook:
        card = notebook.outputs(1).locator(".gm-card")
        card.get_by_text("All 20 answered.").wait_for(timeout=20_000)
        assert card.count() == 1
        assert not notebook.outputs(1).locator(".gm-receipt").is_visible()
        assert page.get_by_text(BROKEN).count() == 0
        notebook.run(2)
        assert notebook.outputs(2).get_by_text("20", exact=True).count() == 1


def test_the_receipt_is_seen_only_without_its_card(lab: Lab, page: Page) -> None:
    """Opened without a kernel in mid-batch, the cell says what to do; beside its card it is silent."""
    lab.write("receipt.ipynb", [START, batch("seas"), "answers.cancel()"])
    with Notebook(page, "receipt.ipynb") as notebook:
        notebook.run(0)
        notebook.run(1)
        notebook.outputs(1).get_by_role("button").first.wait_for()
        receipt = notebook.outputs(1).locator(".gm-receipt")
        assert (receipt.count(), receipt.is_visible()) == (1, False)
        notebook.save()
        notebook.run(2)
    with Notebook(page, "receipt.ipynb", kernel=False) as notebook:
        receipt = notebook.outputs(1).locator(".gm-receipt")
        receipt.wait_for()
        assert "run this cell to go on" in receipt.inner_text()


def test_two_cards_of_one_batch_end_alike(lab: Lab, page: Page) -> None:
    """Attached under a second name and run again, a batch has one card in each cell, and one end."""
    attach = "%groq attach answers again"
    lab.write("twice.ipynb", [START, batch("cities"), attach, "again.wait(); answers"])
    with Notebook(page, "twice.ipynb") as notebook:
        for index in (0, 1, 2, 1):
            notebook.run(index)
        for index in (1, 2):
            assert notebook.outputs(index).locator(".gm-card").count() == 1
        notebook.run(3)
        for index in (1, 2):
            notebook.outputs(index).get_by_text("All 20 answered.").wait_for(timeout=20_000)
            assert notebook.outputs(index).locator(".gm-card").count() == 1
            assert notebook.outputs(index).get_by_role("button").count() == 0
        assert notebook.outputs(3).get_by_text("20 ok").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_card_goes_from_sending_to_completed(lab: Lab, page: Page, pictures: Path, theme: str) -> None:
    """One after the other, the card says that it may be left alone, and that all is answered."""
    lab.write(f"film-{theme}.ipynb", [START, batch(f"{theme} things")])
    with Notebook(page, f"film-{theme}.ipynb") as notebook:
        notebook.theme(theme)
        notebook.run(0)
        notebook.run(1)
        card = notebook.outputs(1)
        card.get_by_text("In the sandbox: you may close this.").first.wait_for()
        ended = card.get_by_text("All 20 answered.")
        notebook.film(pictures / f"card-moving-{theme}.gif", card, ended.first)
        assert ended.count() == 1
        assert card.locator("progress").first.get_attribute("value") == "20"
