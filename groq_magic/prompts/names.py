"""The words of a template: which marks count, and what each name in it stands for. Imports Jinja."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from groq_magic.errors import InputError
from groq_magic.prompts.checks import is_missing, listed, nearest, quoted, sized
from groq_magic.prompts.rows import Field
from groq_magic.prompts.values import a_type, encodes

LIMIT = 10_000_000
"""Characters that one filled template may have."""

_PADDING = ("center", "ljust", "rjust", "zfill", "expandtabs")


def _insertable(value: object) -> object:
    """The value to insert. Some are none: `{{ text.upper }}` forgot its brackets, or meant a key."""
    if type(value) is str or isinstance(value, Undefined):
        return value
    if callable(value):
        raise TypeError("a function cannot be inserted: `x.name()` calls it, `x['name']` reads a key")
    if is_missing(value):
        raise TypeError("a missing value cannot be inserted: `x or 'none'` gives it a text")
    if type(value).__repr__ is object.__repr__ and type(value).__str__ is object.__str__:
        raise TypeError(f"{a_type(value)} has no text of its own: insert one of its fields")
    return value


def _to_json(value: object, indent: int | None = None) -> str:
    """JSON as it is. Jinja's own filter writes it for HTML pages."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


class _Environment(ImmutableSandboxedEnvironment):
    """Sandboxed, and bounded before the fact where one step alone could fill the memory."""

    intercepted_binops = frozenset(["*", "**"])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`*` of a text or list, and `**`, within the limit."""
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if (
                    isinstance(many, str | list | tuple)
                    and isinstance(times, int)
                    and len(many) * times > LIMIT
                ):
                    raise OverflowError(f"`*` would make more than {LIMIT:,} characters or items")
        elif isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > LIMIT:
            raise OverflowError(f"`**` would make a number of more than {LIMIT:,} bits")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Any call but those that pad a text beyond the limit."""
        if getattr(called, "__name__", "") in _PADDING and any(
            isinstance(arg, int) and arg > LIMIT for arg in args
        ):
            raise OverflowError(f"`{called.__name__}` would make more than {LIMIT:,} characters")
        return super().call(context, called, *args, **kwargs)


ENVIRONMENT = _Environment(
    undefined=StrictUndefined,
    finalize=_insertable,
    autoescape=False,
    keep_trailing_newline=True,
    # No text that can be sent holds lone surrogates, so these cannot occur. (Empty marks hang Jinja.)
    comment_start_string="\udc00#",
    comment_end_string="#\udc00",
)
ENVIRONMENT.filters["tojson"] = _to_json
GLOBALS = {name: ENVIRONMENT.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")}
ENVIRONMENT.globals.clear()  # they are handed to each context instead, so that a column called `range` wins

_LOADED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block)


@dataclass(frozen=True)
class Scope:
    """The names of a row that a template may use, and the notebook's variables (as `vars.x`)."""

    columns: tuple[object, ...]
    plain: tuple[str, ...]
    variables: Mapping[str, object]
    named: str

    @property
    def source(self) -> str:
        """The source as words for an error."""
        return quoted(self.named)

    def find(self, name: object) -> Field | None:
        """What the name stands for; a column wins."""
        if name in self.columns:
            return Field("column", name)
        return Field(str(name)) if name in self.plain else None

    def unknown(self, name: object, where: str) -> InputError:
        """The error for a name that no row has: the nearest one, and all there are."""
        if name == self.named:
            column = in_row(self.columns[0]) if self.columns else self.plain[0]
            said = f"`{name}` is the source itself, whose columns go by their names"
            return InputError(f"{where}: {said}: `{{{{ {column} }}}}`")
        if name in self.variables:
            return InputError(f"{where}: `{name}` is a variable of the notebook: write `vars.{name}`")
        known = [*self.columns, *self.plain]
        begins = re.compile(rf"{re.escape(str(name))}\W")
        begun = [column for column in self.columns if begins.match(str(column))]
        near = f", did you mean `{in_row(begun[0])}`?" if begun else nearest(name, known, in_row)
        return InputError(f"{where}: `{name}` is unknown{near}; {self.source} has: {listed(known)}")

    def odd_name(self, text: str, what: str) -> InputError | None:
        """The error for a column that stands in marks although its name is no word of Jinja's."""
        for column in map(str, self.columns):
            bare = re.compile(rf"\{{[{{%][^{{}}'\"]*?(?<!\w){re.escape(column)}(?!\w)")
            if not column.isidentifier() and (found := bare.search(text)):
                line = text.count("\n", 0, found.end()) + 1
                return InputError(
                    f"{what}, line {line}: the name of a column that is no single word goes in quotes: "
                    f"`{{{{ {in_row(column)} }}}}`"
                )
        return None


def in_row(column: object) -> str:
    """How a column is written in a template."""
    return str(column) if str(column).isidentifier() else f"row[{column!r}]"


