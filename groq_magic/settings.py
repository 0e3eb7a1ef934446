"""What prompts are asked with: the options of a submission, checked against Groq's ranges and rules."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from groq_magic import prices, shards
from groq_magic.costs import DEFAULT_LIMIT, DEFAULT_LIMIT_USD, Limit
from groq_magic.errors import InputError
from groq_magic.prompts import rules
from groq_magic.prompts.values import shown
from groq_magic.schema import Schema

DEFAULT_MODEL = "openai/gpt-oss-20b"
# https://console.groq.com/docs/api-reference#chat-create
RANGES: dict[str, tuple[float, float]] = {
    "temperature": rules.RANGES["temperature"],
    "max_tokens": (1, 2**31 - 1),
    "seed": (-(2**63), 2**63 - 1),  # what a signed integer of 64 bits holds
    "take": (1, 2**63 - 1),
    "samples": (1, 1_000),
    "max_cost": (0.0, math.inf),
    "try": (1, 2**31 - 1),
}
# https://console.groq.com/docs/reasoning: of the gpt-oss family; other words go through `extra`
EFFORTS = ("low", "medium", "high")
# Options of ours that are a field of Groq's body each. `max_tokens` there is the deprecated word.
_FIELDS = {
    "temperature": "temperature",
    "max_tokens": "max_completion_tokens",
    "seed": "seed",
    "reasoning": "reasoning_effort",
    "response_format": "response_format",
}
BODY_OPTIONS = ("temperature", "max_tokens", "seed", "reasoning", "extra")
WINDOWS = ("24h", "7d")  # those with evidence: https://console.groq.com/docs/batch


@dataclass(frozen=True)
class Settings:
    """What the prompts are asked with. `options` go into every body as they are.

    `now` asks each prompt by itself through the ordinary endpoint, for which there is no `window`; `save` is
    the file in which the answers are saved, and looked for first: see `saved.place`.
    """

    model: str = DEFAULT_MODEL
    window: str = "24h"
    options: Mapping[str, Any] | None = None
    shard_rows: int = shards.MAX_LINES
    take: int = 1
    samples: int = 1
    unique: bool = False
    schema: Schema | None = None
    limit: Limit = DEFAULT_LIMIT
    now: bool = False
    save: Path | None = None

    def __post_init__(self) -> None:
        """Raises InputError where something is none of what Groq or the ledger takes."""
        object.__setattr__(self, "model", checked_model(self.model))  # it is frozen for everybody else
        if self.window not in WINDOWS:
            raise InputError(f"window is {self.window!r}; Groq takes {' or '.join(WINDOWS)}.")
        if self.now and self.window != WINDOWS[0]:
            raise InputError("now asks at once and has no window: leave one of them out.")
        for name, value in (("take", self.take), ("samples", self.samples)):
            low, high = RANGES[name]
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{name} is {shown(value)}; it is a whole number {span(name)}.")
        for name, value in (("now", self.now), ("unique", self.unique)):
            if not isinstance(value, bool):
                raise InputError(f"{name} is {shown(value)}; it is True or False.")


def span(name: str) -> str:
    """The range of an option, in words."""
    low, high = RANGES[name]
    return f"from {low:,g} on" if high == math.inf else f"from {low:,} to {high:,}"


def response_format(schema: Schema | None, model: str) -> dict[str, Any] | None:
    """Groq's `response_format` for a schema, strict but for models that are known not to be held to it.

    https://console.groq.com/docs/structured-outputs
    """
    if schema is None:
        return None
    known = prices.known(model)
    return schema.response_format(strict=known is None or known.strict is not False)


def limit(max_cost: object, default: float = DEFAULT_LIMIT_USD) -> Limit:
    """What it may cost: the USD that were given, else the default. Raises InputError for no number from 0."""
    if max_cost is None:
        return Limit(default)
    usd = math.nan
    if isinstance(max_cost, Real) and not isinstance(max_cost, bool):
        with suppress(OverflowError):  # of whole numbers that are too large for a float
            usd = float(max_cost)
    if not usd >= 0:
        raise InputError(f"max_cost is {shown(max_cost)}; it is a number of USD from 0.")
    return Limit(usd, typed=True)


def checked_model(model: object) -> str:
    """The model's name; where only its end was given, as in gpt-oss-120b, the whole of it.

    Raises InputError for what is no name, and where several models end so. Which there are beyond those that
    we know, Groq knows.
    """
    if not isinstance(model, str):
        raise InputError(f"The model is {shown(model)}; it is a text, for example openai/gpt-oss-20b.")
    if not model.strip():
        raise InputError("The model's name is empty: for example openai/gpt-oss-20b.")
    if fault := rules.json_fault(model, "The model's name"):
        raise InputError(f"{fault}.")
    return _whole_name(model)


def shut_down(model: prices.Model) -> bool:
    """Whether Groq has taken the model out of service: https://console.groq.com/docs/deprecations."""
    return model.status.startswith("shut down")


