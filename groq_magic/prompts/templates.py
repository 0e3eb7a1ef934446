"""Templates: Jinja's ``{{ }}`` and ``{% %}``, compiled once and filled for each row.

Only those two marks count; every other character comes out as it went in. The environment is sandboxed and
immutable, undefined names are errors, there is no loader, and what one row may grow to is bounded. Values are
inserted as they are and never rendered again. All names are settled when a template is compiled, so that a
misspelt one is found before the first row. This module imports Jinja, and is imported only where needed.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes

from groq_magic.errors import InputError
from groq_magic.prompts.blocks import all_simple, blocks
from groq_magic.prompts.checks import PLAIN, Place, is_missing, listed, nearest, sized
from groq_magic.prompts.names import (
    ENVIRONMENT,
    GLOBALS,
    LIMIT,
    Flat,
    Scope,
    asked,
    assigned,
    parse,
    shallow,
    syntax_error,
)
from groq_magic.prompts.rows import Field
from groq_magic.prompts.values import shown

_REPEATS = (nodes.For, nodes.Macro, nodes.CallBlock)


class _TooLong(Exception):
    """One row's text grew over the limit."""


@dataclass(frozen=True)
class Bare:
    """A template that is text and bare names of fields alone: `{{ a }} and {{ b }}` is "%s and %s".

    `places` are those of its names among the fields, where these do not simply follow one another.
    """

    format: str
    places: tuple[int, ...] | None

    def filled(self, block: list[tuple[object, ...]]) -> list[str] | None:
        """The texts that Jinja would make of these rows, or None where a value may need a closer look."""
        cells = list(chain.from_iterable(block))
        if not all_simple(cells):
            return None
        rows = block if self.places is None else map(itemgetter(*self.places), block)
        try:
            texts = list(map(self.format.__mod__, rows))
        except ValueError:  # Python writes no whole number of thousands of digits
            return None
        return texts if max(map(len, texts)) <= LIMIT else None


def _bare(tree: nodes.Template, fields: Mapping[str, Field], constants: Mapping[str, object]) -> Bare | None:
    """The template as one that is filled without Jinja, if it is so simple."""
    text, places, order = "", list[int](), list(fields)
    for output in tree.body:
        for node in output.nodes if isinstance(output, nodes.Output) else (None,):
            if isinstance(node, nodes.TemplateData):
                text += node.data.replace("%", "%%")
            elif isinstance(node, nodes.Name) and node.name in fields:
                text += "%s"
                places.append(order.index(node.name))
            elif isinstance(node, nodes.Name) and type(constants.get(node.name)) is str:
                text += str(constants[node.name]).replace("%", "%%")
            else:
                return None
    if not places:
        return None
    return Bare(text, None if places == [*range(len(fields))] else tuple(places))


@dataclass(frozen=True)
class Template:
    """A compiled template: `fields` says what to hand to `render`, by the name it has inside."""

    compiled: Any
    fields: Mapping[str, Field]
    constants: Mapping[str, object] = field(default_factory=dict)
    repeats: bool = False
    assigns: bool = False
    bare: Bare | None = None

    def render(self, rows: Iterable[tuple[object, ...]], place: Place) -> Iterator[str]:
        """One text a row; each row holds the values of `fields` in that order. Errors name the row."""
        if self.bare is None:
            return self._render(rows, place)
        return chain.from_iterable(self._filled(self.bare, rows, place))

    def _filled(
        self, bare: Bare, rows: Iterable[tuple[object, ...]], place: Place
    ) -> Iterator[Iterable[str]]:
        start = 0
        for block in blocks(rows):
            yield bare.filled(block) or self._render(block, place, start)
            start += len(block)

    def _render(self, rows: Iterable[tuple[object, ...]], place: Place, start: int = 0) -> Iterator[str]:
        """The same by Jinja itself, for rows from the place `start` on."""
        names = {**GLOBALS, **self.constants}
        # One context for all rows. `Template.render` would build one for each, at 20 times the price.
        context = ENVIRONMENT.context_class(ENVIRONMENT, names, "template", {})
        fill, fields = self.compiled.root_render_func, tuple(self.fields)
        join = _bounded if self.repeats else "".join
        for row, values in enumerate(rows, start):
            if len(fields) == 1:
                names[fields[0]] = values[0]
            else:
                names.update(zip(fields, values))  # noqa: B905  # `strict` costs 0.3 µs a row
            try:
                text = join(fill(context))
                if len(text) > LIMIT:
                    raise _TooLong
            except Exception as exc:  # a template may raise whatever Python can
                raise self._failed(place(row), values, exc) from exc
            if self.assigns:
                context.vars.clear()  # what `{% set %}` left must not reach the next row
                context.exported_vars.clear()
            yield text

    def render_once(self, where: str) -> str:
        """The one text of a template that has no `fields`."""
        return next(self.render([()], lambda row: where))

    def _failed(self, where: str, values: tuple[object, ...], exc: Exception) -> InputError:
        if isinstance(exc, _TooLong):
            return InputError(f"{where}: the filled template has over {LIMIT:,} characters: shorten it")
        pairs = zip(self.fields.items(), values, strict=False)
        given = [f"{_said(name, f)} is {_brief(v)} ({type(v).__name__})" for (name, f), v in pairs]
        said = (
            f"{where}: the template fails: {str(exc).rstrip('.') or type(exc).__name__}; {listed(given, 3)}"
        )
        return InputError(" ".join(said.rstrip("; ").split()))


