"""Sources: everything that prompts can come from, in one table, and the way from a source to its prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from groq_magic.errors import InputError
from groq_magic.prompts import checks, refusals
from groq_magic.prompts import rows as reading
from groq_magic.prompts.checks import Prompt, Prompts, listed
from groq_magic.prompts.rows import Rows

if TYPE_CHECKING:
    from groq_magic.prompts.templates import Template


@dataclass(frozen=True)
class Kind:
    """One kind of source: its name and an example for people, how it is known, how it is read.

    `items` says what one item is: "text", "conversation" or "row". `names` is what a template may use.
    """

    name: str
    example: str
    items: str
    names: str
    fits: Callable[[Any, Any, str], bool]
    read: Callable[[Any, str], Rows]


def _is_sequence_of(first_type: type | tuple[type, ...]) -> Callable[[Any, Any, str], bool]:
    return lambda source, first, named: isinstance(source, Sequence) and isinstance(first, first_type)


def _is_dict_of(first_type: type | tuple[type, ...]) -> Callable[[Any, Any, str], bool]:
    return lambda source, first, named: isinstance(source, Mapping) and isinstance(first, first_type)


def _table(name: str) -> Callable[..., Any]:
    """A function of `tables`, which is imported at its first call: it brings Narwhals."""

    def call(*args: object) -> Any:
        from groq_magic.prompts import tables

        return getattr(tables, name)(args[0], args[-1])

    return call


KINDS: tuple[Kind, ...] = (
    Kind("a list of texts", '["Say hi", "Say bye"]', "text", "item, index",
         _is_sequence_of(str), reading.of_values),
    Kind("a dict {id: prompt}", '{"hi": "Say hi", "bye": "Say bye"}', "text", "item, id, index",
         _is_dict_of(str), reading.of_dict),
    Kind("a list of conversations", '[[{"role": "user", "content": "Say hi"}]]', "conversation", "",
         _is_sequence_of((list, tuple)), reading.of_values),
    Kind("a dict {id: conversation}", '{"hi": [{"role": "user", "content": "Say hi"}]}', "conversation", "",
         _is_dict_of((list, tuple)), reading.of_dict),
    Kind("a list of rows (dicts)", '[{"text": "Say hi"}]', "row", "the keys, row, index",
         _is_sequence_of(Mapping), reading.of_records),
    Kind("a pandas, Polars or Arrow table", "df", "row", "the columns, row, index",
         _table("is_table"), _table("of_table")),
    Kind("a Series of texts", 'df["text"]', "text", "item, index",
         _table("is_series"), _table("of_series")),
)  # fmt: skip
"""The first that fits is taken. A new source is a row here."""


def from_source(
    source: object,
    *,
    template: str | None = None,
    raw: bool = False,
    id_column: str | None = None,
    variables: Mapping[str, object] = {},  # read, never written
    system: str | None = None,
    named: str = "the source",
) -> Prompts:
    """The prompts that a source holds, or a template filled for each of its rows.

    `named` is the source as the user wrote it, for errors. The source's kind, its ids, the names in templates
    and missing values are checked here; each prompt while `items` is read.
    """
    kind, rows = understand(source, named, templated=template is not None)
    ids = _ids(rows, id_column)
    items = _bare(kind, rows) if template is None else _templated(template, raw, kind, rows, variables)
    if system is not None:
        what = "the system message"
        system = checks.checked_option(system, what)
        if checks.has_marks(system) and not raw:
            filled = _compiled(system, rows, variables, what)
            if filled.fields:
                systems = checks.texts(_render(filled, rows), lambda row: f"{what} for {rows.place(row)}")
                items = checks.with_systems(items, systems, rows.place)
                return Prompts(items, rows.count, ids, rows.frame)
            system = checks.checked_option(filled.render_once(what), what)
        if template is None and kind.items != "text":
            items = checks.without_system(items, rows.place)
    return Prompts(items, rows.count, ids, rows.frame, system)


def understand(source: Any, named: str, *, templated: bool) -> tuple[Kind, Rows]:
    """The source's kind and its rows. Raises one line on what to type for anything that holds no prompts."""
    first = _first(source)
    refusals.check(source, first, named, accepted())
    if isinstance(source, Sequence) and refusals.is_message(first) and not templated:
        raise refusals.refusal(source, named, "is one conversation: wrap it: [{named}]", accepted())
    for kind in KINDS:
        if kind.fits(source, first, named):
            rows = kind.read(source, named)
            if not rows.count:
                raise refusals.refusal(source, named, "is empty: there is nothing to send", accepted())
            return kind, rows
    raise refusals.other(source, first, named, accepted())


