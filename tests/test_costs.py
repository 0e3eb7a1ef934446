"""What prompts will cost and have cost: each figure against one that was computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from groq_magic import costs
from groq_magic.costs import Cost, Estimate, Limit, Part, Rate, Seen
from groq_magic.errors import InputError
from groq_magic.settings import limit as limit_of

OSS = "openai/gpt-oss-20b"
BIG = "openai/gpt-oss-120b"

# A thousand prompts of 400 characters: 100,000 tokens asked; 350,000 answered, as nothing is known.
THOUSAND = Part(OSS, 1_000, 500_000, 400_000.0)


def about(usd: float) -> Any:
    """This figure, computed by hand, but for the last bits of a float."""
    return pytest.approx(usd, rel=1e-9)


# --- an estimate ------------------------------------------------------------------------------------------


def test_an_estimate_without_any_knowledge_is_four_bytes_a_token_and_an_assumed_length() -> None:
    """0.1 M × $0.075 + 0.35 M × $0.30 is $0.1125 on demand and half of that in a batch; the range is wide."""
    found = costs.estimate([THOUSAND], {})
    assert (found.on_demand, found.usd) == (about(0.1125), about(0.05625))
    # 80,000 tokens asked and 116,667 answered; 213,333 asked (four thirds, and 80 a request) and 1,050,000.
    assert found.low == about((80_000 * 0.0375 + 350_000 / 3 * 0.15) / 1e6)
    assert found.high == about((400_000 / 3 + 80_000) * 0.0375 / 1e6 + 1_050_000 * 0.15 / 1e6)
    assert (found.prompt_tokens, found.answer_tokens, found.seen) == (100_000, 350, 0)


def test_signs_that_are_no_ascii_are_more_tokens() -> None:
    """1,000 prompts of 100 Chinese signs, 300 bytes each: 75,000 tokens, or 60,000 to 230,000."""
    found = costs.estimate([replace(THOUSAND, text=300_000, foreign=300_000, most=0)], {})
    assert (found.prompt_tokens, found.usd) == (75_000, about(75_000 * 0.0375 / 1e6))
    assert (found.low, found.high) == (about(60_000 * 0.0375 / 1e6), about(230_000 * 0.0375 / 1e6))


def test_the_ordinary_endpoint_costs_twice_as_much() -> None:
    """What is not a batch is estimated at the price on demand."""
    found = costs.estimate([replace(THOUSAND, batch=False)], {})
    assert (found.usd, found.on_demand) == (about(0.1125), about(0.1125))
    assert costs.in_words(found).startswith("about $0.11 on demand (")
    both = costs.estimate([THOUSAND, replace(THOUSAND, batch=False)], {})
    assert (both.usd, both.on_demand) == (about(1.5 * 0.1125), about(2 * 0.1125))


@pytest.mark.parametrize(("effort", "each"), [("low", 200), ("medium", 350), ("high", 1_000), ("odd", 350)])
def test_a_model_that_is_to_think_more_is_taken_to_answer_longer(effort: str, each: int) -> None:
    """What is assumed follows `reasoning_effort`."""
    found = costs.estimate([replace(THOUSAND, effort=effort)], {})
    assert found.answer_tokens == each
    assert found.usd == about(0.00375 + each * 1_000 * 0.15 / 1e6)


def test_no_answer_is_taken_to_be_longer_than_it_may_be() -> None:
    """100 tokens at most are $0.015 for a thousand answers, and the range ends there."""
    found = costs.estimate([replace(THOUSAND, most=100)], {})
    assert (found.usd, found.answer_tokens) == (about(0.00375 + 0.015), 100)
    assert found.high == about((400_000 / 3 + 80_000) * 0.0375 / 1e6 + 0.015)


KNOWN = Seen(
    answers=1_204,
    files=4,
    bytes=602_000.0,
    prompt_tokens=150_500,
    completion_tokens=255_248,
    spread=0.05,
    same_options=True,
)


def test_earlier_answers_make_the_estimate() -> None:
    """A quarter token a byte, 212 an answer: 125,000 asked and 212,000 answered are $0.0364875 in a batch."""
    found = costs.estimate([THOUSAND], {THOUSAND: KNOWN})
    assert found.usd == about(0.0046875 + 0.0318)
    assert (found.prompt_tokens, found.answer_tokens, found.seen) == (125_000, 212, 1_204)
    # Means that were 5 % apart from file to file: 10 % more or less, and 10 % for the prompts.
    assert found.low == about((0.0046875 + 0.0318) / 1.1)
    assert found.high == about((0.0046875 + 0.0318) * 1.1)


def test_a_range_is_narrower_the_more_is_known() -> None:
    """Nothing known, other options, one file of the same, several files of the same: each is surer."""
    knowledge = (
        None,
        replace(KNOWN, same_options=False),
        replace(KNOWN, files=1),
        KNOWN,
    )
    widths = []
    for known in knowledge:
        found = costs.estimate([THOUSAND], {THOUSAND: known} if known else {})
        assert found.low < found.usd < found.high
        widths.append(found.high / found.low)
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4


def test_what_has_come_counts_as_it_is() -> None:
    """Of two files one is here: 1,000 tokens asked and 2,000 answered are $0.0003375, and no guess."""
    here = Part(OSS, 10, 5_000, 0, tokens=(1_000.0, 2_000.0))
    found = costs.estimate([here], {})
    assert found.usd == found.low == found.high == about(0.0003375)
    assert costs.in_words(found) == "about $0.0003 in a batch, $0.0007 on demand"
    both = costs.estimate([here, THOUSAND], {})
    alone = costs.estimate([THOUSAND], {})
    assert (both.usd, both.answer_tokens) == (about(alone.usd + 0.0003375), 350)


def test_models_are_summed_and_those_without_a_price_named() -> None:
    """$0.05625 for the one and $0.1125 for the dearer one; the third is in no sum."""
    parts = [THOUSAND, replace(THOUSAND, model=BIG), replace(THOUSAND, model="llama-9")]
    found = costs.estimate(parts, {})
    assert (found.usd, found.unpriced, found.priced) == (about(0.05625 + 0.1125), ("llama-9",), True)
    assert costs.in_words(found).endswith(
        "assuming 350 tokens an answer; without llama-9, of which no price is known here"
    )


def test_a_model_without_a_price_has_no_estimate() -> None:
    """No number is said, in a sandbox neither."""
    found = costs.estimate([replace(THOUSAND, model="llama-9")], {})
    assert (found.usd, found.priced) == (0.0, False)
    assert costs.in_words(found) == "what llama-9 costs is not known here"
    assert costs.in_words(found, free=True) == "nothing is paid here; what llama-9 costs is not known here"


@pytest.mark.parametrize(
    ("found", "free", "said"),
    [
        (
            Estimate(0.23, 0.15, 0.4, 0.46, answer_tokens=350),
            False,
            "about $0.23 in a batch ($0.15 to $0.40), $0.46 on demand; assuming 350 tokens an answer",
        ),
        (
            Estimate(0.23, 0.15, 0.4, 0.46, answer_tokens=212, seen=1_204, same_options=True),
            False,
            "about $0.23 in a batch ($0.15 to $0.40), $0.46 on demand, from 1,204 earlier answers of this "
            "model: 212 tokens each",
        ),
        (
            Estimate(0.23, 0.15, 0.4, 0.46, answer_tokens=212, seen=1_204),
            False,
            "about $0.23 in a batch ($0.15 to $0.40), $0.46 on demand, from 1,204 earlier answers of this "
            "model with other options: 212 tokens each",
        ),
        (
            Estimate(1e-6, 1e-7, 9e-6, 2e-6, answer_tokens=1),
            False,
            "under $0.0001 in a batch, under $0.0001 on demand; assuming 1 token an answer",
        ),
        (
            Estimate(0.23, 0.15, 0.4, 0.46, answer_tokens=350),
            True,
            "nothing is paid here; at Groq about $0.23 in a batch ($0.15 to $0.40), $0.46 on demand; "
            "assuming 350 tokens an answer",
        ),
    ],
)
def test_an_estimate_says_its_range_and_what_it_rests_on(found: Estimate, free: bool, said: str) -> None:
    """The middle, from where to where, the price on demand, and whether the length is assumed or known."""
    assert costs.in_words(found, free=free) == said


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], None),
        ([(True, 1, 19, 1_000.0, 100, 200, 200.0 * 200 / 19)], None),  # too few
        # Two files of 10 answers, of 10 and 30 tokens each: 20 on average, 10 more or less.
        (
            [(True, 2, 20, 1_000.0, 250, 400, 100.0 * 100 / 10 + 300.0 * 300 / 10)],
            Seen(20, 2, 1_000.0, 250, 400, 0.5, True),
        ),
        # Too few of the same options: all together.
        (
            [
                (True, 1, 10, 500.0, 100, 100, 100.0 * 100 / 10),
                (False, 1, 10, 500.0, 150, 300, 300.0 * 300 / 10),
            ],
            Seen(20, 2, 1_000.0, 250, 400, 0.5, False),
        ),
        # Enough of them: the others do not count.
        (
            [
                (True, 1, 20, 500.0, 100, 100, 100.0 * 100 / 20),
                (False, 1, 90, 500.0, 150, 300, 300.0 * 300 / 90),
            ],
            Seen(20, 1, 500.0, 100, 100, 0.0, True),
        ),
    ],
)
def test_what_a_ledger_has_is_relied_on_from_twenty_answers(
    files: list[tuple[bool, int, int, float, int, int, float]], expected: Seen | None
) -> None:
    """Of the same options if there are enough, else of all; the spread is measured between files."""
    assert costs.learned(files) == expected


# --- too few tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "known", "warns"),
    [
        ({"most": 20}, None, True),
        ({"most": 115}, None, True),
        ({"most": 116}, None, False),  # twice the thought of a short question
        ({"most": 58, "effort": "low"}, None, False),
        ({"most": 57, "effort": "low"}, None, True),
        ({"most": 231, "effort": "high"}, None, True),
        ({"most": None}, None, False),
        ({"most": 1, "effort": "none", "model": "qwen/qwen3.8-27b"}, None, False),
        ({"most": 1, "model": "llama-9"}, None, False),
        ({"most": 264}, KNOWN, True),  # 212 tokens each, and a quarter more
        ({"most": 265}, KNOWN, False),
    ],
)
def test_too_few_tokens_for_a_model_that_thinks_are_warned_of(
    part: dict[str, Any], known: Seen | None, warns: bool
) -> None:
    """By what its earlier answers took, or by what a short question is known to take."""
    assert bool(costs.too_few(replace(THOUSAND, **part), known)) is warns


def test_the_warning_says_the_figures() -> None:
    """How many are allowed, how many were needed, and the effort where one was chosen."""
    assert costs.too_few(replace(THOUSAND, most=20, effort="high"), None) == (
        "openai/gpt-oss-20b (reasoning_effort high) thinks before it answers, and a short question took 58 "
        "tokens of thought alone: with 20 tokens at most, thinking included, answers may be cut off or "
        "empty. A larger --max-tokens costs only what is used."
    )
    said = costs.too_few(replace(THOUSAND, most=1), KNOWN) or ""
    assert "the last 1,204 answers took 212 tokens each: with 1 token at most" in said
    assert "reasoning_effort" not in said


# --- a limit ----------------------------------------------------------------------------------------------

DEAR = Estimate(23.0, 8.0, 69.0, 46.0, answer_tokens=350)
UNPRICED = Estimate(priced=False, unpriced=("llama-9",))


@pytest.mark.parametrize(
    ("found", "limit", "free", "refused"),
    [
        (DEAR, Limit(), False, True),
        (DEAR, Limit(50.0, typed=True), False, False),
        (DEAR, Limit(23.0, typed=True), False, False),  # the middle counts, and what is equal may go
        (DEAR, Limit(22.9, typed=True), False, True),
        (DEAR, Limit(), True, False),  # nothing is paid there
        (DEAR, Limit(5.0, typed=True), True, True),  # a rehearsal
        (DEAR, costs.NO_LIMIT, False, False),
        (UNPRICED, Limit(), False, False),
        (UNPRICED, Limit(50.0, typed=True), False, True),
        (UNPRICED, Limit(50.0, typed=True), True, True),
        (UNPRICED, Limit(float("inf"), typed=True), False, False),
        (Estimate(), Limit(0.0, typed=True), False, False),  # nothing is sent
    ],
)
def test_a_limit_holds_where_money_or_a_promise_is_at_stake(
    found: Estimate, limit: Limit, free: bool, refused: bool
) -> None:
    """The default stops what is paid; a typed one also a rehearsal, and what no price is known of."""
    assert bool(costs.refusal(found, limit, free=free)) is refused


def test_a_refusal_says_the_estimate_the_limit_and_what_to_type() -> None:
    """In one line each."""
    assert costs.refusal(DEAR, Limit(), free=False) == (
        "This would cost about $23 in a batch ($8.00 to $69), $46 on demand; assuming 350 tokens an answer: "
        "more than the limit of $5. `--max-cost 50` (max_cost=50) allows it, fewer rows cost less, and "
        "`--dry-run` shows what would be sent. Nothing was sent."
    )
    rehearsal = costs.refusal(replace(DEAR, usd=0.0003), Limit(0.0001, typed=True), free=True) or ""
    assert rehearsal.startswith("At Groq this would cost about $0.0003 in a batch")
    assert "the limit of $0.0001. `--max-cost 0.0005` (max_cost=0.0005)" in rehearsal
    assert costs.refusal(UNPRICED, Limit(2.5, typed=True), free=False) == (
        "What llama-9 costs is not known here, so the limit of $2.5 cannot be kept to: leave --max-cost "
        "(max_cost) out, or ask a model with a price: openai/gpt-oss-120b, openai/gpt-oss-20b. "
        "Nothing was sent."
    )


@pytest.mark.parametrize(
    "given", ["5", -1, -0.01, float("nan"), True, [5], 1j, pytest.param(10**400, id="huge")]
)
def test_a_limit_is_a_number_from_nothing_on(given: object) -> None:
    """Anything else is refused in one line; None is the default, and infinity is no limit."""
    with pytest.raises(InputError, match=r"^max_cost is .*; it is a number of USD from 0\.$"):
        limit_of(given)
    assert limit_of(None) == Limit(5.0)
    assert limit_of(0) == Limit(0.0, typed=True)


# --- what was paid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "paid", "on_demand"),
    [
        ({}, 0.0, 0.0),
        ({Rate(OSS): (1_000_000, 1_000_000)}, 0.1875, 0.375),
        ({Rate(OSS, batch=False): (1_000_000, 1_000_000)}, 0.375, 0.375),
        (
            {Rate(OSS): (1_000_000, 0), Rate(OSS, batch=False): (0, 1_000_000), Rate(BIG): (0, 1_000_000)},
            0.0375 + 0.30 + 0.30,
            0.075 + 0.30 + 0.60,
        ),
        ({Rate(OSS, free=True): (1_000_000, 1_000_000)}, 0.0, 0.0),
        ({Rate("llama-9", free=True): (1_000_000, 1_000_000)}, 0.0, 0.0),
    ],
)
def test_paid_tokens_cost_what_their_rate_says(
    used: dict[Rate, tuple[int, int]], paid: float, on_demand: float
) -> None:
    """A batch is half, the ordinary endpoint whole, a sandbox nothing."""
    found = costs.cost(used)
    assert found is not None
    assert (found.paid, found.on_demand, found.saved) == (
        about(paid),
        about(on_demand),
        about(on_demand - paid),
    )
    assert float(found) == found.paid


def test_a_cost_reads_as_what_was_paid() -> None:
    """Its repr is the two sums; of a model without a price there is no cost at all."""
    assert repr(Cost(0.0123, 0.0246)) == "<Cost $0.0123, on demand $0.0246>"
    assert costs.cost({Rate(OSS): (1, 1), Rate("llama-9"): (1, 1)}) is None
    assert costs.cost({Rate("whisper-large-v3"): (0, 0)}) is None  # answered, and paid by the hour
