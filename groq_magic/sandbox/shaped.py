"""A JSON Schema → the text of a value that fits it, chosen by a number and always the same for it.

https://console.groq.com/docs/structured-outputs. A small generator proposes, and the library `jsonschema`
judges: what does not fit is never returned. Libraries that make values were measured first: each of them
evaluates or fetches what the schema says, cannot recurse, or makes values that do not fit.
"""

from __future__ import annotations

import contextvars
import functools
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from re import _parser  # a pattern's parts, to know their size before one is made
from typing import Any

import jsonschema
import regex
from referencing import Registry
from referencing.exceptions import Unresolvable
from rstr import Rstr

VARIETY = 64  # so many values for one schema; a number is taken modulo this
_ATTEMPTS = 24
_MOST_NODES = 5_000
_LONGEST_TEXT, _LONGEST_LIST = 20_000, 2_000
_MOST_CHARACTERS = 200_000
_MOST_SCHEMAS, _MOST_STEPS = 2_000, 200_000  # of a schema, and of judging by it
_MOST_PATTERN_S = 0.5
_SHALLOW, _DEEPEST = 5, 24

_FORMATS = {
    "date-time": "2026-01-{:02d}T12:00:00Z",
    "date": "2026-01-{:02d}",
    "time": "12:00:{:02d}Z",
    "duration": "P{}D",
    "email": "row{}@example.org",
    "hostname": "row{}.example.org",
    "uri": "https://example.org/{}",
    "ipv4": "192.0.2.{}",
    "ipv6": "2001:db8::{}",
    "uuid": "00000000-0000-4000-8000-0000000000{:02d}",
}


class OddSchema(ValueError):
    """A schema that is none, or that the sandbox cannot fill; the text is one line."""


def fitting(schema: Any, number: int) -> str:
    """The JSON text of a value that fits, the same for the same (schema, number % VARIETY).

    Raises OddSchema.
    """
    try:
        text = json.dumps(schema, allow_nan=False)
    except (RecursionError, TypeError, ValueError) as exc:
        raise OddSchema("the schema is no JSON") from exc
    return _values(text, number % VARIETY)


def strict_fault(schema: Any) -> str:
    """What Groq's strict mode refuses in a schema, or "": each object lists all it has as required.

    Raises OddSchema.
    """
    _judge(json.dumps(schema))
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "the root must be of type object"
    for inner in _schemas(schema):
        if inner.get("type") == "object" or "properties" in inner:
            if inner.get("additionalProperties") is not False:
                return "`additionalProperties:false` must be set on every object"
            missing = set(inner.get("properties") or ()) - set(inner.get("required") or ())
            if missing:
                return f"`required` must list every property: {sorted(missing)[0]!r} is missing"
    return ""


_ODD = (
    RecursionError,
    MemoryError,
    ArithmeticError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    re.error,
    regex.error,
    TimeoutError,
    Unresolvable,
)


@functools.lru_cache(maxsize=4_096)
def _outcome(text: str, number: int) -> str | OddSchema:
    try:
        schema = json.loads(text)
        judge = _judge(text)
        _steps.set([0])
        why = ""
        for attempt in range(_ATTEMPTS):
            try:
                value = _Making(schema, number, attempt).value(schema)
            except _Unfillable as exc:
                why = why or str(exc)
                continue
            fault = next(judge.iter_errors(value), None)
            if fault is None:
                found = json.dumps(value, ensure_ascii=False, allow_nan=False)
                found.encode()  # a pattern may ask for half a surrogate pair, which no reply can hold
                return found
            why = fault.message
        return OddSchema(f"the sandbox finds no value that fits: {why[:200]}")
    except OddSchema as exc:
        return exc
    except _ODD as exc:
        return OddSchema(f"the sandbox cannot fill it: {type(exc).__name__}")


def _values(text: str, number: int) -> str:
    found = _outcome(text, number)
    if isinstance(found, OddSchema):
        raise OddSchema(*found.args)
    return found


