"""Everything that `--schema` takes → a Schema."""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

import msgspec

from groq_magic.errors import InputError
from groq_magic.prompts.values import a_type, json_fault, shown
from groq_magic.schema.asked import Schema
from groq_magic.schema.labels import NAME, of_labels, of_property
from groq_magic.schema.misfits import reason
from groq_magic.schema.strict import plan, wire

_NAMELESS = "answer"


def schema_of(given: object) -> Schema:
    """The Schema of any form: a Pydantic model, a dataclass, a TypedDict, a msgspec Struct, a JSON Schema dict,
    or labels ("a|b", Literal, Enum, a list of str). Raises InputError with one line.

    A class is judged by itself: by Pydantic where it is Pydantic's, else by msgspec. Every field is asked for,
    also one with a default.
    """
    if isinstance(given, Schema):
        return given
    try:
        return _of_any(given)
    except InputError:
        raise
    except Exception as exc:  # what is given may run code of its own, and describe itself by anything
        raise InputError(f"the schema cannot be read: {reason(exc)}") from exc


def _of_any(given: object) -> Schema:
    labels = of_labels(given)
    if labels is not None:
        return labels
    if isinstance(given, dict):
        return _of_dict(given)
    _check(given)
    return _of_pydantic(given) if _is_pydantics(given) else _of_msgspec(given)


def of_wire(body: Mapping[str, Any]) -> Schema | None:
    """The Schema that a stored request asked for, None where it asked for none or not strictly.

    Its instances are plain values, and of labels their values: the class is not on the wire. Never raises.
    """
    try:
        asked = body["response_format"]["json_schema"]
        if body["response_format"]["type"] != "json_schema" or asked["strict"] is not True:
            return None
        return _of_wire(str(asked["name"]), msgspec.json.encode(asked["schema"]))
    except Exception:  # a body of anybody's: whatever is wrong with it, there is no schema to read by
        return None


@functools.lru_cache(maxsize=32)
def _of_wire(name: str, encoded: bytes) -> Schema | None:
    schema = msgspec.json.decode(encoded)
    labels = of_property(schema) if name == NAME else None
    if labels is not None:
        return labels
    try:
        return dataclasses.replace(_judged(schema, name, "the schema"), json_schema=schema)
    except InputError:
        return None


# --- a JSON Schema -----------------------------------------------------------------------------------


def _of_dict(given: dict[str, Any]) -> Schema:
    called = "the JSON Schema"
    if wrong := json_fault(given, called):
        raise InputError(wrong)
    own = msgspec.json.decode(msgspec.json.encode(given))  # the user may change the dict later
    # Both would be followed: the one to another place, the other to another draft.
    own = {word: value for word, value in own.items() if word not in ("$id", "$schema")}
    return _judged(own, _name(str(own.get("title", ""))), called)


def _judged(own: dict[str, Any], name: str, called: str) -> Schema:
    from groq_magic.schema.judging import fault, judge_of  # brings jsonschema

    try:
        wrong = fault(own)
    except RecursionError:
        wrong = "it is nested too deeply: write it flatter"
    if wrong:
        raise InputError(f"{called}: {wrong}")
    planned = plan(own, name, called, typed=False)
    return _asked(name, planned, judge_of(own, planned))


def _asked(name: str, planned: dict[str, Any], judge: Callable[[str], object]) -> Schema:
    return Schema(name, wire(planned), tuple(planned["properties"]), None, judge)


