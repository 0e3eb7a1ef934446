"""Every state of the card in real frontends: both themes, 320 px, no barrier, nothing that acts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import gallery, states
from tests.lab import Lab, Notebook, wait_until

pytestmark = pytest.mark.browser

CARDS = len(states.STATES)
EVERY_RESULT = {"resultTypes": ["violations", "passes", "incomplete"]}  # or it names one element of each
NARROW = (
    ".jp-Cell-outputArea,.jp-OutputArea-child,.jp-OutputArea-output{width:320px!important;"
    "max-width:320px!important;padding:0!important;margin:0!important}.jp-OutputPrompt{display:none!important}"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab server, which serves Notebook 7, too."""
    with Lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest.fixture(scope="module", params=["lab", "notebook"])
def notebook(request: pytest.FixtureRequest, lab: Lab, browser: Browser) -> Iterator[Notebook]:
    """A notebook with every state in a cell of its own, in JupyterLab and in Notebook 7."""
    name = f"{request.param}.ipynb"
    lab.write(name, gallery.cells())
    at = "lab" if request.param == "lab" else f"notebooks/{name}"
    page = lab.page(browser, at=at, height=1_400)
    opened = Notebook(page, name, opened=request.param != "lab")
    opened.run_all()
    page.wait_for_function(f"document.querySelectorAll('.gm-card').length === {CARDS}", timeout=30_000)
    page.set_viewport_size({"width": 1_100, "height": 30_000})
    # axe takes whatever a clipping ancestor does not show for hidden, and the frontends' body is 0 px high.
    page.add_style_tag(content="body{overflow:visible!important}")
    yield opened
    page.close()


def found(page: Page, script: str) -> Any:
    """What a script finds on each card."""
    return page.evaluate(f"() => [...document.querySelectorAll('.gm-card')].map(card => {{ {script} }})")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state_is_without_barriers(notebook: Notebook, theme: str, pictures: Path) -> None:
    """axe finds nothing to object to: contrast, names, roles, order; in both themes, wide and 320 px."""
    notebook.theme(theme)
    for narrow in (False, True):
        style = notebook.page.add_style_tag(content=NARROW) if narrow else None
        seen = Axe().run(notebook.page, context={"include": [[".gm-card"]]}, options=EVERY_RESULT)
        assert seen.violations_count == 0, seen.generate_report()
        assert narrow or len(nodes(seen, "passes", "color-contrast")) > 15 * CARDS
        unsure = {node["html"] for node in nodes(seen, "incomplete", "color-contrast")}
        assert narrow or all('class="gm-sign"' in html for html in unsure), unsure
        take(notebook, pictures, f"narrow-{theme}" if narrow else theme)
        if style is not None:
            style.evaluate("style => style.remove()")


def nodes(seen: AxeResults, result: str, rule: str) -> list[dict[str, Any]]:
    """The elements of which axe says so."""
    return [node for found in seen.response[result] if found["id"] == rule for node in found["nodes"]]


def take(notebook: Notebook, pictures: Path, view: str) -> None:
    """Pictures of all cards, where somebody asked for them."""
    if "GROQ_MAGIC_TEST_PICTURES" not in os.environ:
        return
    where = "JupyterLab" if notebook.name.startswith("lab") else "Notebook 7"
    folder = pictures / "gallery" / where
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(CARDS):
        notebook.page.locator(".gm-card").nth(number).screenshot(path=folder / f"{number}-{view}.png")
    gallery.write_page(folder, where)


def test_every_state_fits_into_320_pixels(notebook: Notebook) -> None:
    """On a phone's width nothing is cut off and nothing has to be scrolled sideways."""
    style = notebook.page.add_style_tag(content=NARROW)
    widths = found(
        notebook.page, "return [card.getBoundingClientRect().width, card.scrollWidth - card.clientWidth]"
    )
    style.evaluate("style => style.remove()")
    assert len(widths) == CARDS
    for (name, _, _), (width, hidden) in zip(states.STATES, widths, strict=True):
        assert 300 <= width <= 320, name
        assert hidden <= 0, name


def test_no_text_from_outside_acts(lab: Lab, browser: Browser) -> None:
    """Markup in every field of every state is shown as it is: no script runs, nor when it is reopened."""
    lab.write("hostile.ipynb", gallery.cells(hostile=True))
    said: list[str] = []
    page = lab.page(browser)
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    with Notebook(page, "hostile.ipynb") as notebook:
        notebook.run_all()
        page.wait_for_function(f"document.querySelectorAll('.gm-card').length === {CARDS}", timeout=30_000)
        assert page.locator(".gm-card script, .gm-card img").count() == 0
        notebook.save()
    with Notebook(page, "hostile.ipynb", kernel=False):
        page.locator(".gm-card").first.wait_for()
        assert page.locator(".gm-card script, .gm-card img").count() == 0
    page.close()
    assert said == []


def test_an_untrusted_notebook_reads_well(lab: Lab, browser: Browser) -> None:
    """Where styles are stripped, as in somebody else's notebook, the end cards are plain text and a bar."""
    lab.write("ours.ipynb", gallery.cells())
    page = lab.page(browser)
    with Notebook(page, "ours.ipynb") as notebook:
        notebook.run_all()
        page.wait_for_function(f"document.querySelectorAll('.gm-card').length === {CARDS}", timeout=30_000)
        notebook.save()
    theirs = lab.read("ours.ipynb")
    theirs.cells[0].source = "1 + 1  # signed by nobody"
    nbformat.write(theirs, lab.work / "theirs.ipynb")
    with Notebook(page, "theirs.ipynb", kernel=False) as notebook:
        card = page.locator(".gm-card", has_text="All 1,000 answered.").first
        card.wait_for()
        assert card.locator("progress").count() == 1
        assert card.evaluate("card => getComputedStyle(card).borderTopWidth") == "0px"
        assert "Name a colour." in card.inner_text()
    page.close()


def test_the_card_is_live_in_notebook_7(lab: Lab, browser: Browser) -> None:
    """In Notebook 7, too, the bar moves while another cell is busy, and the end card takes its place."""
    batch = "\n".join(["%%groq_batch answers", *(f"Name {n} colours." for n in range(2, 22))])
    lab.write("seven.ipynb", ["%load_ext groq_magic\n%groq sandbox", batch, "import time\ntime.sleep(6)"])
    page = lab.page(browser, at="notebooks/seven.ipynb")
    notebook = Notebook(page, "seven.ipynb", opened=True)
    notebook.run(0)
    notebook.run(1)
    card = notebook.outputs(1)
    first = card.locator("progress").first.get_attribute("value")
    notebook.start(2)
    notebook.wait_for_kernel("busy")
    wait_until(page, lambda: card.locator("progress").first.get_attribute("value") != first, 15, "the bar")
    assert notebook.count(2) is None
    card.get_by_text("All 20 answered.").first.wait_for(timeout=30_000)
    assert card.get_by_role("button").count() == 0
    page.close()
