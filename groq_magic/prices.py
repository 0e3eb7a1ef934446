"""What Groq's models cost, as its documents had it at one time: a table, and the arithmetic on it.

The prices are those of https://console.groq.com/docs/models as of September 2026. A batch is half the
on-demand price for all its tokens: https://console.groq.com/docs/batch; cached input is not cheaper still,
since the two discounts do not stack: https://console.groq.com/docs/prompt-caching. Where Groq publishes no
price there is none here either.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "September 2026"
SOURCE = "https://console.groq.com/docs/models"
BATCH_SHARE = 0.5


@dataclass(frozen=True)
class Model:
    """A model as Groq's documents have it. Prices are USD for a million tokens on demand, None if untold.

    `batch` and `strict` say whether it may be asked in batches, and whether it holds a schema strictly; None
    where no document says so. `context` and `max_completion` are tokens. `status` is Groq's word for it, or
    "shut down" with the day.
    """

    id: str
    prompt_usd: float | None
    completion_usd: float | None
    batch: bool | None
    strict: bool | None
    context: int | None
    max_completion: int | None
    status: str
    note: str = ""


@dataclass(frozen=True)
class Past:
    """A price in a batch that holds no longer, USD for a million tokens; for reading, never for reckoning."""

    model: str
    as_of: str
    prompt_usd: float
    completion_usd: float
    note: str


def _gone(model: str, day: str) -> Model:
    return Model(model, None, None, False, None, None, None, f"shut down {day}")


_BY_THE_HOUR = "paid by the hour of audio, ${:g} on demand and half of that in a batch, not by tokens"

# Which may be asked in batches: https://console.groq.com/docs/batch#model-availability; which are gone:
# https://console.groq.com/docs/deprecations; which are strict: https://console.groq.com/docs/structured-outputs
MODELS: tuple[Model, ...] = (
    Model("openai/gpt-oss-120b", 0.15, 0.60, True, True, 131_072, 65_536, "production"),
    Model("openai/gpt-oss-20b", 0.075, 0.30, True, True, 131_072, 65_536, "production"),
    Model("openai/gpt-oss-safeguard-20b", 0.075, 0.30, None, False, 131_072, 65_536, "preview"),
    Model("qwen/qwen3.8-27b", 0.80, 4.00, None, True, 131_042, 16_384, "preview", "takes images"),
    Model("whisper-large-v3", None, None, True, None, None, None, "production", _BY_THE_HOUR.format(0.111)),
    Model(
        "whisper-large-v3-turbo", None, None, True, None, None, None, "production", _BY_THE_HOUR.format(0.04)
    ),
    Model("minimaxai/minimax-m2.7", None, None, None, None, 196_608, 131_072, "enterprise", "preview"),
    Model(
        "llama-3.3-70b-versatile",
        None,
        None,
        None,
        None,
        131_072,
        32_768,
        "enterprise",
        "for committed spend alone since 2026-08-16; $0.59 and $0.79 before",
    ),
    Model(
        "llama-3.1-8b-instant",
        None,
        None,
        None,
        None,
        131_072,
        131_072,
        "enterprise",
        "for committed spend alone since 2026-08-16; $0.05 and $0.08 before",
    ),
    _gone("groq/compound", "2026-09-21"),
    _gone("groq/compound-mini", "2026-09-21"),
    _gone("qwen/qwen3.6-27b", "2026-09-14"),
    _gone("qwen/qwen3-32b", "2026-07-17"),
    _gone("meta-llama/llama-4-scout-17b-16e-instruct", "2026-07-17"),
    _gone("moonshotai/kimi-k2-instruct-0905", "2026-04-15"),
    _gone("meta-llama/llama-4-maverick-17b-128e-instruct", "2026-03-09"),
    _gone("meta-llama/llama-guard-4-12b", "2026-03-05"),
)

_FIRST = "the first price list of the Batch API, 25 % below on demand"
HISTORY: tuple[Past, ...] = (
    Past("llama-3.1-8b-instant", "2025-02-10", 0.0375, 0.0600, _FIRST),
    Past("llama-3.3-70b-versatile", "2025-02-10", 0.442, 0.592, _FIRST),
)

_BY_ID = {model.id: model for model in MODELS}


def models() -> tuple[str, ...]:
    """The models that can be named without asking Groq: those of the list that everybody may use."""
    return tuple(model.id for model in MODELS if model.status in ("production", "preview"))


def known(model: str) -> Model | None:
    """What is known of a model, also under the name that a sandbox's replies have for it."""
    return _BY_ID.get(model.removeprefix("sandbox/"))


def thinks(model: str) -> bool:
    """Whether a model thinks before it answers, which counts as answered tokens.

    https://console.groq.com/docs/reasoning
    """
    return model.removeprefix("sandbox/").startswith(("openai/gpt-oss", "qwen/qwen3"))


def cost(model: str, prompt_tokens: float, completion_tokens: float, *, batch: bool) -> float | None:
    """USD that these tokens cost, in a batch or on demand; None for a model without a published price."""
    found = known(model)
    if found is None or found.prompt_usd is None or found.completion_usd is None:
        return None
    share = BATCH_SHARE if batch else 1.0
    return share * (found.prompt_usd * prompt_tokens + found.completion_usd * completion_tokens) / 1e6


def money(usd: float) -> str:
    """A sum as people write it: "$0.0004", "$0.0123", "$0.23", "$1.50", "$12"."""
    if usd <= 0:
        return "$0"
    if usd < 0.00005:
        return "under $0.0001"
    if usd < 0.0995:
        whole, _, part = f"{usd:.4f}".partition(".")
        return f"${whole}.{part[:2]}{part[2:].rstrip('0')}"
    return f"${usd:,.2f}" if usd < 9.995 else f"${usd:,.0f}"
