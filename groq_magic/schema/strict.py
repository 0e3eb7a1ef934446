"""A JSON Schema → the same as strict as Groq demands, or one line that says why that cannot be.

https://console.groq.com/docs/structured-outputs: the root is an object, and every object, wherever it
stands, is closed (`additionalProperties: false`) and lists all its properties as required. Unions are
`anyOf`, and what is used again stands under `$defs`. Nothing is dropped in silence but what asks nothing of
a reply (defaults, examples, titles that repeat a name) and `uniqueItems`, which only the judge holds.
"""

from __future__ import annotations

from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts.values import json_fault, shown
from groq_magic.schema.merging import kinds, never_both
from groq_magic.schema.misfits import step
from groq_magic.schema.referring import Json, Source, defined, said

MAY_LACK = "x-may-lack"
"""On an object of a plan: the properties that the user's schema lets a reply leave out."""

_BOUNDS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("minItems", "maxItems"),
    **dict.fromkeys(
        ("integer", "number"), ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    ),
}
_WORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "prefixItems", "enum", "const"),
    *("anyOf", "oneOf", "allOf", "$ref"),
    *(word for words in _BOUNDS.values() for word in words),
}
_IN_FULL, _DEFS = "write each case in full under `anyOf`", "refer with `$ref` to '#/$defs/…'"
_LEAVE_OUT = "leave it out, and look at the parsed answers"
_NO_WORD = {
    "$id": _DEFS,
    "patternProperties": "name every property under `properties`",
    "contentEncoding": "bytes cannot be asked for: make it a text",
    **dict.fromkeys(("if", "then", "else", "dependentSchemas"), _IN_FULL),
    **dict.fromkeys(("not", "contains", "minContains", "maxContains", "propertyNames"), _LEAVE_OUT),
    **dict.fromkeys(("minProperties", "maxProperties", "dependentRequired", "dependencies"), _LEAVE_OUT),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), _LEAVE_OUT),
    **dict.fromkeys(("$dynamicRef", "$recursiveRef"), _DEFS),
}
"""What strict mode has no word for, and what to do instead."""

_ASKING = _WORDS | _NO_WORD.keys()
_IMPLIED = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
}


def plan(given: Json, name: str, called: str, *, typed: bool) -> Json:
    """The strict schema of `given`, which errors call `called`; where it is `typed`, it comes from a class.

    Properties that a JSON Schema of the user's own lets a reply leave out may be null here and are listed
    under MAY_LACK; `wire` takes that away. Raises InputError.
    """
    try:
        found = _Making(Source(given, called, typed)).whole(name)
    except RecursionError:
        raise InputError(f"{called} is nested too deeply: write it flatter") from None
    if fault := json_fault(found, called):
        raise InputError(fault)
    return found


def wire(planned: Json) -> Json:
    """The plan as it goes on the wire."""
    found = {word: value for word, value in planned.items() if word != MAY_LACK}
    for word in ("properties", "$defs"):
        if word in found:
            found[word] = {name: wire(inner) for name, inner in found[word].items()}
    if "items" in found:
        found["items"] = wire(found["items"])
    if "anyOf" in found:
        found["anyOf"] = [wire(inner) for inner in found["anyOf"]]
    return found


