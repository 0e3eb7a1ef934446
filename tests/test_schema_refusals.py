"""What cannot be asked for strictly, and the line that says so."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import numpy as np
import pydantic
import pytest

from tests.shapes import (
    INT,
    NUMBER,
    STR,
    Circle,
    Inner,
    Model,
    Mood,
    Mute,
    Point,
    Review,
    Square,
    own,
    ref,
    refusal,
    thing,
)


class Open(TypedDict, total=False):
    """May lack what it has."""

    note: str


class Lacking(TypedDict):
    """May lack one."""

    rating: int
    note: NotRequired[str]


@dataclasses.dataclass
class Endless:
    """Holds one of its own, for ever."""

    inner: Endless


class Shy:
    """Breaks when it is asked what it has."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Empty(pydantic.BaseModel):
    """Has no fields."""


class Loose(pydantic.BaseModel, extra="allow"):
    """Takes more than it names."""

    rating: int


class Unwritable(pydantic.BaseModel, arbitrary_types_allowed=True):
    """Holds what no schema can describe."""

    at: Mute


def holds(kind: Any, name: str = "Holder") -> Any:
    """A class with one field of this type."""
    return dataclasses.make_dataclass(name, [("held", kind)])


def deep(levels: int) -> Any:
    """A list of a list of a list."""
    return json.loads('{"items":' * levels + "{}" + "}" * levels)


TOO_DEEP = "is nested more than 200 levels deep (or holds itself): write it flatter"
ENDLESS = "holds itself in every case, so that no reply ends: make one of its fields"
OR_MODEL = "write it with types that JSON has, as a dataclass or a Pydantic model"
WHOLE = "labels are texts or whole numbers"
A_TUPLE = "is a tuple of different types: write a class (an object) with a field for each"
WRAPPED_TOO = "a reply must be an object: make it a property of an object"
TWO = "two or more are chosen from, for example 'positive|negative'"
A_MAP = "is an open map, and strict mode names every key"
CLASSES = "write a class with these fields, or a list of a class with `key` and `value`"
LISTED = "list them under `properties` and set `additionalProperties` to false"
ASKED = "and strict mode asks for every field: make it `T | None`"
TAKEN = "what is taken is a class, a JSON Schema dict or labels: 'positive|negative', or a list of texts"
WRAPPED = "a reply must be an object: wrap it in a class with one field"
LEFT_OUT = "for which strict mode has no word: leave it out, and look at the parsed answers"
IN_FULL = "for which strict mode has no word: write each case in full under `anyOf`"

