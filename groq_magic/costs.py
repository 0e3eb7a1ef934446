"""From counts to money: the `Estimate` of what is to be sent, the `Cost` of what was answered.

Pure: what is counted, and what earlier answers took, is handed in. How long answers will be nobody knows, so
an estimate is a range, and says what it assumes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groq_magic import prices

# Of English, four letters, a byte each, are about a token. Of a Chinese, Japanese or Korean sign, three bytes
# in UTF-8, models make 0.6 to 1 token, and of an emoji, four bytes, 1 or more: by bytes one rule fits all.
BYTES_A_TOKEN = 4
_BYTES_A_TOKEN_AT_WORST = 3.0, 2.0  # of ASCII, and of all other signs: 1.5 tokens for a Chinese one
ENOUGH = 20  # earlier answers that an estimate is made from; of fewer, one long answer would decide
DEFAULT_LIMIT_USD = 5.0

# What is assumed where nothing is known: tokens an answer takes, thinking included, by `reasoning_effort`,
# whose default is medium (https://console.groq.com/docs/reasoning). It may be three times that, or a third.
ASSUMED = {"none": 200, "low": 200, "medium": 350, "high": 1_000}
_ASSUMED_FACTOR = 3.0
_OTHER_OPTIONS_FACTOR = 2.0  # answers of this model to requests with other options
_ONE_FILE_FACTOR = 1.3  # answers to the same options, of which one file tells no spread
_LEAST_FACTOR = 1.1

# Tokens of thinking about a short question, and what we multiply them by before we warn: a published capture
# of gpt-oss-20b, https://github.com/tidyverse/ellmer/tree/main/tests/testthat/batch
SHORT_THOUGHT = 58
_THOUGHTS = {"low": 1, "medium": 2, "high": 4}


@dataclass(frozen=True)
class Limit:
    """What a submission may cost, in USD; `typed` for this one, or else the default of all."""

    usd: float = DEFAULT_LIMIT_USD
    typed: bool = False


DEFAULT_LIMIT, NO_LIMIT = Limit(), Limit(math.inf)


@dataclass(frozen=True)
class Seen:
    """What earlier answers of a model took: how many, and the bytes and tokens of their requests and replies.

    `spread` is the standard deviation of the mean answer between `files`, in shares of the mean.
    `same_options` says that they were asked with the same options.
    """

    answers: int
    files: int
    bytes: float
    prompt_tokens: int
    completion_tokens: int
    spread: float
    same_options: bool

    @property
    def each(self) -> float:
        """Tokens an answer took."""
        return self.completion_tokens / self.answers


@dataclass(frozen=True)
class Part:
    """Requests of one kind: to one model, with at most `most` tokens an answer, with one effort.

    `bytes` are those of their lines, `text` those of what a model is to read, in UTF-8, and `foreign` those
    of the text that are no ASCII. `pictures` says that there are some, which are no text. `tokens` are those
    asked and answered where that is known already, since the answers are here.
    """

    model: str
    requests: float
    bytes: float
    text: float
    most: int | None = None
    effort: str | None = None
    form: str = ""
    tokens: tuple[float, float] | None = None
    batch: bool = True
    foreign: float = 0.0
    pictures: bool = False

    def share(self, of: float) -> Part:
        """A part of these requests."""
        tokens = self.tokens and (of * self.tokens[0], of * self.tokens[1])
        requests, size, text, foreign = (of * n for n in (self.requests, self.bytes, self.text, self.foreign))
        return replace(self, requests=requests, bytes=size, text=text, foreign=foreign, tokens=tokens)


@dataclass(frozen=True)
class Estimate:
    """What requests will cost: about `usd`, from `low` to `high`, and `on_demand` instead; all in USD.

    `batch` says which of the prices `usd` is. `answer_tokens` is how long an answer is taken to be: assumed,
    unless it is from `seen` earlier answers. Requests to `unpriced` models are in none of the sums, nor are
    `pictures`, where there are any.
    """

    usd: float = 0.0
    low: float = 0.0
    high: float = 0.0
    on_demand: float = 0.0
    batch: bool = True
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seen: int = 0
    same_options: bool = False
    priced: bool = True
    unpriced: tuple[str, ...] = ()
    pictures: bool = False


@dataclass(frozen=True)
class Cost:
    """What answers have cost: `paid`, and what it would have been `on_demand`, in USD. A float is `paid`."""

    paid: float
    on_demand: float

    @property
    def saved(self) -> float:
        """How much less than on demand that is."""
        return self.on_demand - self.paid

    def __float__(self) -> float:
        return self.paid

    def __repr__(self) -> str:
        return f"<Cost {prices.money(self.paid)}, on demand {prices.money(self.on_demand)}>"


@dataclass(frozen=True)
class Rate:
    """At what price tokens are counted; `model` is "" where requests name models of their own."""

    model: str
    batch: bool = True
    free: bool = False


# --- before --------------------------------------------------------------------------------------------


def estimate(parts: Sequence[Part], seen: Mapping[Part, Seen]) -> Estimate:
    """What these requests will cost; `seen` holds what earlier answers to requests of a part's kind took."""
    total = Estimate(batch=all(part.batch for part in parts), priced=not parts)
    open_requests = answers = 0.0
    heard: set[Seen] = set()
    assumed = False
    for part in parts:
        asked, said = _tokens(part, seen.get(part))
        if part.tokens is None:
            open_requests, answers = open_requests + part.requests, answers + part.requests * said[1]
            assumed = assumed or part not in seen
            heard |= {seen[part]} if part in seen else set()
        usd = [prices.cost(part.model, asked[n], part.requests * said[n], batch=part.batch) for n in range(3)]
        full = prices.cost(part.model, asked[1], part.requests * said[1], batch=False)
        total = replace(total, prompt_tokens=total.prompt_tokens + round(asked[1]))
        if usd[0] is None or usd[1] is None or usd[2] is None or full is None:
            if part.model not in total.unpriced:
                total = replace(total, unpriced=(*total.unpriced, part.model))
            continue
        total = replace(
            total,
            low=total.low + usd[0],
            usd=total.usd + usd[1],
            high=total.high + usd[2],
            on_demand=total.on_demand + full,
            priced=True,
        )
    return replace(
        total,
        answer_tokens=round(answers / open_requests) if open_requests else 0,
        seen=0 if assumed else sum(each.answers for each in heard),
        same_options=all(each.same_options for each in heard),
        pictures=any(part.pictures and part.tokens is None for part in parts),
    )