class _Making:
    """One schema on its way to be strict; what is under `$defs` is made when it is first referred to."""

    def __init__(self, source: Source) -> None:
        self._source, self._refused = source, source.refused
        self._typed = source.typed
        self._defs: Json = {}

    def whole(self, name: str) -> Json:
        flat = self._source.flat(self._source.root, "$")
        wrap = "wrap it in a class with one field" if self._typed else "make it a property of an object"
        if kinds(flat) != ["object"] and ("type" in flat or "properties" not in flat):
            raise self._refused("$", f"is {_what(flat)}; a reply must be an object: {wrap}")
        found = self._made(flat, "$", name)
        if "properties" not in found:
            raise self._refused("$", f"is a union; a reply must be one object: {wrap}")
        used = {name: self._defs[name] for name in self._source.named if name in self._defs}
        if endless := _endless(found, used):
            instead = "`T | None`" if self._typed else "may be null"
            why = f"holds itself in every case, so that no reply ends: make one of its fields {instead}"
            raise self._refused(endless, why)
        return {**found, "$defs": used} if used else found

    def _made(self, given: Any, path: str, name: str) -> Json:
        """The strict schema of one that stands at `path` under this name."""
        self._source.counted(path)
        if isinstance(given, dict) and (reference := _only_reference(given)) is not None:
            # Words beside a `$ref` are not in every reader's subset, and its object may hold itself.
            words, found = said(given, name), self._reference(reference, path)
            return {**words, "anyOf": [found]} if words else found
        flat = self._source.flat(given, path)
        for word, instead in _NO_WORD.items():
            if word in flat and flat[word] is not False:
                raise self._refused(path, f"has `{word}`, for which strict mode has no word: {instead}")
        return {**said(flat, name), **self._asking(flat, path)}

    def _reference(self, reference: str, path: str) -> Json:
        """A reference as it stands on the wire, with what it means under `$defs`."""
        reference = self._source.end(reference, path)
        name = defined(reference)
        if name is None:
            return {"$ref": reference}
        if name not in self._defs:
            self._defs[name] = {}  # it may refer to itself
            self._defs[name] = self._made(self._source.named[name], path, name)
        return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1")}

    def _asking(self, flat: Json, path: str) -> Json:
        """What a schema without references asks."""
        if "anyOf" in flat or "oneOf" in flat:
            return self._union(flat, path)
        if "enum" in flat or "const" in flat:
            return self._choice(flat, path)
        named = kinds(flat) or [kind for word, kind in _IMPLIED.items() if word in flat][:1]
        if not named:
            raise self._source.anything(path)
        if len(named) > 1 and {"object", "array"} & {*named}:
            return {"anyOf": [self._asking({**flat, "type": kind}, path) for kind in named]}
        if named == ["object"]:
            return self._object(flat, path)
        if named == ["array"]:
            return self._array(flat, path)
        if self._typed and flat.get("format") == "decimal":
            return {"type": "number"}  # msgspec reads both, and no model knows this format
        bounds = {word for kind in named for word in _BOUNDS.get(kind, ())}
        kept = {word: value for word, value in flat.items() if word in bounds}
        return {"type": _one_or_all(named), **kept}

    def _object(self, flat: Json, path: str) -> Json:
        given, more = flat.get("properties", {}), flat.get("additionalProperties", False)
        if more is not False or flat.keys().isdisjoint({"properties", "additionalProperties"}):
            closed = _CLOSED[self._typed]
            raise self._refused(path, f"is an open map, and strict mode names every key: {closed}")
        if not given:
            raise self._refused(path, "has no fields: give it one")
        required = flat.get("required", [])
        if unknown := [name for name in required if name not in given]:
            raise self._refused(path, f"requires {shown(unknown[0])}, which is none of its properties")
        lacking = [] if self._typed else [name for name in given if name not in required]
        lacking = [name for name in lacking if not self._source.takes_null(given[name])]
        made = {name: self._made(inner, path + step(name), name) for name, inner in given.items()}
        made |= {name: _or_null(made[name]) for name in lacking}
        found = {"type": "object", "properties": made, "required": list(made), "additionalProperties": False}
        return {**found, MAY_LACK: lacking} if lacking else found

    def _array(self, flat: Json, path: str) -> Json:
        items, first = flat.get("items", True), flat.get("prefixItems")
        bounds = {word: flat[word] for word in _BOUNDS["array"] if word in flat}
        if first is not None:
            ends = bounds.get("minItems") == len(first) and (
                items is False or bounds.get("maxItems") == len(first)
            )
            if not ends or any(one != first[0] for one in first):
                instead = "write a class (an object) with a field for each"
                raise self._refused(path, f"is a tuple of different types: {instead}")
            items, bounds = first[0], {"minItems": len(first), "maxItems": len(first)}
        return {"type": "array", "items": self._made(items, f"{path}[]", ""), **bounds}

    def _choice(self, flat: Json, path: str) -> Json:
        allowed, values = kinds(flat), flat.get("enum", [])
        if "const" in flat:
            values = [flat["const"]] if "enum" not in flat or flat["const"] in values else []
        values = [value for value in values if not allowed or _fits(_kind(value), allowed)]
        if not values:
            raise self._refused(path, "allows nothing: its `enum`, `const` and `type` exclude each other")
        if any(isinstance(value, dict | list) for value in values):
            labels = "labels are texts, numbers, true, false and null"
            raise self._refused(path, f"chooses among objects or lists: {labels}")
        return {"type": _one_or_all(list(dict.fromkeys(map(_kind, values)))), "enum": values}

    def _union(self, flat: Json, path: str) -> Json:
        if "anyOf" in flat and "oneOf" in flat:
            raise self._refused(path, "has `anyOf` and `oneOf`: keep one of them")
        word = "anyOf" if "anyOf" in flat else "oneOf"
        rest = {name: value for name, value in flat.items() if name in _WORDS and name != word}
        branches = [{"allOf": [branch, rest]} if rest else branch for branch in flat[word]]
        made = [self._made(branch, path, "") for branch in branches]
        if word == "oneOf" and not self._typed and not self._kinds_apart(made):
            raise self._refused(path, "has `oneOf` whose branches do not exclude each other: write `anyOf`")
        return {"anyOf": made}

    def _kinds_apart(self, made: list[Json]) -> bool:
        whole = [self._defs.get(defined(one.get("$ref", "")) or "", one) for one in made]
        pairs = ((one, other) for at, one in enumerate(whole) for other in whole[:at])
        return all(never_both(one, other) for one, other in pairs)


