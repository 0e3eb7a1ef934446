"""Everything that `--schema` takes → a Schema."""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, get_args, get_origin

import msgspec

from groq_magic.errors import InputError
from groq_magic.prompts.values import a_type, json_fault, shown
from groq_magic.schema.asked import Schema
from groq_magic.schema.labels import NAME, of_labels, of_property
from groq_magic.schema.misfits import reason
from groq_magic.schema.referring import defined
from groq_magic.schema.strict import plan, wire

_NAMELESS = "answer"


def schema_of(given: object) -> Schema:
    """The Schema of any form. Raises InputError with one line.

    It takes a Pydantic model, a dataclass, a TypedDict, a msgspec Struct, a JSON Schema dict, or labels
    ("a|b", a Literal, an Enum, a list of texts). A class is judged by itself: by Pydantic where it is
    Pydantic's, else by msgspec. Every field is asked for, also one with a default; what may be absent is
    `T | None`.
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
    if isinstance(given.get("schema"), dict) or isinstance(given.get("json_schema"), dict):
        raise InputError(f"{called}: this holds one: pass only what stands under `schema`")
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
    name = kind.__name__
    if isinstance(given, Enum):
        raise InputError(f"the schema: {shown(given)} is one label: pass its class, `{name}`")
    is_instance = dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct)
    if is_instance or hasattr(kind, "__pydantic_validator__"):
        raise InputError(f"the schema: this is an instance of `{name}`: pass the class itself")
    if isinstance(given, AbstractSet):
        raise InputError("the schema: a set has no order, and labels have one: `sorted(x)` makes a list")
    if isinstance(given, Mapping):
        raise InputError(f"the schema: this is {a_type(given)}: `dict(x)` makes a JSON Schema of it")
    if given is None or isinstance(given, _PLAIN) or hasattr(kind, "__array__") or hasattr(kind, "__next__"):
        takes = "a class, a JSON Schema dict or labels: 'positive|negative', or a list of texts"
        raise InputError(f"the schema: this is {a_type(given)}; what is taken is {takes}")


_PLAIN = (int, float, complex, bytes, bytearray, range, FunctionType, BuiltinFunctionType, ModuleType)


def _called(given: object) -> str:
    """What errors call a class: "the schema `list[Review]`"."""
    if isinstance(given, type) and get_origin(given) is None:
        return f"the schema `{given.__name__}`"
    named = re.sub(r"(?:\w+\.)+(?=\w)", "", shown(given))  # without the modules
    return f"the schema `{named}`"


def _named(described: dict[str, Any]) -> str:
    """A class's name on the wire, as its own schema has it."""
    return _name(str(described.get("title") or defined(described.get("$ref", "")) or ""))


def _of_msgspec(given: Any) -> Schema:
    called = _called(given)
    try:
        described = msgspec.json.schema(given)
        decode = msgspec.json.Decoder(given).decode
        dicts = list(_typed_dicts(msgspec.inspect.type_info(given)))
    except Exception as exc:  # the class's own code runs here too
        raise InputError(f"{called} cannot be described: {_last_line(exc)}") from exc
    for kind in dicts:
        absent = next((one.name for one in kind.fields if not one.required), None)
        if absent:
            may = f"`{kind.cls.__name__}.{absent}` may be absent, and strict mode asks for every field"
            raise InputError(f"{called}: {may}: make it `T | None`")
        _in_order(described, kind.cls)
    name = _named(described)
    return _asked(name, plan(described, name, called, typed=True), decode)


def _in_order(described: dict[str, Any], cls: type) -> None:
    """Puts the fields of a TypedDict into the order of its class: msgspec sorts them by name."""
    for schema in described.get("$defs", {}).values():
        given, order = schema.get("properties", {}), list(cls.__annotations__)
        if schema.get("title") == cls.__name__ and sorted(given) == sorted(order):
            schema["properties"] = {name: given[name] for name in order}


def _last_line(exc: Exception) -> str:
    """What msgspec says at the end, after what it says to those who extend it."""
    lines = str(exc).splitlines() if isinstance(exc, TypeError) else []
    instead = "write it with types that JSON has, as a dataclass or a Pydantic model"
    return f"{lines[-1].strip()}; {instead}" if lines else reason(exc)


def _typed_dicts(kind: Any) -> Iterator[msgspec.inspect.TypedDictType]:
    """Every TypedDict in a type."""
    waiting, met = [kind], set[int]()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, tuple):
            waiting += kind
        elif isinstance(kind, msgspec.inspect.Type | msgspec.inspect.Field) and id(kind) not in met:
            met.add(id(kind))
            if isinstance(kind, msgspec.inspect.TypedDictType):
                yield kind
            waiting += [getattr(kind, name) for name in kind.__struct_fields__]


# --- Pydantic ----------------------------------------------------------------------------------------


def _is_pydantics(given: object) -> bool:
    """Whether it is a model, a dataclass or a TypeAdapter, or of one; who has one has imported Pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    one = hasattr(given, "__pydantic_validator__") or isinstance(given, pydantic.TypeAdapter)
    return one or any(map(_is_pydantics, get_args(given)))


def _of_pydantic(given: Any) -> Schema:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

    class Asking(GenerateJsonSchema):
        # A default is never sent, so that one cannot be written is nobody's concern.
        ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default"}  # noqa: RUF012

        def decimal_schema(self, schema: Any) -> Any:
            limits: Any = {word: float(limit) for word, limit in schema.items() if word in _LIMITS}
            return self.float_schema(limits)

    called = _called(given)
    try:
        adapter = given if isinstance(given, TypeAdapter) else TypeAdapter(given)
        described = adapter.json_schema(schema_generator=Asking)
    except Exception as exc:
        said = reason(exc).partition(" For further information visit")[0]
        raise InputError(f"{called} cannot be described: {said}") from exc
    name = _named(described)
    planned = plan(described, name, called, typed=True)

    def judge(text: str) -> object:
        msgspec.json.decode(text)  # Pydantic would read NaN, Infinity and 1e999, which are no JSON
        return adapter.validate_json(text)

    return _asked(name, planned, judge)


_LIMITS = ("ge", "gt", "le", "lt", "multiple_of")