_Three = tuple[float, float, float]  # low, middle, high


def _tokens(part: Part, seen: Seen | None) -> tuple[_Three, _Three]:
    """Tokens of all its requests, and tokens an answer takes."""
    if part.tokens is not None:
        each = part.tokens[1] / part.requests if part.requests else 0.0
        return (part.tokens[0],) * 3, (each,) * 3
    if seen is None:
        asked = part.text / BYTES_A_TOKEN
        ascii_bytes, other_bytes = _BYTES_A_TOKEN_AT_WORST
        worst = (part.text - part.foreign) / ascii_bytes + part.foreign / other_bytes
        # A model's own template adds some tens of tokens to each request.
        asked_from_to = 0.8 * asked, asked, worst + 80 * part.requests
        length = float(ASSUMED.get(part.effort or "medium", ASSUMED["medium"]))
        factor = _ASSUMED_FACTOR
    else:
        asked = part.bytes * seen.prompt_tokens / seen.bytes
        less = 1.1 if seen.same_options else 1.4
        asked_from_to = asked / less, asked, asked * less
        length, factor = seen.each, _factor(seen)
    most = math.inf if part.most is None else float(part.most)
    return asked_from_to, (min(length / factor, most), min(length, most), min(length * factor, most))


def _factor(seen: Seen) -> float:
    """By what the mean of further answers may differ from that of earlier ones."""
    if not seen.same_options:
        return _OTHER_OPTIONS_FACTOR
    return _ONE_FILE_FACTOR if seen.files < 2 else max(_LEAST_FACTOR, 1 + 2 * seen.spread)


def learned(files: Sequence[tuple[bool, int, int, float, int, int, float]]) -> Seen | None:
    """What to rely on of all that a ledger has of a model: same options, else all; None if that is little.

    Each is: same options, files, answers, bytes, tokens asked and answered, and the sum over the files of the
    square of answered tokens by their answers.
    """
    for picked in ([each for each in files if each[0]], files):
        count, answers, size, asked, said, squares = (sum(each[n] for each in picked) for n in range(1, 7))
        if answers >= ENOUGH and size > 0:
            mean = said / answers
            spread = math.sqrt(max(0.0, squares / answers - mean * mean)) / mean if mean else 0.0
            same = all(each[0] for each in picked)
            return Seen(int(answers), int(count), size, int(asked), int(said), spread, same)
    return None


def in_words(found: Estimate, *, free: bool = False, whole: bool = False) -> str:
    """An estimate as a sentence without its end, of a `whole` batch or of what would be sent.

    `free` says that nothing is paid, and that Groq's price is meant.
    """
    if not found.priced:
        said = not_known(found.unpriced)
        return f"nothing is paid here; {said}" if free else said
    low, usd, high, on_demand = map(prices.money, (found.low, found.usd, found.high, found.on_demand))
    span = "" if low == high else f" ({low} to {high})"
    about = usd if usd.startswith("under ") else f"about {usd}"
    if not found.batch:
        said = f"{about} on demand{span}"
    elif whole:
        said = f"whole batch {about}{span}, on demand {on_demand}"
    else:
        said = f"{about} in a batch{span}, {on_demand} on demand"
    without = f"; without {_names(found.unpriced)}, of which no price is known here" if found.unpriced else ""
    if found.pictures:
        without += "; without pictures, of which no document says how many tokens they are"
    return f"{'nothing is paid here; at Groq ' if free else ''}{said}{_basis(found, free)}{without}"