def _whole_name(model: str) -> str:
    """The one model in use that ends in these words of its name; what none ends in is left as it is."""
    known = [each.id for each in prices.MODELS if not shut_down(each)]
    ends = [name for name in known if re.search(rf"[/-]{re.escape(model)}\Z", name)]
    if model in known or not ends:
        return model
    if len(ends) > 1:
        either = f"{', '.join(ends[:-1])} or {ends[-1]}"
        raise InputError(f"Several models end in {model!r}: type {either}.")
    return ends[0]


def body_options(
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    reasoning: str | None = None,
    response_format: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Options as Groq's body fields, only those that were given. Raises InputError.

    https://console.groq.com/docs/api-reference#chat-create: temperature 0 to 2; `max_tokens` is deprecated
    for `max_completion_tokens`; `reasoning` is the `reasoning_effort`: low, medium or high.
    """
    said: dict[str, Any] = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
        "reasoning": reasoning,
        "response_format": response_format,
    }
    given = {name: value for name, value in said.items() if value is not None}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if wanted := _wanted(name, value):
            raise InputError(f"{name} is {shown(value)}; Groq takes {wanted}.")
        options[_FIELDS[name]] = float(value) if name == "temperature" else value
    merged = options | _extra(extra, set(given))
    if fault := rules.body_fault(merged, whole=False):
        raise InputError(f"{fault[:1].upper()}{fault[1:]}.")
    return merged


def _wanted(name: str, value: Any) -> str:
    """What Groq takes for an option, where this value is none of it; else ""."""
    if name == "response_format":
        return ""
    if name == "reasoning":
        return "" if value in EFFORTS else f"{', '.join(EFFORTS[:-1])} or {EFFORTS[-1]}"
    low, high = RANGES[name]
    kinds = (int, float) if name == "temperature" else int
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return ""
    if name == "seed":
        return "whole numbers of up to 64 bits"
    if name == "temperature":
        return f"numbers from {low:g} to {high:g}"
    return f"whole numbers {span(name)}"


def _extra(extra: object, given: set[str]) -> dict[str, Any]:
    """What is merged into every body.

    Raises InputError for what JSON cannot hold or Groq refuses, and for what has an option of its own.
    """
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise InputError(f'extra is {shown(extra)}; it is a dict, for example {{"top_p": 0.9}}.')
    merged = dict(extra)
    if fault := rules.json_fault(merged, "extra"):
        raise InputError(f"{fault}.")
    clashes = {"model", "messages"} | {_FIELDS[name] for name in given} | (given & {"max_tokens"})
    if clash := next((key for key in extra if key in clashes), None):
        raise InputError(f"extra holds {clash!r}, which has an option of its own: keep one of them.")
    if fault := rules.body_fault(merged, whole=False):
        raise InputError(f"extra: {fault}.")
    return merged
