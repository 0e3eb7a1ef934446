"""A schema that is asked for: what goes on the wire, and a reply's text → what the user holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from groq_magic.schema.misfits import Misfit, misfit

_object = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Schema:
    """What each reply must look like.

    `name` is Groq's name for it (letters, digits, _ and -, at most 64); `json_schema` goes on the wire, as
    strict as Groq demands; `fields` are the root's properties in their order; `labels` are set where a reply
    only chooses among them. Equal schemas, however they were written, are equal on the wire.
    """

    name: str
    json_schema: Mapping[str, Any] = field(hash=False)
    fields: tuple[str, ...]
    labels: tuple[str, ...] | None
    judge: Callable[[str], object] = field(repr=False, compare=False)

    def response_format(self, *, strict: bool = True) -> dict[str, Any]:
        """The request's `response_format`: https://console.groq.com/docs/structured-outputs.

        Without `strict` the same schema is a wish, which more models take.
        """
        asked = {"name": self.name, "strict": strict, "schema": self.json_schema}
        return {"type": "json_schema", "json_schema": asked}

    def parse(self, text: str) -> object:
        """The instance that a reply's text is: of a class its instance, of a JSON Schema plain values.

        Of labels it is the label itself: a text, of a Literal its value, of an Enum its member. Raises Misfit
        and nothing else, whatever the text is and whatever the user's own validators raise.
        """
        try:
            return self.judge(text)
        except KeyboardInterrupt as exc:  # the user's own, where a reader may be interrupted
            if threading.current_thread() is threading.main_thread():
                raise
            raise misfit(exc) from exc
        except BaseException as exc:  # a SystemExit, too, would end the thread that serves every batch
            raise misfit(exc) from exc

    def instance(self, text: str) -> object | None:
        """The same, or None where the text is none."""
        try:
            return self.parse(text)
        except Misfit:
            return None

    def place(self, text: str) -> int:
        """Which of the labels a reply's text chose, from 0. Raises Misfit where it chose none."""
        self.parse(text)
        chosen = self.values(text)[self.fields[0]]
        return self._places[chosen if isinstance(chosen, str) else msgspec.json.encode(chosen).decode()]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {label: place for place, label in enumerate(self.labels or ())}

    def values(self, text: str) -> dict[str, Any]:
        """The reply's JSON values by field, for frames; a field that it lacks is left out.

        They are not judged: `parse` does that. Raises Misfit where the text is no JSON object.
        """
        try:
            found = _object.decode(text)
        except Exception as exc:
            raise misfit(exc) from exc
        return {name: found[name] for name in self.fields if name in found}