class Flat(NodeTransformer):
    """Turns `row.x`, `row["x"]` and `vars.x` into plain names, so that only what is used is ever read.

    It also keeps a column called `items` from being taken for the method of a dict.
    """

    def __init__(self, tree: nodes.Template, scope: Scope, own: set[str], what: str) -> None:
        self.scope, self.what = scope, what
        self.rows = "row" in scope.plain and "row" not in scope.columns and "row" not in own
        self.variables = "vars" not in scope.columns and "vars" not in own
        self.fields: dict[str, Field] = {}
        self.constants: dict[str, object] = {}
        self.known: dict[tuple[str, object], str] = {}
        taken = {*map(str, scope.columns), *(name.name for name in tree.find_all(nodes.Name))}
        self.prefix = "flat_"
        while any(name.startswith(self.prefix) for name in taken):
            self.prefix += "_"

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        """`row.x` and `vars.x`."""
        self.generic_visit(node)
        return self._flat(node, node.node, node.attr, is_attribute=True)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """`row["x"]` and `vars["x"]`."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Const):
            return self._flat(node, node.node, node.arg.value, is_attribute=False)
        return node

    def _flat(self, node: nodes.Expr, of: nodes.Expr, key: object, *, is_attribute: bool) -> nodes.Node:
        where = f"{self.what}, line {node.lineno}"
        if not isinstance(of, nodes.Name):
            return node
        if of.name == "row" and self.rows:
            if key not in self.scope.columns:
                if is_attribute and hasattr(dict, str(key)):
                    return node  # row.items() and the like: the whole row is read
                raise self.scope.unknown(key, where)
            name = self._name("row", key)
            self.fields[name] = Field("column", key)
        elif of.name == "vars" and self.variables:
            name = self._name("vars", key)
            self.constants[name] = _in_vars(str(key), self.scope.variables, where)
        else:
            return node
        return nodes.Name(name, "load", lineno=node.lineno, environment=node.environment)

    def _name(self, of: str, key: object) -> str:
        return self.known.setdefault((of, key), f"{self.prefix}{len(self.known)}")


@contextmanager
def shallow(what: str) -> Iterator[None]:
    """Whatever walks through a template goes as deep as it is nested, and Python no deeper than its limit."""
    try:
        yield
    except RecursionError as exc:
        raise InputError(f"{what} is nested too deeply: write it flatter") from exc


def parse(text: str, what: str, first_line: int = 1) -> nodes.Template:
    """The tree, with carriage returns kept: Jinja would make every line end a newline."""
    if not encodes(text):
        raise InputError(f"{what} holds half a character (a lone surrogate), which cannot be sent")
    # A white space character that Jinja knows as one and the text does not hold stands in for them.
    stand_in = next((sign for sign in "\x1c\x1d\x1e\x1f\x0b\x0c" if sign not in text), "\r")
    try:
        tree = ENVIRONMENT.parse(text.replace("\r", stand_in))
    except TemplateSyntaxError as exc:
        raise syntax_error(exc, what, first_line) from exc
    for data in tree.find_all(nodes.TemplateData):
        data.data = data.data.replace(stand_in, "\r")
    for const in tree.find_all(nodes.Const):
        if isinstance(const.value, str):
            const.value = const.value.replace(stand_in, "\r")
    for node in tree.find_all(_LOADED):
        line = node.lineno + first_line - 1
        raise InputError(
            f"{what}, line {line}: `{{% {type(node).__name__.lower()} %}}` has no files to read here: "
            "put the text in itself"
        )
    for name in tree.find_all(nodes.Name):
        if name.name == "self":
            line = name.lineno + first_line - 1
            raise InputError(f"{what}, line {line}: `self` is a word of Jinja; a column is `row['self']`")
    return tree


def syntax_error(exc: TemplateSyntaxError, what: str, first_line: int) -> InputError:
    """Jinja's words about a template that it cannot read, with the line, as ours."""
    said = (exc.message or "it cannot be read").rstrip(".")
    return InputError(
        f"{what}, line {exc.lineno + first_line - 1}: {said}; `--raw` sends `{{{{` and `{{%` as plain text"
    )


def assigned(tree: nodes.Template) -> set[str]:
    """Names that the template itself gives a value somewhere, with Jinja's own words for loops and macros."""
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    own |= {macro.name for macro in tree.find_all(nodes.Macro)}
    if any(tree.find_all(nodes.Macro)):
        own |= {"caller", "varargs", "kwargs"}
    return own | ({"loop"} if any(tree.find_all(nodes.For)) else set())


def asked(tree: nodes.Template, what: str, first_line: int = 1) -> list[tuple[str, int]]:
    """Names that must come from outside, each with the line where it first stands."""
    try:
        names = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as exc:  # an unknown filter or test shows only here
        raise syntax_error(exc, what, first_line) from exc
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in names:
            lines.setdefault(name.name, name.lineno + first_line - 1)
    return list(lines.items())


def _in_vars(name: str, variables: Mapping[str, object], where: str) -> object:
    """The notebook variable for `vars.name`; containers are let in, what has no sensible text is not."""
    if name not in variables:
        near = nearest(name, list(variables))
        raise InputError(f"{where}: no variable `{name}` in the notebook{near}")
    value = variables[name]
    if is_missing(value):
        raise InputError(f"{where}: the variable `{name}` is missing ({value!r}): give it a value")
    if isinstance(value, FunctionType | ModuleType | type | Iterator) or hasattr(value, "columns"):
        raise InputError(f"{where}: the variable `{name}` is {sized(value)}, which is no text to insert")
    return value
