"""HTML as it is read: the tags and attributes that it really holds, and its text without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;</div></style>"
"""A text that takes over a page which lets it in as it is."""

_BLOCKS = {"div", "p", "table", "tr", "td", "th", "details", "summary", "pre", "progress"}
_VOID = {"img", "br", "input"}


@dataclass
class Page:
    """What is in a piece of HTML. `open` holds the tags that were never closed."""

    tags: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of this name."""
        return [attributes for found, attributes in self.elements if found == tag]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        page = self.page
        page.tags.add(tag)
        page.attributes |= {name for name, _ in attrs}
        page.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            page.open.append(tag)
        page.text += "\n" if tag in _BLOCKS else ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.page.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.page.open, f"</{tag}> closes nothing"
        assert self.page.open.pop() == tag
        self.page.text += "\n" if tag in _BLOCKS else ""

    def handle_data(self, data: str) -> None:
        if "style" not in self.page.open:
            self.page.text += data


def read(html: str) -> Page:
    """The page; its text has a line for each block, as where neither style nor script is taken in."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    page = reader.page
    page.text = "\n".join(line for each in page.text.split("\n") if (line := " ".join(each.split())))
    return page