def _basis(found: Estimate, sandbox: bool) -> str:
    """What an estimate rests on, to be put after it; "" where nothing is guessed."""
    if not found.answer_tokens:
        return ""
    if not found.seen:
        return f"; assuming {of_tokens(found.answer_tokens)} an answer"
    how = "" if found.same_options else " with other options"
    whose = "the sandbox" if sandbox else "this model"
    return f", from {found.seen:,} earlier answers of {whose}{how}: {of_tokens(found.answer_tokens)} each"


def of_tokens(count: int) -> str:
    """So many tokens, in words."""
    return "1 token" if count == 1 else f"{count:,} tokens"


def not_known(models: Sequence[str]) -> str:
    """That these models have no price, as a sentence without its end."""
    return f"what {_names(models)} costs is not known here"


def _names(models: Sequence[str]) -> str:
    more = f" and {len(models) - 3:,} others" if len(models) > 3 else ""
    return ", ".join(models[:3]) + more


def refusal(found: Estimate, limit: Limit, *, free: bool) -> str | None:
    """Why this may not be sent under the limit, and what to type; None where it may.

    What is free is held to a typed limit alone, at Groq's price. A limit that was typed is a promise, which
    cannot be given where no price is known, nor for pictures; the default lets that pass.
    """
    if (free and not limit.typed) or limit.usd == math.inf:
        return None
    said = f"the limit of ${_plain(limit.usd)}"
    if limit.typed and found.unpriced:
        return (
            f"What {_names(found.unpriced)} costs is not known here, so {said} cannot be kept to: leave "
            f"--max-cost (max_cost) out, or ask a model with a price: {_priced()}. Nothing was sent."
        )
    if limit.typed and found.pictures:
        return (
            f"What pictures cost is not known here, so {said} cannot be kept to: leave --max-cost (max_cost) "
            "out, or ask without pictures. Nothing was sent."
        )
    if found.usd <= limit.usd:
        return None
    more = _round_up(found.usd)
    would = "At Groq this would cost" if free else "This would cost"
    return (
        f"{would} {in_words(found)}: more than {said}. `--max-cost {more}` (max_cost={more}) allows it, "
        "fewer rows cost less, and `--dry-run` shows what would be sent. Nothing was sent."
    )


def _priced() -> str:
    return ", ".join(model.id for model in prices.MODELS if model.batch and model.prompt_usd is not None)


def _round_up(usd: float) -> str:
    """The next of 1, 2, 5, 10, 20 … that is no less, as it is typed."""
    power = 10.0 ** math.floor(math.log10(usd)) if usd > 0 else 1.0
    found = next(step * power for step in (1, 2, 5, 10) if step * power >= usd * (1 - 1e-12))
    return _plain(found)


def _plain(usd: float) -> str:
    """A number as it is typed, in full."""
    return f"{usd:.10f}".rstrip("0").rstrip(".")


def too_few(part: Part, seen: Seen | None) -> str | None:
    """A warning where so few tokens are allowed that a model which thinks first would answer with nothing.

    https://console.groq.com/docs/reasoning: thinking counts into `max_completion_tokens`.
    """
    effort = part.effort or "medium"
    if part.most is None or not prices.thinks(part.model) or effort == "none":
        return None
    if seen is not None:
        needed = 1.25 * seen.each  # those that were cut took no more than they were allowed
        took = f"the last {seen.answers:,} answers took {seen.each:,.0f} tokens each"
    else:
        needed = SHORT_THOUGHT * _THOUGHTS.get(effort, _THOUGHTS["medium"])
        took = f"a short question took {SHORT_THOUGHT} tokens of thought alone"
    if part.most >= needed:
        return None
    effort = f" (reasoning_effort {part.effort})" if part.effort else ""
    return (
        f"{part.model}{effort} thinks before it answers, and {took}: with {of_tokens(part.most)} at most, "
        "thinking included, answers may be cut off or empty. A larger --max-tokens costs only what is used."
    )


# --- after ---------------------------------------------------------------------------------------------


def unpriced(used: Mapping[Rate, tuple[int, int]]) -> tuple[str, ...]:
    """The models that have answered and of which no price is known."""
    models = dict.fromkeys(rate.model for rate in used)
    return tuple(model for model in models if prices.cost(model, 0, 0, batch=True) is None)


def cost(used: Mapping[Rate, tuple[int, int]]) -> Cost | None:
    """What tokens have cost, asked and answered by the rate they go by; None where a price is not known.

    A rate without tokens is that of answers that are not paid by tokens.
    """
    paid = full = 0.0
    for rate, (asked, said) in used.items():
        if rate.free:
            continue
        one = prices.cost(rate.model, asked, said, batch=rate.batch)
        whole = prices.cost(rate.model, asked, said, batch=False)
        if one is None or whole is None:
            return None
        paid, full = paid + one, full + whole
    return Cost(paid, full)