REFUSED: dict[str, tuple[object, str]] = {
    "one label": ("positive", f"the labels: 'positive' is one label; {TWO}"),
    "no label": ("", f"the labels: there is none; {TWO}"),
    "an empty list": ([], f"the labels: there is none; {TWO}"),
    "an empty label": ("a||b", "the labels: label 2 is empty: fill it or leave it out"),
    "a blank label": (["a", " "], "the labels: label 2 is empty: fill it or leave it out"),
    "a double label": ("a|b| a", "the labels: 'a' stands there twice: leave one out"),
    "two labels of one name": (
        Literal[1, "1"],
        "the labels: '1' stands there twice: leave one out",
    ),
    "half a character": (["a", "b\ud800"], "the labels: label 2 holds half a character (a lone surrogate)"),
    "a number in a list": (
        ["a", 1],
        "the labels: label 2 is an int; in a list they are texts: `str(x)`",
    ),
    "a label of bytes": (
        Literal["a", b"b"],
        f"the labels: label 2 is b'b'; {WHOLE}",
    ),
    "a huge label": (
        Literal["a", 2**70],
        f"the labels: label 2 is {2**70}; {WHOLE}",
    ),
    "an Enum of floats": (
        enum.Enum("E", {"a": 0.5, "b": 1.5}),
        f"the labels: label 1 is 0.5; {WHOLE}",
    ),
    "an Enum of nothing": (enum.Enum("E", {}), f"the labels: there is none; {TWO}"),
    "JSON in a text": (
        ' {"type": "object"}',
        'the labels: \' {"type": "object"}\' looks like JSON; a JSON Schema is a dict: `json.loads(text)`',
    ),
    "a set": (
        {"a", "b"},
        "the schema: a set has no order, and labels have one: `sorted(x)` makes a list",
    ),
    "a member": (Mood.GOOD, "the schema: <Mood.GOOD: 'positive'> is one label: pass its class, `Mood`"),
    "an instance": (Inner(), "the schema: this is an instance of `Inner`: pass the class itself"),
    "a model's instance": (
        Model(fullName="x"),
        "the schema: this is an instance of `Model`: pass the class itself",
    ),
    "None": (None, f"the schema: this is None; {TAKEN}"),
    "a number": (3, f"the schema: this is an int; {TAKEN}"),
    "an iterator": (iter("ab"), f"the schema: this is a str_ascii_iterator; {TAKEN}"),
    "a function": (holds, f"the schema: this is a function; {TAKEN}"),
    "an array": (np.array(["a", "b"]), f"the schema: this is a ndarray; {TAKEN}"),
    "a class of no fields that are known": (
        Mute,
        f"the schema `Mute` cannot be described: type {Mute} is not supported; {OR_MODEL}",
    ),
    "a word that is nowhere": (
        dataclasses.make_dataclass("Holder", [("held", "Nowhere")]),
        "the schema `Holder` cannot be described: NameError: name 'Nowhere' is not defined",
    ),
    "a list of models": (list[Model], f"the schema `list[Model]`: $ is a list; {WRAPPED}"),
    "a list": (list[Review], f"the schema `list[Review]`: $ is a list; {WRAPPED}"),
    "a named tuple": (Point, f"the schema `Point`: $ is a list; {WRAPPED}"),
    "a text": (str, f"the schema `str`: $ is a text; {WRAPPED}"),
    "a union": (Circle | Square, f"the schema `Circle | Square`: $ is a union; {WRAPPED}"),
    "perhaps nothing": (Inner | None, f"the schema `Inner | None`: $ is a union; {WRAPPED}"),
    "anything": (Any, f"the schema `Any`: $ is no object; {WRAPPED}"),
    "a map": (dict[str, int], f"the schema `dict[str, int]`: $ {A_MAP}: {CLASSES}"),
    "a map in a class": (holds(dict[str, int]), f"the schema `Holder`: $.held {A_MAP}: {CLASSES}"),
    "a map in a list in a class": (
        holds(list[Annotated[holds(dict, "Inside"), 1]]),
        f"the schema `Holder`: $.held[].held {A_MAP}: {CLASSES}",
    ),
    "anything in a class": (
        holds(Any),
        "the schema `Holder`: $.held may be anything: say what it is, for example `str`",
    ),
    "a list of anything": (
        holds(list),
        "the schema `Holder`: $.held[] may be anything: say what it is, for example `str`",
    ),
    "a mixed tuple": (
        holds(tuple[int, str]),
        f"the schema `Holder`: $.held {A_TUPLE}",
    ),
    "bytes": (
        holds(bytes),
        "the schema `Holder`: $.held has `contentEncoding`, for which strict mode has no word: bytes cannot "
        "be asked for: make it a text",
    ),
    "a class of anybody's": (
        holds(Mute),
        f"the schema `Holder` cannot be described: type {Mute} is not supported; {OR_MODEL}",
    ),
    "a total=False": (Open, f"the schema `Open`: `Open.note` may be absent, {ASKED}"),
    "a NotRequired": (
        holds(list[Lacking]),
        f"the schema `Holder`: `Lacking.note` may be absent, {ASKED}",
    ),
    "a dataclass that holds a model": (
        holds(Model),
        f"the schema `Holder` cannot be described: type {Model} is not supported; {OR_MODEL}",
    ),
    "no fields": (
        holds(dataclasses.make_dataclass("E", [])),
        "the schema `Holder`: $.held has no fields: give it one",
    ),
    "a model without fields": (Empty, "the schema `Empty`: $ has no fields: give it one"),
    "an open model": (Loose, f"the schema `Loose`: $ {A_MAP}: {CLASSES}"),
    "a root model of a list": (
        pydantic.RootModel[list[int]],
        f"the schema `RootModel[list[int]]`: $ is a list; {WRAPPED}",
    ),
    "an adapter of a text": (
        pydantic.TypeAdapter(str),
        f"the schema `TypeAdapter(str)`: $ is a text; {WRAPPED}",
    ),
    "a model that cannot be written": (
        Unwritable,
        "the schema `Unwritable` cannot be described: PydanticInvalidForJsonSchema: Cannot generate a "
        f"JsonSchema for core_schema.IsInstanceSchema ({Mute})",
    ),
    "no schema": (
        {"type": "text"},
        "the JSON Schema: $.type is no JSON Schema: 'text' is not valid under any of the given schemas",
    ),
    "a dict that JSON cannot hold": (
        {"type": object()},
        "the JSON Schema['type'] is an object, which JSON cannot hold: write it with dicts, lists, texts and "
        "numbers",
    ),
    "an empty dict": (
        {},
        f"the JSON Schema: $ is no object; {WRAPPED_TOO}",
    ),
    "a list's schema": (
        {"type": "array", "items": {}},
        f"the JSON Schema: $ is a list; {WRAPPED_TOO}",
    ),
    "a union's schema": (
        {"type": "object", "anyOf": [own(a=INT), own(b=INT)]},
        "the JSON Schema: $ is a union; a reply must be one object: make it a property of an object",
    ),
    "an object of anything": ({"type": "object"}, f"the JSON Schema: $ {A_MAP}: {LISTED}"),
    "an open object": (
        own(a=own(b=INT) | {"additionalProperties": True}),
        f"the JSON Schema: $.a {A_MAP}: {LISTED}",
    ),
    "an object of integers": (
        own(a={"type": "object", "additionalProperties": INT}),
        f"the JSON Schema: $.a {A_MAP}: {LISTED}",
    ),
    "patterns of names": (
        own(a={"type": "object", "patternProperties": {"^a": INT}}),
        "the JSON Schema: $.a has `patternProperties`, for which strict mode has no word: name every "
        "property under `properties`",
    ),
    "an empty object": (
        own(a={"type": "object", "properties": {}}),
        "the JSON Schema: $.a has no fields: give it one",
    ),
    "an odd name": (own(**{"a b": {}}), "the JSON Schema: $['a b'] may be anything: say its `type`"),
    "true": (own(a=True), "the JSON Schema: $.a may be anything: say its `type`"),
    "false": (own(a=False), "the JSON Schema: $.a allows nothing (`false`)"),
    "a list without items": (
        own(a={"type": "array"}),
        "the JSON Schema: $.a[] may be anything: say its `type`",
    ),
    "a required stranger": (
        {**own(a=INT), "required": ["b"]},
        "the JSON Schema: $ requires 'b', which is none of its properties",
    ),
    "a not": (
        own(a={"type": "string", "not": {"const": "x"}}),
        f"the JSON Schema: $.a has `not`, {LEFT_OUT}",
    ),
    "an if": (
        own(a={"type": "string", "if": {"const": "x"}}),
        f"the JSON Schema: $.a has `if`, {IN_FULL}",
    ),
    "an allOf that disagrees": (
        own(a={"allOf": [{"type": "string", "pattern": "a"}, {"pattern": "b"}]}),
        "the JSON Schema: $.a has an `allOf` whose parts disagree in `pattern`: write them as one schema",
    ),
    "an allOf of two types": (
        own(a={"allOf": [STR, INT]}),
        "the JSON Schema: $.a has an `allOf` whose parts disagree in `type`: write them as one schema",
    ),
    "an allOf of closed objects": (
        own(a={"allOf": [thing(b=INT), thing(c=INT)]}),
        "the JSON Schema: $.a has an `allOf` whose parts disagree in `additionalProperties`: write them as "
        "one schema",
    ),
    "a oneOf that overlaps": (
        own(a={"oneOf": [INT, NUMBER]}),
        "the JSON Schema: $.a has `oneOf` whose branches do not exclude each other: write `anyOf`",
    ),
    "a oneOf of objects that overlap": (
        own(a={"oneOf": [own(b=INT), own(b=NUMBER)]}),
        "the JSON Schema: $.a has `oneOf` whose branches do not exclude each other: write `anyOf`",
    ),
    "an anyOf and a oneOf": (
        own(a={"anyOf": [INT], "oneOf": [INT]}),
        "the JSON Schema: $.a has `anyOf` and `oneOf`: keep one of them",
    ),
    "labels that are objects": (
        own(a={"enum": [{"b": 1}]}),
        "the JSON Schema: $.a chooses among objects or lists: labels are texts, numbers, true, false and "
        "null",
    ),
    "labels of another type": (
        own(a={"enum": ["b"], "type": "integer"}),
        "the JSON Schema: $.a allows nothing: its `enum`, `const` and `type` exclude each other",
    ),
    "a mixed tuple's schema": (
        own(a={"type": "array", "prefixItems": [INT, STR], "minItems": 2, "maxItems": 2}),
        f"the JSON Schema: $.a {A_TUPLE}",
    ),
    "somewhere else": (
        own(a={"$ref": "https://example.org/x"}),
        "the JSON Schema: $.a refers to 'https://example.org/x': put that under `$defs`, '#/$defs/…'",
    ),
    "a file": (
        own(a={"items": {"$ref": "file:///etc/passwd"}}),
        "the JSON Schema: $.a[] refers to 'file:///etc/passwd': put that under `$defs`, '#/$defs/…'",
    ),
    "a place within": (
        own(a=INT, b={"$ref": "#/properties/a"}),
        "the JSON Schema: $.b refers to '#/properties/a': put that under `$defs`, '#/$defs/…'",
    ),
    "another base": (
        own(a={"$id": "https://example.org/x", **INT}),
        "the JSON Schema: $.a has `$id`, for which strict mode has no word: refer with `$ref` to '#/$defs/…'",
    ),
    "nothing there": (
        own(a={"$ref": "#/$defs/b"}),
        "the JSON Schema: $.a refers to '#/$defs/b', which is not there",
    ),
    "a circle": (
        own(a=ref("b")) | {"$defs": {"b": ref("c"), "c": ref("b")}},
        "the JSON Schema: $.a refers to '#/$defs/b', which leads in a circle",
    ),
    "a circle of parts": (
        own(a=ref("b")) | {"$defs": {"b": {"allOf": [INT, ref("b")]}}},
        "the JSON Schema: $.a refers to '#/$defs/b', which leads in a circle",
    ),
    "the root itself": ({"$ref": "#"}, "the JSON Schema: $ refers to '#', which leads in a circle"),
    "one without an end": (
        {**own(a=INT, b={"$ref": "#"})},
        f"the JSON Schema: $ {ENDLESS} may be null",
    ),
    "lists without an end": (
        own(a=ref("b")) | {"$defs": {"b": {"type": "array", "minItems": 1, "items": ref("b")}}},
        f"the JSON Schema: b {ENDLESS} may be null",
    ),
    "a class without an end": (Endless, f"the schema `Endless`: Endless {ENDLESS} `T | None`"),
    "a whole response_format": (
        {"type": "json_schema", "json_schema": {"name": "x", "schema": own(a=INT)}},
        "the JSON Schema: this holds one: pass only what stands under `schema`",
    ),
    "what stands in a response_format": (
        {"name": "x", "schema": own(a=INT)},
        "the JSON Schema: this holds one: pass only what stands under `schema`",
    ),
    "one that doubles": (
        own(a=ref("a0"))
        | {"$defs": {f"a{n}": {"allOf": [ref(f"a{n + 1}")] * 2} for n in range(40)} | {"a40": INT}},
        "the JSON Schema: $.a is one schema too many: 10,000 are the most",
    ),
    "a huge pattern": (
        own(a={"type": "string", "pattern": "((a{1000}){1000}){1000}"}),
        "the JSON Schema: the pattern '((a{1000}){1000}){1000}' repeats too much: write smaller counts",
    ),
    "no pattern": (
        own(a={"type": "string", "pattern": "("}),
        "the JSON Schema: $.properties.a.pattern is no JSON Schema: '(' is not a 'regex'",
    ),
    "a field of half a character": (
        own(**{"a\ud800": INT}),
        "the JSON Schema['properties'] has the key 'a\\ud800', which holds half a character (a lone "
        'surrogate), which cannot be sent: text.encode("utf-8", "replace").decode() takes it out',
    ),
    "half a character in a class": (
        holds(Annotated[int, msgspec.Meta(extra_json_schema={"description": "a\ud800"})]),
        "the schema `Holder`['properties']['held']['description'] holds half a character (a lone surrogate), "
        'which cannot be sent: text.encode("utf-8", "replace").decode() takes it out',
    ),
    "what breaks at a look": (
        Shy(),
        "the schema cannot be read: KeyError: '__pydantic_validator__'",
    ),
    "a deep one": (deep(150), "the JSON Schema: it is nested too deeply: write it flatter"),
    "a deeper one": (deep(400), f"the JSON Schema {TOO_DEEP}"),
    "one that holds itself": ((lambda odd: odd.update(items=odd) or odd)({}), f"the JSON Schema {TOO_DEEP}"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_strict_is_refused_in_one_line(name: str) -> None:
    """The line names the place in the schema, what is wrong there, and what to write instead."""
    odd, said = REFUSED[name]
    assert refusal(odd) == said
