"""A value → whether JSON can hold it as it is, and the words that name it in an error.

Nothing is ever turned into something else on its way to the wire: not bytes into base64, not a date into a
text, not NaN into null. What the JSON encoder would turn is refused here, with the place and what to type.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum

DEEPEST = 200
"""So many containers may lie in one another. No request needs as many; a list that holds itself has more."""

HALF = (
    "holds half a character (a lone surrogate), which cannot be sent: "
    'text.encode("utf-8", "replace").decode() takes it out'
)


def json_fault(value: object, root: str = "") -> str:
    """What JSON cannot hold of this value, or "": "extra['stop'][1] is bytes, …", where `root` is "extra".

    Texts (also of subclasses of str), whole numbers, finite floats, True, False and None pass, and lists,
    tuples and dicts of them, with texts as keys.
    """
    try:
        fault = _fault(value, 0)
    except RecursionError:  # the walk's own, or Python's where little of the stack is left
        fault = f" is nested more than {DEEPEST} levels deep (or holds itself): write it flatter"
    return f"{root}{fault}" if root and fault else fault.removeprefix(" ")


def _fault(value: object, depth: int) -> str:
    """What is wrong, with the way to it from here in front, or ""."""
    if not isinstance(value, dict | list | tuple):
        return _plain_fault(value)
    if depth == DEEPEST:
        raise RecursionError
    # Containers are read as the encoder reads them, whatever methods a subclass brings of its own.
    if isinstance(value, dict):
        for key, item in dict.items(value):
            if not isinstance(key, str):
                return f" has the key {shown(key)}; JSON's keys are texts: `str(x)` makes one"
            if not key.isascii() and not encodes(key):
                return f" has the key {shown(key)}, which {HALF}"
            if type(item) is str and item.isascii():
                continue
            if fault := _fault(item, depth + 1):
                return f"[{shown(key)}]{fault}"
        return ""
    for at, item in enumerate(list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)):
        if fault := _fault(item, depth + 1):
            return f"[{at}]{fault}"
    return ""


def _plain_fault(value: object) -> str:
    """The same of a value that is no container."""
    kind = type(value)
    if isinstance(value, str):
        return "" if encodes(value) else f" {HALF}"
    if value is None or kind is bool:
        return ""
    if isinstance(value, int) and kind is int:
        few = value.bit_length() < 10_000
        return "" if few else " is a number of thousands of digits, which nobody reads: write a smaller one"
    if isinstance(value, float) and kind is float:
        return "" if math.isfinite(value) else f" is {value}, which JSON does not have: None is its null"
    return _other(value)


def _other(value: object) -> str:
    what = "bytes" if isinstance(value, bytes) else a_type(value)
    return f" is {what}, which JSON cannot hold: {_hint(value)}"


def _hint(value: object) -> str:
    """What to type to have something that JSON can hold."""
    name = type(value).__name__
    if isinstance(value, bytes | bytearray):
        return "`.decode()` makes a text"
    if name in ("NAType", "NaTType"):
        return "None is its null"
    if isinstance(value, Enum):
        return "`.value` is what it stands for"
    if isinstance(value, type):
        return "it is a class; a schema is written as a dict"
    if isinstance(value, AbstractSet):
        return "`sorted(x)` makes a list"
    if hasattr(value, "isoformat"):
        return "`.isoformat()` makes a text"
    if hasattr(value, "tolist"):
        return "`.tolist()` makes a plain value"  # also of one number of NumPy's
    if isinstance(value, Mapping):
        return "`dict(x)` makes a dict"
    if isinstance(value, int):
        return "`int(x)` makes a plain number"
    if hasattr(value, "__float__"):
        return "`float(x)` makes a plain number"
    if isinstance(value, Iterable):
        return "`list(x)` makes a list"
    return "write it with dicts, lists, texts and numbers"


def encodes(text: str) -> bool:
    """Whether the text can be written as UTF-8: not so with a lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def a_type(value: object) -> str:
    """The value's type with its article: "a dict", "an int"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def shown(value: object, at_most: int = 60) -> str:
    """The value as Python writes it, on one line and cut off where it is long."""
    try:
        text = str.__repr__(value) if isinstance(value, str) else repr(value)
    except ValueError:  # Python writes no whole number of thousands of digits
        return f"a very large {type(value).__name__}"
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= at_most else f"{text[:at_most]}…"