def accepted() -> str:
    """What can be sent now, as a sentence."""
    names = [kind.name for kind in KINDS]
    return f"Prompts come from {', '.join(names[:-1])} or {names[-1]}"


def _first(source: object) -> object:
    """The first item, or value of a dict; None where there is none to see."""
    if isinstance(source, Mapping):
        return next(iter(source.values()), None)
    return next(iter(source), None) if isinstance(source, Sequence) else None


def _bare(kind: Kind, rows: Rows) -> Iterator[Prompt]:
    """The prompts of a source as they are, without a template."""
    if kind.items == "text":
        return checks.texts(rows.values("item"), rows.place)
    if kind.items == "conversation":
        return checks.conversations(rows.values("item"), rows.place)
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
    _refuse_missing(rows, has)
    check = checks.texts if has == ["prompt"] else checks.conversations
    return check(rows.read(has[0]), rows.place)


def _templated(
    text: str, raw: bool, kind: Kind, rows: Rows, variables: Mapping[str, object]
) -> Iterator[Prompt]:
    """The template filled for each row."""
    text = checks.checked_option(text, "the template")
    if kind.items == "conversation":
        raise InputError(
            f"{rows.source} holds conversations, which are sent as they are: leave out the template"
        )
    marked = checks.has_marks(text)
    compiled = _compiled(text, rows, variables, "the template") if marked and not raw else None
    if compiled is None or not compiled.fields:
        because = " (`--raw` makes its marks plain text)" if raw and marked else ""
        raise InputError(
            f"the template uses nothing of the row{because}, so it would send the same prompt "
            f"{rows.count:,} {'time' if rows.count == 1 else 'times'}; write what differs: {rows.example()}"
        )
    return checks.texts(_render(compiled, rows), rows.place)


def _compiled(text: str, rows: Rows, variables: Mapping[str, object], what: str) -> Template:
    """The template, once its names are known and none of the values it uses is missing."""
    from groq_magic.prompts import names, templates

    compiled = templates.for_rows(text, names.Scope(rows.columns, rows.names, variables, rows.named), what)
    used = [field.column for field in compiled.fields.values() if field.kind == "column"]
    whole = any(field.kind == "row" for field in compiled.fields.values())
    _refuse_missing(rows, rows.columns if whole else used)
    return compiled


def _render(template: Template, rows: Rows) -> Iterator[str]:
    values = [rows.values(*field) for field in template.fields.values()]
    return template.render(zip(*values, strict=True), rows.place)


def _refuse_missing(rows: Rows, columns: Sequence[object]) -> None:
    for column in columns:
        many, where = rows.missing(column)
        if many:
            raise InputError(
                f"column `{column}` of {rows.source} has {checks.missing_values(many, where)}: "
                f"fill them, or leave them out: {_to_type(rows, rows.dropping, column)}"
            )


def _ids(rows: Rows, column: str | None) -> list[str] | None:
    """The ids that the user gave: a dict's keys, or a column's values."""
    if column is None:
        if rows.ids is None:
            return None
        fix = _to_type(rows, "{{str(k): v for k, v in {source}.items()}}", column)
        return checks.unique_ids(rows.ids, rows.place, what="key", fix=fix)
    if not rows.columns:
        raise InputError(
            f"{rows.source} has no columns, so no `{column}`: ids come from a dict {{id: prompt}}"
        )
    if column not in rows.columns:
        near = checks.nearest(column, rows.columns)
        raise InputError(f"{rows.source} has no column `{column}`{near}; it has: {listed(rows.columns)}")
    _refuse_missing(rows, [column])
    fix = _to_type(rows, rows.casting, column)
    return checks.unique_ids(rows.read(column), rows.place, what=f"id in `{column}`", fix=fix)


def _to_type(rows: Rows, words: str, column: object) -> str:
    return words.format(source=checks.short(rows.named), column=column)
