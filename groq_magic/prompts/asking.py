"""Asking: what is asked of each row, under which id, and what becomes of rows that miss a value."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from groq_magic.errors import InputError
from groq_magic.prompts import checks, lines
from groq_magic.prompts.checks import Prompt, Skipped, listed
from groq_magic.prompts.rows import ITEM, Field, Rows

if TYPE_CHECKING:
    from groq_magic.prompts.templates import Template

_SYSTEM = "the system message"


class Asking:
    """What one submission asks of every row of its source, made up its mind from the first rows.

    `ids` are those given by the user, of the rows that were asked about so far, or None. `system` is what all
    prompts share; one that differs by row is in the prompts. `models` are those of whole request lines.
    """

    def __init__(
        self,
        rows: Rows,
        items: str,
        *,
        template: str | None = None,
        system: str | None = None,
        raw: bool = False,
        variables: Mapping[str, object] = {},  # read, never written
        id_column: str | None = None,
        model: str | None = None,
        options: Collection[str] = (),
        skips: bool = False,
    ) -> None:
        self._items, self._model, self._skips = items, model, skips
        self._id_column = id_column
        self._template = self._systems = None
        self.system: str | None = None
        self.models: set[str] = set()
        if items == "request":
            given = {"the template": template, "the system message": system, "the id column": id_column}
            _refuse(rows, [*(name for name, value in given.items() if value is not None), *options])
        if system is not None:
            self._systems = self._shared(system, rows, raw, variables)
        if template is not None:
            self._template = _filled(template, rows, raw, items, variables, alone=self._systems is None)
        self._used = _used(rows, items, self._template, self._systems)
        self._ids = checks.Ids(*_of_ids(rows, items, id_column))
        self.ids: deque[str] | None = deque() if self._has_ids(rows) else None

    def _shared(self, system: str, rows: Rows, raw: bool, variables: Mapping[str, object]) -> Template | None:
        """The system message as a template of the row, or None where all rows share it."""
        self.system = checks.checked_option(system, _SYSTEM)
        if not checks.has_marks(system) or raw:
            return None
        compiled = _compiled(system, rows, variables, _SYSTEM)
        if compiled.fields:
            self.system = None
            return compiled
        self.system = checks.checked_option(compiled.render_once(_SYSTEM), _SYSTEM)
        return None

    def prompts(self, rows: Rows, rest: Iterable[Rows] = ()) -> Iterator[Prompt]:
        """The prompts of these rows, their ids put to `ids`; those that miss a value may be `Skipped`.

        Missing values raise at once, counted with those in the `rest`; what cannot be sent while they are
        read.
        """
        gone = self._gone(rows)
        if gone and not self._skips:
            raise self._missing(rows, rest)
        if self.ids is not None:
            self.ids.extend(self._ids.checked(self._given(rows), rows.place))
        if not gone:
            return self._of(rows)
        return _beside(self._of(rows.without(gone.keys())), gone, rows.count)

    def _of(self, rows: Rows) -> Iterator[Prompt]:
        items = self._bare(rows) if self._template is None else _render(self._template, rows, rows.place)
        if self._systems is not None:
            systems = _render(self._systems, rows, lambda n: f"{_SYSTEM} for {rows.place(n)}")
            return checks.with_systems(items, systems, rows.place)
        if self.system is not None and self._items != "text" and self._template is None:
            return checks.without_system(items, rows.place)
        return items

    def _bare(self, rows: Rows) -> Iterator[Prompt]:
        """The prompts of rows as they are, without a template."""
        if self._items == "request":
            return lines.requests(rows.values(ITEM), rows.place, self._model, self.models)
        field = self._used[0]  # those of the system message come after it
        talks = self._items == "conversation" or field.column == "messages"
        return (checks.conversations if talks else checks.texts)(rows.values(field), rows.place)

    # --- missing values -----------------------------------------------------------------------------

    def _gone(self, rows: Rows) -> dict[int, str]:
        """Where a value that is used is missing: the place, and what is missing there."""
        found: dict[int, str] = {}
        for field in self._used:
            for n in rows.missing(field):
                found.setdefault(n, _called(field))
        return dict(sorted(found.items()))

    def _missing(self, rows: Rows, rest: Iterable[Rows]) -> InputError:
        """The error for rows that miss a value: how many of the field that is missing first, and where."""
        field = next(field for field in self._used if rows.missing(field))
        gone = [rows.numbers[n] for n in rows.missing(field)]
        for more in rest:
            gone += [more.numbers[n] for n in more.missing(field)]
        column = f"column `{field.column}` of " if field.kind == "column" else ""
        to_type = rows.dropping.format(source=checks.short(rows.named), column=field.column)
        drop = f"leave them out: {to_type}; " if to_type else ""
        return InputError(
            f"{column}{rows.source} has {checks.missing_values(gone)}: fill them; {drop}or leave their rows "
            "unsent: `--missing skip`"
        )

    # --- ids ----------------------------------------------------------------------------------------

    def _has_ids(self, rows: Rows) -> bool:
        return self._id_column is not None or rows.ids is not None

    def _given(self, rows: Rows) -> Iterable[object]:
        """The ids of these rows: a dict's keys, a column's values, or those of request lines."""
        if self._id_column is None:
            return rows.ids or ()
        field = Field("column", self._id_column)
        if gone := rows.missing(field):
            numbers = [rows.numbers[n] for n in gone]
            raise InputError(
                f"column `{self._id_column}` of {rows.source} has {checks.missing_values(numbers)}: each row "
                "needs an id of its own"
            )
        return rows.values(field)


def _refuse(rows: Rows, options: Sequence[str]) -> None:
    """Whole request lines bring their options."""
    if options:
        raise InputError(
            f"{rows.source} holds whole request lines, which are sent as they are: leave out {options[0]}"
        )


def _used(rows: Rows, items: str, template: Template | None, systems: Template | None) -> list[Field]:
    """The fields whose values are used of each row. Raises where rows alone are no prompts."""
    found = [] if template is not None else _prompt_field(rows, items)
    for each in (template, systems):
        for field in each.fields.values() if each is not None else ():
            if field.kind == "row":
                found += [Field("column", column) for column in rows.columns]
            elif field.kind != "index":
                found.append(field)
    return list(dict.fromkeys(found))


def _prompt_field(rows: Rows, items: str) -> list[Field]:
    """What holds the prompts where there is no template."""
    if items == "request":
        return []
    if items != "row":
        return [ITEM]
    has = [name for name in ("prompt", "messages") if name in rows.columns]
    if len(has) == 2:
        raise InputError(
            f"{rows.source} has both a column `prompt` and a column `messages`: drop one of them"
        )
    if not has:
        raise InputError(
            f"{rows.source} has no column `prompt` or `messages` (it has: {listed(rows.columns)}): "
            f"write the prompt as a template: {rows.example()}"
        )
    if has == ["messages"] and "model" in rows.columns:
        raise InputError(
            f"{rows.source} holds bodies of requests: as whole request lines they are "
            '{"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": …}; '
            "if the model is not meant, drop the column `model`"
        )
    return [Field("column", has[0])]


def _filled(
    text: str, rows: Rows, raw: bool, items: str, variables: Mapping[str, object], *, alone: bool
) -> Template:
    """The template of a prompt. Where it stands `alone`, it uses something of the row."""
    text = checks.checked_option(text, "the template")
    if items == "conversation":
        raise InputError(
            f"{rows.source} holds conversations, which are sent as they are: leave out the template"
        )
    marked = checks.has_marks(text)
    plain = text if marked and not raw else _unmarked(text)
    compiled = _compiled(plain, rows, variables, "the template")
    if alone and not compiled.fields:
        if column := _single_braces(text, rows):
            raise InputError(f"the template uses nothing of the row: single braces are text, write {column}")
        because = " (`--raw` makes its marks plain text)" if raw and marked else ""
        raise InputError(
            f"the template uses nothing of the row{because}, so it would send the same prompt "
            f"for every row; write what differs: {rows.example()}"
        )
    return compiled


def _unmarked(text: str) -> str:
    """A template that comes out as this text."""
    return f"{{{{ {text!r} }}}}" if checks.has_marks(text) else text


def _single_braces(text: str, rows: Rows) -> str:
    """A column, or another name of the row, that stands in single braces: as it is to be written."""
    from groq_magic.prompts import names

    known = {str(name): name for name in (*rows.columns, *rows.names)}
    for found in re.findall(r"(?<!\{)\{\s*([^{}%]+?)\s*\}(?!\})", text):
        if found in known:
            return f"`{{{{ {names.in_row(known[found])} }}}}`"
    return ""


def _compiled(text: str, rows: Rows, variables: Mapping[str, object], what: str) -> Template:
    from groq_magic.prompts import names, templates

    return templates.for_rows(text, names.Scope(rows.columns, rows.names, variables, rows.named), what)


def _render(template: Template, rows: Rows, place: checks.Place) -> Iterator[Prompt]:
    values = [
        checks.plain(rows.values(field), place) if field == ITEM else rows.values(field)
        for field in template.fields.values()
    ]
    filling = zip(*values, strict=True) if values else iter([()] * rows.count)
    return checks.texts(template.render(filling, place), place)


def _beside(prompts: Iterator[Prompt], gone: Mapping[int, str], count: int) -> Iterator[Prompt]:
    """The prompts with those that are skipped in their places."""
    for n in range(count):
        yield Skipped(gone[n]) if n in gone else next(prompts)


def _called(field: Field) -> str:
    return str(field.column) if field.kind == "column" else field.kind


def _of_ids(rows: Rows, items: str, column: str | None) -> tuple[str, str]:
    """What an id is called, and what to type to make ids texts. Raises for a column that is not there."""
    if column is None:
        if items == "request":
            return "custom_id", ""
        return "key", rows.casting.format(source=checks.short(rows.named), column="")
    if not rows.columns:
        raise InputError(
            f"{rows.source} has no columns, so no `{column}`: ids come from a dict {{id: prompt}}"
        )
    if column not in rows.columns:
        near = checks.nearest(column, rows.columns)
        raise InputError(f"{rows.source} has no column `{column}`{near}; it has: {listed(rows.columns)}")
    return f"id in `{column}`", rows.casting.format(source=checks.short(rows.named), column=column)