@functools.lru_cache(maxsize=256)
def _judge(text: str) -> jsonschema.Draft202012Validator:
    """The validator. Raises OddSchema for a schema that is none, or that refers to something elsewhere."""
    schema = json.loads(text)
    if sum(1 for _ in _schemas(schema)) > _MOST_SCHEMAS:
        raise OddSchema(f"it holds more than {_MOST_SCHEMAS:,} schemas")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as exc:
        raise OddSchema(exc.message[:200]) from exc
    for inner in _schemas(schema):
        for key in ("$ref", "$dynamicRef"):
            if not str(inner.get(key, "#")).startswith("#"):
                raise OddSchema(f"{key} {str(inner[key])[:100]!r} leads out of the schema")
        if "unevaluatedProperties" in inner and "patternProperties" in inner:
            raise OddSchema("`unevaluatedProperties` beside `patternProperties` is not followed here")
        if "$id" in inner and inner is not schema:
            raise OddSchema("an inner `$id` is not followed here")
    # Both would be followed: the one to another place, the other to another draft.
    followed = ("$id", "$schema")
    plain = {k: v for k, v in schema.items() if k not in followed} if isinstance(schema, dict) else schema
    return _Judge(plain, registry=Registry(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


# How far the judging of one value has come: a schema can refer to itself in ways that double at each step.
_steps: contextvars.ContextVar[list[int]] = contextvars.ContextVar("steps")


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def check(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        steps = _steps.get()
        steps[0] += 1
        if steps[0] > _MOST_STEPS:
            raise OddSchema("to judge a value by it takes too long")
        return keyword(validator, wanted, instance, schema)

    return check


def _matches(pattern: str, text: str) -> bool:
    """Whether the pattern is in the text. Raises TimeoutError where that takes for ever, as it can."""
    return regex.search(pattern, text, timeout=_MOST_PATTERN_S, concurrent=True) is not None


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _matches(wanted, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {wanted!r}")


def _pattern_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in wanted.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        patterns = schema.get("patternProperties", ())
        for name, value in instance.items():
            known = name in schema.get("properties", ()) or any(_matches(each, name) for each in patterns)
            if not known:
                yield from validator.descend(value, wanted, path=name)


_KEYWORDS = {
    **jsonschema.Draft202012Validator.VALIDATORS,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
_Judge: type[jsonschema.Draft202012Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {name: _counted(keyword) for name, keyword in _KEYWORDS.items()}
)

_ONE = (
    *("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)
_MANY, _NAMED = (
    ("anyOf", "oneOf", "allOf", "prefixItems"),
    ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"),
)


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and all that are in it; what merely looks like one (an enum's object) is none."""
    waiting = [schema]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            yield inner
            waiting += [inner[key] for key in _ONE if key in inner]
            waiting += [one for key in _MANY if isinstance(inner.get(key), list) for one in inner[key]]
            waiting += [
                one for key in _NAMED if isinstance(inner.get(key), dict) for one in inner[key].values()
            ]


class _Unfillable(Exception):
    """This attempt leads nowhere; another may."""


class _Chance(random.Random):
    """The same choices in every process, also where rstr chooses from a set or repeats over 100 times."""

    def choice(self, seq: Any) -> Any:
        return super().choice(sorted(seq) if isinstance(seq[0], str) else seq)

    def randint(self, a: int, b: int) -> int:
        return super().randint(a, max(a, b))


class _Making:
    """One attempt at a value. The number decides first choices, so that labels are met evenly."""

    def __init__(self, root: Any, number: int, attempt: int) -> None:
        self._root, self._number, self._attempt = root, number, attempt
        self._chance = _Chance(f"{number} {attempt}")
        self._nodes, self._choices, self._characters = 0, 0, 0

    def value(self, schema: Any, depth: int = 0) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or depth > _DEEPEST or schema is False:
            raise _Unfillable("it is endless, or allows nothing")
        schema = self._merged(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._one_of(schema["enum"])
        match self._kind(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return self._within(schema, whole=kind == "integer")
            case "boolean":
                return self._one_of([True, False])
            case "null":
                return None
        text = self._text(schema)
        self._characters += len(text)
        if self._characters > _MOST_CHARACTERS:
            raise _Unfillable(f"it asks for more than {_MOST_CHARACTERS:,} characters")
        return text

    def _one_of(self, choices: Any) -> Any:
        if not choices:
            raise _Unfillable("there is nothing to choose from")
        self._choices += 1
        if self._choices == 1:
            return choices[(self._number + self._attempt) % len(choices)]
        return choices[self._chance.randrange(len(choices))]

    def _merged(self, schema: Any, depth: int) -> dict[str, Any]:
        """The schema with its reference, its branch and all of `allOf` in it."""
        flat: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {}
        for _ in range(_DEEPEST):
            parts = list(flat.pop("allOf", ()))
            if "$ref" in flat:
                parts.append(self._referred(flat.pop("$ref")))
            for union in ("anyOf", "oneOf"):
                if union in flat:
                    branches = flat.pop(union)
                    self._nodes += len(branches)
                    if depth > _SHALLOW:  # what holds itself ends with its shortest branch
                        branches = sorted(branches, key=lambda branch: len(json.dumps(branch)))[:1]
                    parts.append(self._one_of(branches))
            if not parts:
                return flat
            for part in parts:
                if part is False:
                    raise _Unfillable("it allows nothing")
                flat = _both(flat, part if isinstance(part, dict) else {})
        raise _Unfillable("its references lead in a circle")

    def _referred(self, reference: str) -> Any:
        if reference.startswith("#") and not reference.startswith("#/") and reference != "#":
            anchored = (one for one in _schemas(self._root) if one.get("$anchor") == reference[1:])
            found = next(anchored, None)
            if found is None:
                raise _Unfillable(f"there is no {reference}")
            return found
        found = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found[int(step)] if isinstance(found, list) else found[step]
        return found

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kinds = schema.get(
            "type", _IMPLIED.get(next((key for key in schema if key in _IMPLIED), ""), "string")
        )
        if isinstance(kinds, list):
            plain = [kind for kind in kinds if kind not in ("object", "array")]
            return str(self._one_of(plain if depth > _SHALLOW and plain else kinds))
        return str(kinds)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        wanted = [name for name in properties if depth < _SHALLOW or name in required]
        made = {name: self.value(properties[name], depth + 1) for name in wanted}
        more = schema.get("additionalProperties", True)
        missing = [name for name in required if name not in made]
        least = min(_LONGEST_LIST, schema.get("minProperties", 0) - len(made) - len(missing))
        for name in (*missing, *(f"more{n}" for n in range(least))):
            made[name] = self.value(more, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        first, rest = schema.get("prefixItems", []), schema.get("items", True)
        inner = schema.get("contains", rest) if rest is True else rest
        least = max(schema.get("minItems", 0), "contains" in schema and max(1, schema.get("minContains", 1)))
        most = schema.get("maxItems", math.inf)
        if least > _LONGEST_LIST:
            raise _Unfillable(f"a list of {least} is longer than the sandbox makes any")
        count = max(least, len(first), 0 if depth >= _SHALLOW else 1 + self._attempt % 2)
        made: list[Any] = []
        for place in range(int(min(count, most))):
            each = first[place] if place < len(first) else inner
            if each is False:
                break
            for _ in range(_ATTEMPTS):
                value = self.value(each, depth + 1)
                if not (schema.get("uniqueItems") and value in made):
                    made.append(value)
                    break
        return made

    def _within(self, schema: dict[str, Any], *, whole: bool) -> float:
        step = schema.get("multipleOf", 1 if whole else None)
        lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
        highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
        low = max(lows) if lows else (min(highs) - 100 * (step or 1) if highs else 0)
        high = min(highs) if highs else low + 100 * (step or 1)
        if step is None:
            return round(
                low + (high - low) * self._chance.uniform(0.05, 0.95), 6 if high - low > 1e-3 else 15
            )
        step = math.lcm(step, 1) if whole and isinstance(step, int) else step
        first, last = math.ceil(low / step), math.floor(high / step)
        first += first * step in (schema.get("exclusiveMinimum"),)
        last -= last * step in (schema.get("exclusiveMaximum"),)
        if first > last:
            raise _Unfillable("no number lies between its bounds")
        found = self._chance.randint(first, last) * step
        return int(found) if whole else found

    def _text(self, schema: dict[str, Any]) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if least > _LONGEST_TEXT:
            raise _Unfillable(f"a text of {least} characters is longer than the sandbox makes any")
        if "pattern" in schema:
            return _patterned(schema["pattern"], self._chance, least)
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]].format(1 + self._number % 28)
        text = f"Sandbox text {self._number}".ljust(int(least), ".")
        return text[: int(min(most, _LONGEST_TEXT))]


_IMPLIED = {
    **dict.fromkeys(("properties", "required", "additionalProperties", "minProperties"), "object"),
    **dict.fromkeys(("items", "prefixItems", "minItems", "contains", "uniqueItems"), "array"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
}
_TIGHTER = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that asks for what both ask for, as far as that is simple; the judge knows the rest."""
    both = one | {key: value for key, value in other.items() if key not in one}
    for key in one.keys() & other.keys():
        here, there = one[key], other[key]
        if key in _TIGHTER:
            both[key] = _TIGHTER[key](here, there)
        elif key == "required":
            both[key] = [*here, *(name for name in there if name not in here)]
        elif key in ("properties", "$defs", "definitions"):
            both[key] = {**there, **here} | {
                name: {"allOf": [here[name], there[name]]} for name in here.keys() & there.keys()
            }
        elif key == "enum":
            both[key] = [value for value in here if value in there]
        elif key == "type" and here != there:
            kinds = [here] if isinstance(here, str) else here
            both[key] = [kind for kind in kinds if kind in there or kind == there]
        elif key in ("anyOf", "oneOf", "allOf"):
            both.setdefault("allOf", [])
            both["allOf"] = [*both["allOf"], {key: there}]
    return both


def _patterned(pattern: str, chance: random.Random, least: int) -> str:
    """A text that has the pattern, filled up to the length asked for where the pattern leaves it open."""
    if _largest(_parser.parse(pattern)) > _LONGEST_TEXT:
        raise _Unfillable("its pattern is longer than the sandbox makes any")
    text = str(Rstr(chance).xeger(pattern))
    return text if pattern.endswith("$") else text.ljust(least, "x")


def _largest(parts: Any) -> int:
    """How long a text of this pattern can become; what may be repeated for ever is repeated 100 times."""
    size = 0
    for kind, held in parts:
        if kind in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
            least, most, inner = held
            times = least + 100 if most == _parser.MAXREPEAT else most
            size += min(times, _LONGEST_TEXT + 1) * max(1, _largest(inner))
        elif kind in (_parser.SUBPATTERN, _parser.ASSERT, _parser.ASSERT_NOT):
            size += _largest(held[-1])
        elif kind is _parser.GROUPREF:
            size += _LONGEST_TEXT + 1  # what it stands for can double at each step
        elif kind is _parser.BRANCH:
            size += max(map(_largest, held[1]))
        else:
            size += 1
    return size
