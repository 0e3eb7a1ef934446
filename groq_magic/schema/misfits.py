"""A reply that does not fit: where and why, on one line, whoever found it."""

from __future__ import annotations

import re

import msgspec

from groq_magic.errors import GroqMagicError
from groq_magic.prompts.checks import one_line
from groq_magic.prompts.values import shown


class Misfit(ValueError):
    """A reply that does not fit its schema.

    `path` is where ("$.rating", "$" for the whole) and `why` one line; both are cleaned as errors are.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = _clean(path), _clean(why)
        super().__init__(self.path, self.why)

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


def misfit(exc: BaseException) -> Misfit:
    """The Misfit that another's error tells of: msgspec's, Pydantic's, or any from the user's own code."""
    if isinstance(exc, Misfit):
        return exc
    if not isinstance(exc, Exception):  # a SystemExit of the user's own
        return Misfit("$", reason(exc))
    if isinstance(exc, RecursionError):
        return Misfit("$", "it is nested too deeply")
    if isinstance(exc, msgspec.DecodeError):
        return _of_msgspec(exc)
    if isinstance(exc, UnicodeEncodeError):
        return Misfit("$", "it holds half a character (a lone surrogate)")
    said = type(exc).__module__.startswith("pydantic_core") and _of_pydantic(exc)
    return said or Misfit("$", reason(exc))


def reason(exc: BaseException) -> str:
    """The name of an error and what it says, on one line; also of one that cannot say it."""
    try:
        said = one_line(exc)
    except Exception:  # a __str__ of the user's own
        said = ""
    return f"{type(exc).__name__}: {said}" if said else type(exc).__name__


def _clean(text: str) -> str:
    return GroqMagicError(one_line(text)).message


_PLACE = re.compile(r" - at `(\$[^`]*)`$")


def _of_msgspec(exc: msgspec.DecodeError) -> Misfit:
    said = str(exc)
    if not isinstance(exc, msgspec.ValidationError):
        return Misfit("$", f"it is no JSON: {said.removeprefix('JSON is malformed: ')}")
    place = _PLACE.search(said)
    return Misfit(place[1], said[: place.start()]) if place else Misfit("$", said)


def _of_pydantic(exc: Exception) -> Misfit | None:
    faults = getattr(exc, "errors", None)
    if faults is None:
        return None
    try:
        fault = faults(include_url=False, include_context=False, include_input=False)[0]
        return Misfit(path_of(fault["loc"]), fault["msg"])
    except Exception:  # its words may come from the user's own code
        return None


def path_of(steps: object) -> str:
    """The way to a value, as msgspec writes it: "$.tags[2]"."""
    return "$" + "".join(map(step, steps if isinstance(steps, list | tuple) else ()))


def step(to: object) -> str:
    """One step of a path: ".tags", "[2]", or "['odd name']"."""
    if isinstance(to, int):
        return f"[{to}]"
    name = str(to)
    return f".{name}" if name.isidentifier() else f"[{shown(name)}]"
