"""What Tab offers on the lines of our magics and in their templates: a matcher for IPython's completer.

Where the cursor stands is `cursor`'s to say, what the notebook's variables are `variables`'. Nothing is
evaluated, nothing is asked of the network, and whatever goes wrong, Tab offers what it would without us.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
)
from IPython.core.interactiveshell import InteractiveShell

from groq_magic import ledger, prices
from groq_magic.answers.cells import FORMS
from groq_magic.errors import LedgerError
from groq_magic.magics import cursor, variables
from groq_magic.magics.cursor import Line, Place
from groq_magic.magics.options import _DASHES, DEFAULT_NAME, VERBS, Option
from groq_magic.prompts.files import READERS

Matcher = Callable[[CompletionContext], SimpleMatcherResult]
Offers = Iterable[tuple[str, str]]
"""What may be inserted, best first, each with its kind, for which front ends have a sign."""

FILES = tuple(READERS)
_RECENT = 20  # batches whose ids are offered
_PYTHON = {"IPCompleter.python_matcher", "IPCompleter.python_matches"}  # as newer and older IPythons call it
# Words that Jinja reads otherwise than as a name.
_JINJA = frozenset(("and", "else", "false", "if", "in", "is", "none", "not", "or", "self", "true"))
_HELD = {
    "text": variables.is_text,
    "choice": variables.is_text,
    "number": variables.is_number,
    "integer": variables.is_whole,
    "count": variables.is_whole,
}
"""What `@name` may hold for an option of each kind."""


def offers(context: CompletionContext, shell: InteractiveShell) -> SimpleMatcherResult:
    """What may stand where the cursor is.

    It never raises. Where it has something to offer, no other matcher is asked, except for Python's names at
    the beginning of an expression; where it has nothing, all are.
    """
    with suppress(Exception):  # else its traceback is printed into the cell at every Tab
        return _result(context, shell)
    return {"completions": []}


def _result(context: CompletionContext, shell: InteractiveShell) -> SimpleMatcherResult:
    lines = context.full_text.split("\n")[: context.cursor_line]
    offset = sum(len(line) + 1 for line in lines) + context.cursor_position
    place, without = cursor.place(context.full_text, offset), ""
    if place and place.option and place.option.kind == "text":
        inside = cursor.in_text(place.typed, place.line)
        place, without = (inside, place.quote or " ") if inside else (place, "")
    if place is None or not context.full_text[:offset].endswith(place.typed):
        return {"completions": []}
    typed, offers = _offers(place, _Notebook(shell))
    # What cannot be printed cannot be typed either, and half a character breaks the kernel's reply.
    fit = [
        SimpleCompletion(text, type=kind)
        for text, kind in dict(offers).items()
        if text.isprintable() and not (without and without in text)
    ]
    found = fit[: context.limit]
    if not found:
        return {"completions": []}
    begins = typed and place.option and place.option.kind == "expression" and not place.quote
    return {
        "completions": found,
        "matched_fragment": typed,
        "ordered": True,
        "suppress": True,
        "do_not_suppress": _PYTHON if begins else set(),
    }


class _Notebook:
    """The notebook's variables: all of them, and those that a person made."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.all: dict[str, object] = dict(shell.user_ns)
        self.own = variables.visible(self.all, shell.user_ns_hidden)

    def names(self, fits: Callable[[object], bool]) -> list[str]:
        """Those whose value fits."""
        return [name for name, value in self.own.items() if fits(value)]

    def source(self, line: Line) -> variables.Source:
        """What the line's source has; nothing where there is none."""
        typed = line.given.get("--from")
        return variables.source(typed, self.all) if typed else variables.Source()


def _offers(place: Place, notebook: _Notebook) -> tuple[str, Offers]:
    """What may stand at the place, and the part of what is typed that it replaces."""
    match place.kind:
        case "verb":
            return place.typed, _fitting(place.typed, (verb.name for verb in VERBS), "keyword")
        case "flag":
            return place.typed, _flags(place)
        case "word":
            return place.typed, _words(place, notebook)
        case "value" if place.option:
            return _values(place, place.option, notebook)
        case _:
            return place.typed, _in_template(place, notebook)


def _fitting(typed: str, names: Iterable[str], kind: str) -> Iterator[tuple[str, str]]:
    """The names that go on from what is typed; upper and lower case are the same."""
    return ((name, kind) for name in names if name.casefold().startswith(typed.casefold()))


# The line ----------------------------------------------------------------------------------------------


def _flags(place: Place) -> Offers:
    """The options that are not on the line yet. `_` equals `-`, and any dashes will do."""
    bare = place.typed.lstrip(_DASHES).replace("_", "-").casefold()
    for option in place.line.options:
        if option.flag not in place.line.given and option.flag.lstrip("-").startswith(bare):
            yield option.flag, "param"


def _words(place: Place, notebook: _Notebook) -> Offers:
    """What the usage names here: a variable, a batch, a word as it is. Where nothing is typed, flags too."""
    line = place.line
    if line.taken + line.later < len(line.words):
        for meant in sorted(line.words[line.taken].split("|"), key="ID".__eq__):  # ids say least: last
            yield from _fitting(place.typed, _meant(meant, line, notebook), "instance")
    if not place.typed:
        yield from _flags(place)