def _endless(root: Json, defs: Json) -> str:
    """What can never be written to its end because it always holds itself, or ""."""
    waiting, ending = {"$": root, **defs}, set[str]()

    def ends(schema: Json) -> bool:
        if "$ref" in schema:
            return (defined(schema["$ref"]) or "$") in ending
        if "anyOf" in schema:
            return any(map(ends, schema["anyOf"]))
        if "items" in schema:
            return not schema.get("minItems") or ends(schema["items"])
        return all(map(ends, schema.get("properties", {}).values()))

    while found := [name for name in reversed(waiting) if ends(waiting[name])]:
        ending.update(found)
        for name in found:
            del waiting[name]
    return next(reversed(waiting), "")


_CLOSED = {
    True: "write a class with these fields, or a list of a class with `key` and `value`",
    False: "list them under `properties` and set `additionalProperties` to false",
}


def _only_reference(schema: Json) -> str | None:
    """The reference, where a schema is one and asks nothing beside it."""
    asking = schema.keys() & _ASKING
    parts = schema["allOf"] if asking == {"allOf"} else []
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"$ref"}:
        schema, asking = parts[0], {"$ref"}
    return str(schema["$ref"]) if asking == {"$ref"} else None


def _or_null(schema: Json) -> Json:
    null = {"type": "null"}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], null]}
    return {"anyOf": [schema, null]}


def _one_or_all(named: list[str]) -> str | list[str]:
    return named[0] if len(named) == 1 else named


def _kind(value: object) -> str:
    named = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return named.get(type(value), "object")


def _fits(kind: str, allowed: list[str]) -> bool:
    return kind in allowed or (kind == "integer" and "number" in allowed)


def _what(flat: Json) -> str:
    named = kinds(flat)
    if len(named) != 1:
        return "a union" if named or "anyOf" in flat or "oneOf" in flat else "no object"
    return {"array": "a list", "string": "a text"}.get(named[0], f"of type {named[0]}")
