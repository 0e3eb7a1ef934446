"""A JSON Schema → the text of a value that fits it, chosen by a number and always the same for it.

Knows what https://console.groq.com/docs/structured-outputs allows; of anything else it makes a string.
"""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 12
_LONGEST = 100_000  # characters of a text, elements of a list


def fitting(response_format: dict[str, Any], number: int, sentence: str) -> str:
    """The reply's JSON for a `response_format` of type `json_object` or `json_schema`."""
    asked = response_format.get("json_schema")
    schema = asked.get("schema") if isinstance(asked, dict) else None
    if not isinstance(schema, dict):
        return json.dumps({"sandbox": sentence}, ensure_ascii=False)
    try:
        return json.dumps(_value(schema, schema, number, sentence, 0), ensure_ascii=False)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as exc:
        raise OddSchema(f"the schema cannot be filled: {exc}") from exc


class OddSchema(ValueError):
    """A schema that is none: a word where a number belongs, a length beyond reason."""


def _value(schema: Any, root: dict[str, Any], number: int, sentence: str, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][number % len(schema["enum"])]
    if isinstance(schema.get("$ref"), str):
        return _value(_referred(schema["$ref"], root), root, number, sentence, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return _value(schema[union][0], root, number, sentence, depth + 1)

    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties") or {}
        return {
            name: _value(inner, root, number // (place + 1), sentence, depth + 1)
            for place, (name, inner) in enumerate(properties.items())
            # A schema that holds itself ends where it may: at what is not required.
            if depth < 3 or name in schema.get("required", ())
        }
    if kind == "array":
        count = min(max(depth < 3, _reasonable(schema.get("minItems", 0))), schema.get("maxItems", 100))
        inner = schema.get("items", {})
        return [_value(inner, root, number + place, sentence, depth + 1) for place in range(count)]
    if kind in ("integer", "number"):
        return _within(schema, number, kind == "integer")
    if kind == "boolean":
        return number % 2 == 1
    if kind == "null":
        return None
    return _string(schema, sentence)


def _referred(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _within(schema: dict[str, Any], number: int, whole: bool) -> float:
    low: float = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high: float = schema.get("maximum", schema.get("exclusiveMaximum", low + 10))
    low += "exclusiveMinimum" in schema and whole
    high -= "exclusiveMaximum" in schema and whole
    if whole:
        return int(low) + number % max(1, int(high) - int(low) + 1)
    return round(low + (high - low) * (number % 97 + 1) / 99, 3)  # never at an edge: it may be exclusive


def _string(schema: dict[str, Any], sentence: str) -> str:
    by_format = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00Z"}
    text: str = by_format.get(schema.get("format", ""), f"Sandbox: {sentence}")
    text = text.ljust(_reasonable(schema.get("minLength", 0)), ".")
    return text[: schema.get("maxLength", len(text))]


def _reasonable(length: int) -> int:
    if length > _LONGEST:
        raise ValueError(f"{length} is longer than the sandbox makes anything")
    return length
