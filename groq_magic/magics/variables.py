"""What the notebook's variables are, seen from outside: no code of theirs is run and no library is imported.

Kinds are told by `type(value)`, and contents are read only of Python's own containers, of Answers and of
frames whose library is loaded already.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from numbers import Number
from pathlib import PurePath
from types import AsyncGeneratorType, FunctionType, GeneratorType, ModuleType

from groq_magic.answers import Answers, frames

_FRAMES = (
    ("pandas", "DataFrame", "columns"),
    ("polars", "DataFrame", "columns"),
    ("pyarrow", "Table", "column_names"),
)
_SERIES = (("pandas", "Series"), ("polars", "Series"), ("pyarrow", "ChunkedArray"))
_SOURCES = (list, dict, tuple, Answers, GeneratorType, AsyncGeneratorType, PurePath)
_IN_BODY = (str, Number, date, time, timedelta)  # a datetime is a date, a bool a Number


@dataclass(frozen=True)
class Source:
    """What a template may use of a source: its columns' names, and which of row, item, id and index."""

    columns: tuple[str | int, ...] = ()
    plain: tuple[str, ...] = ()


TEXTS = Source((), ("item", "index"))
UNSEEN = Source((), ("row", "item", "index"))
"""What a source may have that cannot be known before it is read."""


class _Nothing:
    """There is no such variable."""


def visible(namespace: Mapping[str, object], hidden: Mapping[str, object]) -> dict[str, object]:
    """The variables that a person made, by name: no `_names`, no modules, none that IPython put there."""
    return {
        name: value
        for name, value in sorted(_named(namespace), key=lambda pair: pair[0].casefold())
        if name.isidentifier()
        and not name.startswith("_")
        and not _is(value, ModuleType)
        and hidden.get(name, _Nothing) is not value
    }


def _named(namespace: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The pairs at this moment: another thread may be adding some. The keys may be anything."""
    return ((name, value) for name, value in dict(namespace).items() if type(name) is str)


def _is(value: object, *kinds: type) -> bool:
    """As isinstance, which would ask an object that poses as another for its `__class__`."""
    return issubclass(type(value), kinds)


def _loaded(library: str, name: str) -> type:
    """A library's class, or one that nothing is of, where the library has not been imported."""
    found = getattr(sys.modules.get(library), name, None)
    return found if isinstance(found, type) else _Nothing


def is_answers(value: object) -> bool:
    """Whether it is an Answers."""
    return _is(value, Answers)


def is_text(value: object) -> bool:
    """Whether it is a str."""
    return _is(value, str)


def is_number(value: object) -> bool:
    """Whether it is an int or a float, and no bool."""
    return _is(value, int, float) and not _is(value, bool)


def is_whole(value: object) -> bool:
    """Whether it is an int and no bool."""
    return is_number(value) and _is(value, int)


def is_class(value: object) -> bool:
    """Whether it is a type."""
    return _is(value, type)


def is_source(value: object) -> bool:
    """Whether prompts are likely to come from it: a frame, list, dict, Answers, generator or path."""
    tables = [_loaded(library, name) for library, name, *_ in (*_FRAMES, *_SERIES)]
    return _is(value, *_SOURCES, *tables)


def goes_in_body(value: object) -> bool:
    """Whether it may stand in a cell's own prompts: texts, numbers, dates."""
    return _is(value, *_IN_BODY)


def goes_in_template(value: object) -> bool:
    """Whether it may stand in a template as `vars.x`: no function, no type, no table."""
    tables = [_loaded(library, name) for library, name, _ in _FRAMES]
    return value is not None and not _is(value, FunctionType, ModuleType, type, *tables)


# Sources -----------------------------------------------------------------------------------------------


def source(expression: str, namespace: Mapping[str, object]) -> Source:
    """What the source of this expression has, as far as it shows without evaluating anything.

    A name is looked up. Of what is cut or called from a frame, as in `df[df.n > 1]` or `df.head(9)`, it is
    the frame's columns; one column alone is texts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns about odd escapes again when it is evaluated
        try:
            tree = ast.parse(expression.strip(), mode="eval")
        except (SyntaxError, ValueError):
            return UNSEEN
    return _of_node(tree.body, dict(_named(namespace)))


def _of_node(node: ast.expr, variables: Mapping[str, object]) -> Source:
    found = _value(node, variables)
    if found is not _Nothing:
        return _of_value(found)
    match node:
        case ast.Subscript(value=of, slice=ast.Constant(value=str(column))) | ast.Attribute(of, column):
            whole = _of_node(of, variables)
            return TEXTS if column in whole.columns else whole
        case ast.Subscript(value=of, slice=ast.List(elts=chosen)) if chosen:
            whole = _of_node(of, variables)
            names = _names(each.value for each in chosen if isinstance(each, ast.Constant))
            return Source(tuple(name for name in names if name in whole.columns), whole.plain)
        case ast.Subscript(value=of) | ast.Call(func=ast.Attribute(value=of)):
            return _of_node(of, variables)
    return UNSEEN


def _value(node: ast.expr, variables: Mapping[str, object]) -> object:
    """The value of a name, or of a dict's key, as in `data["train"]`; else `_Nothing`."""
    match node:
        case ast.Name(id=name):
            return variables.get(name, _Nothing)
        case ast.Subscript(value=of, slice=ast.Constant(value=str(key))):
            held = _value(of, variables)
            return held.get(key, _Nothing) if type(held) is dict else _Nothing
    return _Nothing


def _of_value(value: object) -> Source:
    for library, name, columns in _FRAMES:
        if _is(value, _loaded(library, name)):
            return Source(_names(getattr(value, columns)), ("row", "index"))
    if _is(value, *(_loaded(library, name) for library, name in _SERIES)):
        return TEXTS
    if type(value) is Answers:
        return Source(_of_answers(value), ("row", "index"))
    if type(value) is dict:
        return Source((), ("item", "id", "index"))
    first = value[0] if (type(value) is list or type(value) is tuple) and value else None
    if type(first) is dict:
        return Source(_names(first), ("row", "index"))
    return TEXTS if _is(first, str) else UNSEEN


def _of_answers(answers: Answers) -> tuple[str | int, ...]:
    """The columns of the answers' frame, which is not made for it."""
    frame = answers._frame
    given = _of_value(frame).columns if frame is not None else ("id", "prompt")
    return _names([*given, *frames.renamed(frames.added(answers), map(str, given))])


def _names(columns: Iterable[object]) -> tuple[str | int, ...]:
    """Those that a template can name."""
    return tuple(each for each in columns if type(each) is str or type(each) is int)
