"""What is known of Groq's models, and what tokens cost, as of September 2026.

https://console.groq.com/docs/models; those shut down: https://console.groq.com/docs/deprecations. A batch is
half the on-demand price: https://console.groq.com/docs/batch.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "September 2026"
SOURCE = "https://console.groq.com/docs/models"
BATCH_SHARE = 0.5


@dataclass(frozen=True)
class Model:
    """One model. Prices are USD a million tokens on demand, None where none is published.

    `batch` and `strict` are None where it is not known whether it works in a batch, and whether it holds a
    schema strictly; `context` and `max_completion` count tokens.
    """

    id: str
    prompt_usd: float | None
    completion_usd: float | None
    batch: bool | None
    strict: bool | None
    context: int | None
    max_completion: int | None
    status: str


MODELS: tuple[Model, ...] = (
    Model("openai/gpt-oss-120b", 0.15, 0.60, True, True, 131_072, 65_536, "production"),
    Model("openai/gpt-oss-20b", 0.075, 0.30, True, True, 131_072, 65_536, "production"),
    Model("openai/gpt-oss-safeguard-20b", 0.075, 0.30, None, None, 131_072, 65_536, "preview"),
    Model("qwen/qwen3.8-27b", 0.80, 4.00, None, True, 131_072, 16_384, "preview"),
    Model("whisper-large-v3", None, None, True, None, None, None, "production"),
    Model("whisper-large-v3-turbo", None, None, True, None, None, None, "production"),
    *(
        Model(name, None, None, None, None, None, None, "shut down")
        for name in (
            "qwen/qwen3.6-27b",
            "qwen/qwen3-32b",
            "groq/compound",
            "groq/compound-mini",
            "meta-llama/llama-4-scout-17b-16e-instruct",
            "meta-llama/llama-4-maverick-17b-128e-instruct",
            "meta-llama/llama-guard-4-12b",
            "moonshotai/kimi-k2-instruct-0905",
        )
    ),
)
_BY_ID = {model.id: model for model in MODELS}


def known(model: str) -> Model | None:
    """What is known of a model; None where nothing is."""
    return _BY_ID.get(model)


def models() -> tuple[str, ...]:
    """The models whose price in a batch is known: those that can be named without asking Groq."""
    return tuple(model.id for model in MODELS if model.batch and model.prompt_usd is not None)


def batch_cost(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """USD that these tokens cost in a batch, cached input not taken off; None for a model without a price."""
    found = known(model)
    if found is None or not found.batch or found.prompt_usd is None or found.completion_usd is None:
        return None
    return BATCH_SHARE * (found.prompt_usd * prompt_tokens + found.completion_usd * completion_tokens) / 1e6
