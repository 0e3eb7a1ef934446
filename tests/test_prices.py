"""What tokens cost: the table of models, the arithmetic, and how a sum is written."""

from __future__ import annotations

import re

import pytest

from groq_magic import prices
from groq_magic.sandbox.models import DECOMMISSIONED, MODELS, STRICT

TYPED = (
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "openai/gpt-oss-safeguard-20b",
    "qwen/qwen3.8-27b",
    "whisper-large-v3",
    "whisper-large-v3-turbo",
)


# A million tokens asked and a million answered; then three questions of 1,000 tokens with 200 in answer.
@pytest.mark.parametrize(
    ("model", "tokens", "batch", "usd"),
    [
        ("openai/gpt-oss-20b", (1_000_000, 0), False, 0.075),
        ("openai/gpt-oss-20b", (0, 1_000_000), False, 0.30),
        ("openai/gpt-oss-20b", (1_000_000, 1_000_000), True, 0.1875),
        ("openai/gpt-oss-120b", (1_000_000, 1_000_000), False, 0.75),
        ("openai/gpt-oss-120b", (1_000_000, 1_000_000), True, 0.375),
        ("qwen/qwen3.8-27b", (1_000_000, 1_000_000), False, 4.80),
        ("openai/gpt-oss-20b", (3_000, 600), False, 0.000225 + 0.00018),
        ("openai/gpt-oss-20b", (3_000, 600), True, 0.0002025),
        ("sandbox/openai/gpt-oss-20b", (3_000, 600), True, 0.0002025),
        ("openai/gpt-oss-20b", (0, 0), True, 0.0),
    ],
)
def test_tokens_cost_what_the_table_says(
    model: str, tokens: tuple[int, int], batch: bool, usd: float
) -> None:
    """Prices are for a million tokens, asked and answered apart, and a batch is half of both."""
    assert prices.cost(model, *tokens, batch=batch) == pytest.approx(usd, rel=1e-12)


@pytest.mark.parametrize(
    "model",
    [
        "llama-9",
        "",
        "several models",
        "gpt-oss-20b",
        "llama-3.1-8b-instant",
        "llama-3.3-70b-versatile",
        "minimaxai/minimax-m2.7",
        "whisper-large-v3",
        "meta-llama/llama-4-scout-17b-16e-instruct",
    ],
)
def test_no_price_is_made_up(model: str) -> None:
    """A model that is unknown, gone, sold by contract or paid by the hour has no price by the token."""
    assert prices.cost(model, 1_000_000, 1_000_000, batch=True) is None
    assert prices.cost(model, 1_000_000, 1_000_000, batch=False) is None


def test_what_is_known_of_a_model_is_found_by_its_name() -> None:
    """Each model is there once, also under the name that a sandbox answers with; others are unknown."""
    assert len({model.id for model in prices.MODELS}) == len(prices.MODELS)
    for model in prices.MODELS:
        assert prices.known(model.id) is prices.known(f"sandbox/{model.id}") is model
    assert prices.known("llama-9") is None
    found = prices.known("openai/gpt-oss-20b")
    assert found is not None
    assert (found.context, found.max_completion, found.status) == (131_072, 65_536, "production")


def test_the_models_that_can_be_typed_are_those_that_everybody_may_use() -> None:
    """What is gone or sold by contract is not offered."""
    assert prices.models() == TYPED


def test_the_table_agrees_with_the_models_of_the_sandbox() -> None:
    """Both tell the same of a model: that it is there, how much it holds, if it is strict, if it is gone."""
    assert set(TYPED) == set(MODELS)
    for model in prices.MODELS:
        if model.id in MODELS and model.prompt_usd is not None:
            there = MODELS[model.id]
            assert model.max_completion == there["max_completion_tokens"]
            assert model.strict == (model.id in STRICT)
    gone = {model.id for model in prices.MODELS if model.status.startswith("shut down ")}
    by_contract = {"llama-3.3-70b-versatile", "llama-3.1-8b-instant"}
    assert gone | by_contract == DECOMMISSIONED


def test_the_first_price_list_was_a_quarter_below_on_demand() -> None:
    """The past is data, 25 % off $0.05/$0.08 and $0.59/$0.79, and no price of today."""
    before = {"llama-3.1-8b-instant": (0.05, 0.08), "llama-3.3-70b-versatile": (0.59, 0.79)}
    assert {past.model for past in prices.HISTORY} == set(before)
    for past in prices.HISTORY:
        asked, answered = before[past.model]
        assert past.prompt_usd == pytest.approx(0.75 * asked, abs=0.0006)  # cut to three digits
        assert past.completion_usd == pytest.approx(0.75 * answered, abs=0.0006)
        assert past.as_of == "2025-02-10"
        assert prices.cost(past.model, 1, 1, batch=True) is None


def test_the_table_says_when_and_where_it_was_read() -> None:
    """A price without a day and a source is worth nothing."""
    assert re.fullmatch(r"[A-Z][a-z]+ 20\d\d", prices.AS_OF)
    assert prices.SOURCE == "https://console.groq.com/docs/models"
    assert prices.AS_OF in (prices.__doc__ or "")
    assert prices.SOURCE in (prices.__doc__ or "")


@pytest.mark.parametrize(
    ("model", "does"),
    [
        ("openai/gpt-oss-20b", True),
        ("sandbox/openai/gpt-oss-120b", True),
        ("qwen/qwen3.8-27b", True),
        ("whisper-large-v3", False),
        ("llama-3.1-8b-instant", False),
    ],
)
def test_models_that_think_first_are_known(model: str, does: bool) -> None:
    """They need tokens before their first word."""
    assert prices.thinks(model) is does


@pytest.mark.parametrize(
    ("usd", "said"),
    [
        (0.0, "$0"),
        (0.00001, "under $0.0001"),
        (0.00005, "$0.0001"),
        (0.0004, "$0.0004"),
        (0.0123, "$0.0123"),
        (0.02, "$0.02"),
        (0.05625, "$0.0563"),
        (0.0994, "$0.0994"),
        (0.0996, "$0.10"),
        (0.234, "$0.23"),
        (1.5, "$1.50"),
        (9.99, "$9.99"),
        (9.996, "$10"),
        (12.3, "$12"),
        (1_234.5, "$1,234"),
    ],
)
def test_money_is_written_with_the_digits_that_matter(usd: float, said: str) -> None:
    """Fractions of a cent where there is no more, cents up to ten dollars, then dollars."""
    assert prices.money(usd) == said