def _name(called: str) -> str:
    """A name as Groq takes it: letters, digits, _ and -, at most 64."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", called).strip("_")[:64] or _NAMELESS


# --- classes -----------------------------------------------------------------------------------------


def _check(given: object) -> None:
    """Refuses what is no class, with what to type instead."""
    kind = type(given)
    if isinstance(given, Enum):
        raise InputError(f"the schema: {shown(given)} is one label: pass its class, `{kind.__name__}`")
    is_instance = dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)
    if is_instance or hasattr(kind, "__pydantic_validator__"):
        raise InputError(
            f"the schema: this is an instance of {kind.__name__}: pass the class, `{kind.__name__}`"
        )
    if isinstance(given, AbstractSet):
        raise InputError("the schema: a set has no order, and labels have one: `sorted(x)` makes a list")
    if isinstance(given, Mapping):
        raise InputError(f"the schema: this is {a_type(given)}: `dict(x)` makes a JSON Schema of it")
    plain = given is None or isinstance(given, int | float | complex | bytes | bytearray)
    if plain or hasattr(kind, "__array__") or hasattr(kind, "__next__"):
        raise InputError(
            f"the schema: this is {a_type(given)}; it is a class, a JSON Schema dict or labels: {_LABELS}"
        )


_LABELS = "'positive|negative', or a list of texts"


def _called(given: object) -> tuple[str, str]:
    """A class's name on the wire, and what errors call it."""
    named = getattr(given, "__name__", None)
    named = (
        named if isinstance(named, str) and isinstance(given, type) else shown(given).replace("__main__.", "")
    )
    return _name(named), f"the schema `{named}`"


def _of_msgspec(given: Any) -> Schema:
    name, called = _called(given)
    try:
        described = msgspec.json.schema(given)
        decode = msgspec.json.Decoder(given).decode
        absent = next(_may_be_absent(msgspec.inspect.type_info(given)), None)
    except Exception as exc:  # the class's own code runs here too
        raise InputError(f"{called} cannot be described: {_last_line(exc)}") from exc
    if absent:
        raise InputError(
            f"{called}: {absent} may be absent, and strict mode asks for all: make it `T | None`"
        )
    return _asked(name, plan(described, name, called, typed=True), decode)


def _last_line(exc: Exception) -> str:
    """What msgspec and Pydantic say at the end, after what they say to those who extend them."""
    lines = [line for line in str(exc).splitlines() if line.strip() and "errors.pydantic.dev" not in line]
    return lines[-1].strip() if lines and isinstance(exc, TypeError) else reason(exc)


def _may_be_absent(kind: Any) -> Iterator[str]:
    """The fields of TypedDicts, anywhere in a type, that are not required: "Review.note"."""
    waiting, met = [kind], set[int]()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, list | tuple):
            waiting += kind
        elif isinstance(kind, msgspec.inspect.Type | msgspec.inspect.Field) and id(kind) not in met:
            met.add(id(kind))
            if isinstance(kind, msgspec.inspect.TypedDictType):
                yield from (f"`{kind.cls.__name__}.{one.name}`" for one in kind.fields if not one.required)
            waiting += [getattr(kind, name) for name in kind.__struct_fields__]


# --- Pydantic ----------------------------------------------------------------------------------------


def _is_pydantics(given: object) -> bool:
    """Whether it is a model, a dataclass of Pydantic's or a TypeAdapter. Who has one has imported Pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    return hasattr(given, "__pydantic_validator__") or isinstance(given, pydantic.TypeAdapter)


def _of_pydantic(given: Any) -> Schema:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Asking(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (as it is declared)

        def decimal_schema(self, schema: Any) -> Any:
            return self.float_schema({"type": "float", **{k: v for k, v in schema.items() if k in _LIMITS}})

    name, called = _called(given)
    try:
        adapter = given if isinstance(given, TypeAdapter) else TypeAdapter(given)
        described = adapter.json_schema(schema_generator=Asking)
        name = _name(str(described.get("title", ""))) if adapter is given else name
    except Exception as exc:
        raise InputError(f"{called} cannot be described: {reason(exc)}") from exc
    planned = plan(described, name, called, typed=True)

    def judge(text: str) -> object:
        if "NaN" in text or "Infinity" in text:  # Pydantic would read them, and they are no JSON
            msgspec.json.decode(text)
        return adapter.validate_json(text)

    return _asked(name, planned, judge)


_LIMITS = ("ge", "gt", "le", "lt", "multiple_of")
