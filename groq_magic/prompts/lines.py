"""Whole request lines, as in a file that was made for the Batch API: checked, and sent as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts import rules
from groq_magic.prompts.checks import Line, Place, Prompt, listed
from groq_magic.prompts.values import a_type

_KEYS = ("custom_id", "method", "url", "body")
_OF_BATCH = "https://console.groq.com/docs/batch"


def requests(items: Iterable[object], place: Place, model: str | None, models: set[str]) -> Iterator[Prompt]:
    """The same lines, asked of `model` if there is one; `models` gathers whom they ask.

    Raises at the first that a batch could not hold: https://console.groq.com/docs/batch
    """
    for row, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise InputError(f"{place(row)} is {a_type(item)}, not a whole request line, as row 0 is")
        if fault := _fault(item, model):
            raise InputError(f"{place(row)}: {fault}")
        body = _body(item, model)
        models.add(body["model"])
        yield Line(item["url"], body)


def _body(line: Mapping[str, Any], model: str | None) -> dict[str, Any]:
    return {**line["body"], "model": model} if model is not None else dict(line["body"])


def _fault(line: Mapping[str, Any], model: str | None) -> str:
    """What is wrong with a line, or an empty text; its custom_id is checked among the others'."""
    if unknown := [key for key in line if key not in _KEYS]:
        return f"a request line has {listed(_KEYS)}, and no {unknown[0]!r} ({_OF_BATCH})"
    if (method := line.get("method", "POST")) != "POST":
        return f"the method is {method!r:.60}; a batch takes POST alone ({_OF_BATCH})"
    if (url := line.get("url")) not in rules.ENDPOINTS:
        return f"the url is {url!r:.60}: one of {listed(rules.ENDPOINTS)} ({_OF_BATCH})"
    if not isinstance(line.get("body"), Mapping):
        return f"the body is {a_type(line.get('body'))}, not a dict of Groq's fields ({_OF_BATCH})"
    if fault := rules.json_fault(line["body"], "body"):
        return fault
    return rules.body_fault(_body(line, model), url)
