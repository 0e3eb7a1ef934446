"""A reply judged by a JSON Schema of the user's own.

The library jsonschema judges; what it lacks is a bound: a regular expression may take for ever, and
references may double at each step. Both end in a Misfit.
"""

from __future__ import annotations

import contextvars
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import msgspec
import regex
from jsonschema.exceptions import best_match
from referencing import Registry

from groq_magic.prompts.checks import one_line
from groq_magic.prompts.values import shown
from groq_magic.schema.misfits import Misfit
from groq_magic.schema.referring import Json, defined
from groq_magic.schema.strict import MAY_LACK

_MOST_STEPS = 100_000
_MOST_PATTERN_S = 0.5
_MOST_REPEATS = 1_000_000  # more counted repeats than that fill the memory before a text is looked at

_left: contextvars.ContextVar[list[int]] = contextvars.ContextVar("left")


def fault(schema: Json) -> str:
    """Why a dict is no JSON Schema that can be judged by, on one line, or ""."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as exc:
        return f"{exc.json_path} is no JSON Schema: {one_line(exc.message)}"
    for pattern in _patterns(schema):
        if why := _pattern_fault(pattern):
            return f"the pattern {shown(pattern)} {why}"
    return ""


def judge_of(own: Json, planned: Json) -> Callable[[str], Any]:
    """The judge by the user's own schema; `planned` is what was asked for on the wire.

    It returns plain values. A null that only the wire allowed is left out before the user's schema judges.
    """
    judge = _Judge(own, registry=Registry())
    asked = _Judge(planned, registry=Registry()) if _lacks(planned) else None

    def judged(text: str) -> Any:
        value = msgspec.json.decode(text)
        _left.set([_MOST_STEPS])
        if asked is not None:
            value = _without_nulls(value, planned, asked)
        found = best_match(judge.iter_errors(value))
        if found is not None:
            raise Misfit(found.json_path, _short(found))
        return value

    return judged


def _short(found: Any) -> str:
    """What is wrong, with the value cut off, which the library writes in full and first."""
    return str(found.message).replace(repr(found.instance), shown(found.instance), 1)


def _lacks(planned: Any) -> bool:
    """Whether a property of the plan, anywhere, may be left out."""
    if isinstance(planned, list):
        return any(map(_lacks, planned))
    return isinstance(planned, dict) and (MAY_LACK in planned or any(map(_lacks, planned.values())))


def _without_nulls(value: Any, planned: Json, asked: Any) -> Any:
    """The value as the user's schema knows it: nulls that stand for "left out" are left out."""
    _step()
    if "$ref" in planned:
        name = defined(planned["$ref"])
        return _without_nulls(value, asked.schema if name is None else asked.schema["$defs"][name], asked)
    if "anyOf" in planned:
        fits = (branch for branch in planned["anyOf"] if asked.evolve(schema=branch).is_valid(value))
        branch = next(fits, None)
        return value if branch is None else _without_nulls(value, branch, asked)
    if isinstance(value, list) and "items" in planned:
        return [_without_nulls(item, planned["items"], asked) for item in value]
    if isinstance(value, dict) and "properties" in planned:
        inner, lacking = planned["properties"], planned.get(MAY_LACK, ())
        return {
            name: _without_nulls(item, inner[name], asked) if name in inner else item
            for name, item in value.items()
            if not (item is None and name in lacking)
        }
    return value


# --- what takes no end -------------------------------------------------------------------------------


def _step() -> None:
    left = _left.get()
    left[0] -= 1
    if left[0] < 0:
        raise Misfit("$", "to judge it by this schema takes too long")


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def check(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
        _step()
        return keyword(validator, wanted, instance, schema)

    return check


def _pattern(validator: Any, wanted: str, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, str):
        return
    try:
        found = regex.search(wanted, instance, timeout=_MOST_PATTERN_S, concurrent=True)
    except TimeoutError:
        raise Misfit("$", f"to look for {shown(wanted)} in a text of it takes too long") from None
    if found is None:
        yield jsonschema.ValidationError(f"{shown(instance)} does not match {shown(wanted)}")


def _patterns(schema: Any) -> Iterator[str]:
    """Every pattern in a schema, and perhaps a text in an enum that stands where one could."""
    waiting = [schema]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict):
            if isinstance(inner.get("pattern"), str):
                yield inner["pattern"]
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner


def _pattern_fault(pattern: str) -> str:
    counts = [int(most or least) for least, most in re.findall(r"\{(\d+)(?:,(\d*))?\}", pattern)]
    if math.prod(max(1, count) for count in counts) > _MOST_REPEATS:
        return "repeats too much: write smaller counts"
    regex.compile(pattern)
    return ""


_BOUNDED = {**jsonschema.Draft202012Validator.VALIDATORS, "pattern": _pattern}
_Judge: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {word: _counted(check) for word, check in _BOUNDED.items()}
)
