"""The gallery: every state of the card in a notebook's cells, and a page of the pictures taken of them."""

from __future__ import annotations

from concurrent.futures import Future
from html import escape
from pathlib import Path

from groq_magic import loop
from groq_magic.answers import Answers, Rows, Verbs
from groq_magic.card.widget import Card
from groq_magic.job import Snapshot
from tests import states

VIEWS = ("light", "dark", "narrow-light", "narrow-dark")
_IN_A_CELL = 16

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<title>groq_magic: every state of the card</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em;background:#eee;color:#111}}
section{{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start;margin-bottom:2em}}
h2{{flex-basis:100%;font-size:15px;margin:0}}img{{max-width:100%;border-radius:4px}}</style>
<h1>Every state of the card, {where}</h1>
{sections}</html>
"""


def idle_card() -> Card:
    """A card in the cell that runs, over answers of which nothing is asked."""
    nothing = Verbs(
        lambda observer: None,
        Future,
        Future,
        lambda: None,
        int,
        lambda: None,
        lambda: "in_progress",
        list,
        Future,
    )
    return Card(Answers("answers", Rows("0123456789ab", 1, []), nothing))


def hand(card: Card, *snapshots: Snapshot) -> None:
    """Hands snapshots to the card, one right after the other, where the batch would."""

    async def handed() -> None:
        for snapshot in snapshots:
            card(snapshot)

    loop.run(handed())


def show(first: int, *, hostile: bool = False) -> None:
    """Shows some of the states, from this one on, as their cards."""
    for _, snapshot, _ in states.STATES[first : first + _IN_A_CELL]:
        hand(idle_card(), states.hostile(snapshot) if hostile else snapshot)


def cells(*, hostile: bool = False) -> list[str]:
    """The cells of a notebook that shows all of them."""
    shown = [f"gallery.show({n}, {hostile=})" for n in range(0, len(states.STATES), _IN_A_CELL)]
    return ["from tests import gallery", *shown]


def write_page(folder: Path, where: str) -> Path:
    """The page of the pictures `NUMBER-VIEW.png` in a folder."""
    sections = []
    for number, (name, _, _) in enumerate(states.STATES):
        pictures = "".join(
            f'<img src="{number}-{view}.png" alt="{escape(name)}, {view}" loading="lazy">'
            for view in VIEWS
            if (folder / f"{number}-{view}.png").is_file()
        )
        sections.append(f"<section><h2>{escape(name)}</h2>{pictures}</section>")
    page = folder / "index.html"
    page.write_text(_PAGE.format(where=escape(where), sections="\n".join(sections)), encoding="utf-8")
    return page
