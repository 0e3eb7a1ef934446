"""What most lines are: a chat request of plain texts with the usual parameters, checked while it is decoded.

What is taken here passes `intake.read_line` and `bodies.fault_of`, and has no mark. Everything else is left
to them: they say exactly what is wrong with a line, or that nothing is. So a check that is too narrow here
costs time and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .bodies import ROLES, efforts_of
from .models import HEARS, MODELS

_Tokens = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None
_EFFORTS = ("low", "medium", "high")


class Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A message of one text."""

    role: str
    content: str


class Body(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What is usually asked for, in bounds that all models have."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    max_completion_tokens: _Tokens = None
    max_tokens: _Tokens = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)] | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    include_reasoning: bool | None = None

    @property
    def limit(self) -> int | None:
        """As `bodies.limit_of`."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class Line(msgspec.Struct, gc=False):
    """An ordinary line."""

    custom_id: Annotated[str, msgspec.Meta(min_length=1)]
    method: Literal["POST"]
    url: Literal["/v1/chat/completions"]
    body: Body


# model → (context window, most tokens of a reply)
_BOUNDS = {
    name: (model["context_window"], model["max_completion_tokens"])
    for name, model in MODELS.items()
    if name not in HEARS and set(_EFFORTS) <= set(efforts_of(name))
}
_decode = msgspec.json.Decoder(Line).decode


def read(raw: bytes) -> tuple[Line, str, int] | None:
    """The line, its prompt and its prompt's tokens, as `bodies` has them; None where it is not ordinary."""
    try:
        line = _decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    body, prompt, asked = line.body, "", 0
    for message in body.messages:
        if message.role not in ROLES:
            return None
        asked += (len(message.content) + 3) // 4
        if message.role == "user":
            prompt = message.content
    bounds = _BOUNDS.get(body.model)
    if bounds is None or asked > bounds[0] or "[[" in prompt:
        return None
    if (body.max_completion_tokens or 0) > bounds[1] or (body.max_tokens or 0) > bounds[1]:
        return None
    return line, prompt, asked
