"""Rows of cells as a table for a terminal and for a notebook. All that comes in is escaped there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

_LEFT = "text-align:left"


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """One line a row, its cells one under another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_html(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    whole: Collection[str] = (),
    code: Collection[str] = (),
) -> str:
    """The same under a head; the columns named in `whole` stay on one line, those in `code` can be typed.

    Colours are the notebook's own, whatever its theme.
    """
    heads = "".join(f'<th style="{_LEFT}">{escape(word)}</th>' for word in head)
    lines = "".join(
        f"<tr>{''.join(_cell(word, cell, whole, code) for word, cell in zip(head, row, strict=True))}</tr>"
        for row in rows
    )
    table = f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody>"
    return f'<table class="tex2jax_ignore mathjax_ignore">{table}</table>'


def _cell(word: str, cell: str, whole: Collection[str], code: Collection[str]) -> str:
    style = f"{_LEFT};white-space:nowrap" if word in whole else _LEFT
    shown = f"<code>{escape(cell)}</code>" if word in code else escape(cell)
    return f'<td style="{style}">{shown}</td>'