def _meant(word: str, line: Line, notebook: _Notebook) -> Iterable[str]:
    """What may be typed for a word of a usage: `NAME`, `OLDNAME`, `ID`, or itself in small letters."""
    match word:
        case "NAME":
            names = notebook.names(variables.is_answers)
            return names if line.verb else [*names, DEFAULT_NAME]
        case "OLDNAME":
            from groq_magic import client

            return _ledger(client.named)
        case "ID":
            return _ledger(_batch_ids)
    return [word] if word.islower() else []


def _ledger(ask: Callable[[], list[str]]) -> list[str]:
    with suppress(LedgerError):
        return ask()
    return []


def _batch_ids() -> list[str]:
    """The ids of this notebook's last batches, latest first."""
    book, here = ledger.current(), ledger.notebook()
    jobs = [job.job_id for job in book.jobs() if job.notebook == here][-_RECENT:]
    return [shard.batch_id for job in reversed(jobs) for shard in book.shards(job) if shard.batch_id]


def _values(place: Place, option: Option, notebook: _Notebook) -> tuple[str, Offers]:
    """What an option may be given."""
    typed = place.typed
    if option.kind == "expression":
        if not place.quote:
            return typed, _fitting(typed, _of_expression(option, notebook), "instance")
        return typed.rpartition("/")[2], _files(typed, place.quote) if option.flag == "--from" else ()
    if typed.startswith("@") and not place.quote:
        return typed[1:], _fitting(typed[1:], notebook.names(_HELD[option.kind]), "instance")
    if option.flag == "--save":
        return typed.rpartition("/")[2], _files(typed, place.quote, tuple(FORMS))
    if option.flag == "--id":
        return typed, _ids(place, notebook)
    if option.flag == "--model":
        return typed, ((name, "text") for name in prices.models() if typed.casefold() in name.casefold())
    if option.choices:
        return typed, _fitting(typed, option.choices, "text")
    at = [f"@{name}" for name in notebook.names(_HELD[option.kind])]
    return typed, _fitting("", at, "instance") if not typed and not place.quote else ()


def _of_expression(option: Option, notebook: _Notebook) -> list[str]:
    """The variables; for `--from` those first that prompts are likely to come from, and no types."""
    if option.flag != "--from":
        return list(notebook.own)
    likely, classes = notebook.names(variables.is_source), notebook.names(variables.is_class)
    return [*likely, *(name for name in notebook.own if name not in (*likely, *classes))]


def _ids(place: Place, notebook: _Notebook) -> Offers:
    """The source's columns; in quotes where the line would not read them otherwise."""
    for column in notebook.source(place.line).columns:
        if not isinstance(column, str) or not column.casefold().startswith(place.typed.casefold()):
            continue
        if place.quote:
            yield column.replace(place.quote, f"\\{place.quote}"), "field"
        elif re.fullmatch(r"[^\s\"'@–—-]\S*", column):
            yield column, "field"
        else:
            yield '"{}"'.format(column.replace('"', '\\"')), "field"


def _files(typed: str, quote: str, endings: tuple[str, ...] = FILES) -> Offers:
    """Files with these endings, by default those that prompts can be read from, and folders, in the folder
    that is typed.
    """
    folder, slash, begun = (typed.replace(f"\\{quote}", quote) if quote else typed).rpartition("/")
    with suppress(OSError), os.scandir(Path(folder + slash or ".").expanduser()) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name.casefold()):
            name = entry.name.replace(quote, f"\\{quote}") if quote else entry.name
            if not entry.name.startswith(begun) or (entry.name.startswith(".") and not begun):
                continue
            if not quote and re.search(r"\s", name):  # it would be two words
                continue
            if entry.is_dir():
                yield f"{name}/", "path"
            elif entry.name.lower().endswith(endings):
                yield name, "path"


# Templates ---------------------------------------------------------------------------------------------


def _in_template(place: Place, notebook: _Notebook) -> Offers:
    """The columns of the source and what else a row has; without a source the notebook's plain values."""
    if "--from" not in place.line.given:
        if place.kind == "name":
            yield from _fitting(place.typed, notebook.names(variables.goes_in_body), "instance")
        return
    source, typed = notebook.source(place.line), place.typed
    if place.kind == "name":
        yield from _names(source, typed)
        return
    if place.of in source.columns:
        return  # `row` or `vars` is a column here
    known = source.columns if place.of == "row" else notebook.names(variables.goes_in_template)
    texts = [name for name in known if isinstance(name, str)]
    if place.kind == "attribute":
        texts = [name for name in texts if name.isidentifier()]
    elif place.kind == "key":
        texts = [name.replace("\\", r"\\").replace(place.quote, f"\\{place.quote}") for name in texts]
    yield from _fitting(typed, texts, "field" if place.of == "row" else "instance")


def _names(source: variables.Source, typed: str) -> Offers:
    """Columns by name, those that are no names as `row["…"]`; then the names that all rows have."""
    texts = [name for name in source.columns if isinstance(name, str)]
    plain = dict.fromkeys(n for n in texts if n.isidentifier() and n.casefold() not in _JINJA)
    yield from _fitting(typed, plain, "field")
    if "row" not in source.columns:
        for column in source.columns:
            if column not in plain and str(column).casefold().startswith(typed.casefold()):
                yield f"row[{_quoted(column)}]", "field"
    others = [*source.plain, "vars"]
    free = [name for name in others if name not in source.columns]
    yield from _fitting(typed, ["vars." if name == "vars" else name for name in free], "keyword")


def _quoted(column: str | int) -> str:
    """The column as a constant of Jinja's, in double quotes where that takes no backslash."""
    simple = isinstance(column, str) and column.isprintable() and not re.search(r'["\\]', column)
    return f'"{column}"' if simple else repr(column)
