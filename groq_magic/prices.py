"""What tokens cost at Groq: the prices of https://console.groq.com/docs/models as of September 2026.

A batch is half the on-demand price: https://console.groq.com/docs/batch.
"""

from __future__ import annotations

# USD for a million tokens asked and answered, on demand. Only models whose batch price is confirmed stand
# here: of the others none is invented.
_ON_DEMAND = {
    "openai/gpt-oss-120b": (0.15, 0.60),
    "openai/gpt-oss-20b": (0.075, 0.30),
}
_BATCH_SHARE = 0.5


def models() -> tuple[str, ...]:
    """The models whose price is known: those that can be named without asking Groq."""
    return tuple(_ON_DEMAND)


def batch_cost(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """USD that these tokens cost in a batch, cached input not taken off; None for a model without a price."""
    if model not in _ON_DEMAND:
        return None
    asked, answered = _ON_DEMAND[model]
    return _BATCH_SHARE * (asked * prompt_tokens + answered * completion_tokens) / 1e6