def _brief(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return shown(value)


def _said(name: str, field: Field) -> str:
    return str(field.column) if field.kind == "column" else name


def _bounded(chunks: Iterable[str]) -> str:
    parts, total = [], 0
    for chunk in chunks:
        total += len(chunk)
        if total > LIMIT:
            raise _TooLong
        parts.append(chunk)
    return "".join(parts)


def for_rows(text: str, scope: Scope, what: str = "the template") -> Template:
    """The template compiled for the rows of a scope. Unknown names raise, with the nearest one."""
    with shallow(what):
        return _for_rows(text, scope, what)


def _for_rows(text: str, scope: Scope, what: str) -> Template:
    try:
        tree = parse(text, what)
    except InputError as exc:
        raise (scope.odd_name(text, what) or exc) from exc
    own = assigned(tree)
    flat = Flat(tree, scope, own, what)
    tree = flat.visit(tree)
    fields: dict[str, Field] = dict(flat.fields)
    for name, line in asked(tree, what):
        if name in fields or name in flat.constants:
            continue
        if (found := scope.find(name)) is not None:
            fields[name] = found
        elif name == "vars":
            raise InputError(f"{what}, line {line}: `vars` is used with a name: `{{{{ vars.x }}}}`")
        elif name not in own and name not in GLOBALS:
            raise scope.unknown(name, f"{what}, line {line}")
    return _compiled(tree, fields, flat.constants, what)


def for_body(text: str, variables: Mapping[str, object], what: str, first_line: int = 1) -> Template:
    """The template compiled with notebook variables by name: texts, numbers, booleans and dates only.

    Lines in errors count from `first_line`. It has no fields: `render_once` fills it.
    """
    with shallow(what):
        return _for_body(text, variables, what, first_line)


def _for_body(text: str, variables: Mapping[str, object], what: str, first_line: int) -> Template:
    tree = parse(text, what, first_line)
    own, constants = assigned(tree), {}
    for name, line in asked(tree, what, first_line):
        where = f"{what}, line {line}"
        if name in variables:
            constants[name] = _scalar(name, variables[name], where)
        elif name == "vars":
            raise InputError(
                f"{where}: without a source, variables go by their names: `{{{{ x }}}}`, not vars.x"
            )
        elif name not in own and name not in GLOBALS:
            near = nearest(name, list(variables))
            raise InputError(
                f"{where}: no variable `{name}` in the notebook{near}; "
                "columns need `--from`, plain braces `--raw`"
            )
    return _compiled(tree, {}, constants, what, first_line)


def _scalar(name: str, value: object, where: str) -> object:
    """The value if it may stand in a body."""
    if is_missing(value):
        raise InputError(f"{where}: `{name}` is missing ({value!r}): give it a value")
    if not isinstance(value, PLAIN):
        one_each = f"; one prompt for each of them? `--from {name}`" if hasattr(value, "__len__") else ""
        raise InputError(f"{where}: `{name}` is {sized(value)}, not a text, number or date{one_each}")
    return value


def _compiled(
    tree: nodes.Template,
    fields: Mapping[str, Field],
    constants: Mapping[str, object],
    what: str,
    first_line: int = 1,
) -> Template:
    repeats, assigns = any(tree.find_all(_REPEATS)), bool(assigned(tree))
    bare = _bare(tree, fields, constants)
    try:
        compiled = ENVIRONMENT.from_string(tree)
    except TemplateSyntaxError as exc:
        raise syntax_error(exc, what, first_line) from exc
    except TemplateError as exc:
        raise InputError(f"{what}: {exc}") from exc
    except (SyntaxError, RecursionError, MemoryError) as exc:  # Python's own limits on nesting
        raise InputError(f"{what} is nested too deeply: write it flatter") from exc
    return Template(compiled, fields, constants, repeats, assigns, bare)
