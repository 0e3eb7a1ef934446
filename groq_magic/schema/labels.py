"""A choice among labels, however it is written; on the wire an object with the one property `label`.

The root of a strict schema must be an object: https://console.groq.com/docs/structured-outputs. All forms of
the same labels are equal on the wire, so that answers are reused from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import msgspec

from groq_magic.errors import InputError
from groq_magic.prompts.checks import listed
from groq_magic.prompts.values import a_type, encodes, shown
from groq_magic.schema.asked import Schema
from groq_magic.schema.misfits import Misfit

NAME = "label"
_KINDS: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}

_Label = str | int | bool | None


def of_labels(given: object) -> Schema | None:
    """The Schema of labels in any form, None for what is no labels. Raises InputError."""
    pairs = _pairs(given)
    return None if pairs is None else schema_of_pairs(pairs)


def of_property(schema: Mapping[str, Any]) -> Schema | None:
    """The Schema of labels whose wire form this is, None for any other schema."""
    found = schema.get("properties", {})
    values = found[NAME].get("enum") if list(found) == [NAME] else None
    if not values:
        return None
    try:
        made = schema_of_pairs([(value, value) for value in values])
    except InputError:
        return None
    return made if made.json_schema == schema else None


def schema_of_pairs(pairs: list[tuple[Any, object]]) -> Schema:
    """The Schema of labels given as (what stands on the wire, what the user holds). Raises InputError."""
    values = [_plain(value, at) for at, (value, _) in enumerate(pairs, 1)]
    names = tuple(
        value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values
    )
    _check(names)
    kinds = list(dict.fromkeys(_KINDS[type(value)] for value in values))
    label = {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}
    wire = {"type": "object", "properties": {NAME: label}, "required": [NAME], "additionalProperties": False}
    members = {(type(value), value): held for value, (_, held) in zip(values, pairs, strict=True)}
    return Schema(NAME, wire, (NAME,), names, _judge(members, names, texts=kinds == ["string"]))


def _pairs(given: object) -> list[tuple[Any, object]] | None:
    if isinstance(given, str) and not isinstance(given, Enum):
        return [(label, label) for label in _parted(given)]
    if get_origin(given) is Literal:
        return [(value.value if isinstance(value, Enum) else value, value) for value in get_args(given)]
    if isinstance(given, type) and issubclass(given, Enum):
        return [(member.value, member) for member in given]
    if type(given) in (list, tuple):
        found = list(given)  # type: ignore[call-overload]
        for at, label in enumerate(found, 1):
            if not isinstance(label, str):
                raise InputError(
                    f"the labels: label {at:,} is {a_type(label)}; in a list they are texts: `str(x)`"
                )
        return [(label, str.__str__(label)) for label in found]
    return None


def _parted(text: str) -> list[str]:
    """The labels of "positive|negative", without the spaces around them."""
    if text.lstrip().startswith(("{", "[")):
        raise InputError(
            f"the labels: {shown(text)} looks like JSON; a JSON Schema is a dict: `json.loads(text)`"
        )
    return [label.strip() for label in text.split("|")]


def _plain(value: object, at: int) -> _Label:
    """The value of a label as JSON has it; what is a text or a number of its own kind is that."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and value.bit_length() < 64:  # msgspec reads no larger one as a whole number
        return int.__int__(value)
    raise InputError(f"the labels: label {at:,} is {shown(value)}; labels are texts or whole numbers")


def _check(names: tuple[str, ...]) -> None:
    if len(names) < 2:
        one = f"{shown(names[0])} is one label" if names and names[0].strip() else "there is none"
        raise InputError(f"the labels: {one}; two or more are chosen from, for example 'positive|negative'")
    met = set[str]()
    for at, name in enumerate(names, 1):
        if not name.strip():
            raise InputError(f"the labels: label {at:,} is empty: fill it or leave it out")
        if not encodes(name):
            raise InputError(f"the labels: label {at:,} holds half a character (a lone surrogate)")
        if name in met:
            raise InputError(f"the labels: {shown(name)} stands there twice: leave one out")
        met.add(name)


class _Text(msgspec.Struct):
    label: str


class _Value(msgspec.Struct):
    label: _Label


def _judge(
    members: dict[tuple[type, Any], object], names: tuple[str, ...], *, texts: bool
) -> Callable[[str], object]:
    decode: Callable[[str], Any] = msgspec.json.Decoder[Any](_Text if texts else _Value).decode

    def judge(text: str) -> object:
        label = decode(text).label
        try:
            return members[label.__class__, label]
        except KeyError:
            known = listed(names, 10)
            raise Misfit("$.label", f"{shown(label)} is none of the labels {known}") from None

    return judge
