"""The models that a key may use, in one table: what they cost, how much they take, whether in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from groq_magic import loop, prices, runs, services, table, wire
from groq_magic.answers.display import shortened
from groq_magic.errors import InputError, NoReply, Refused
from groq_magic.keys import Service
from groq_magic.settings import shut_down

_ASK_S = 10.0
_NOT_KNOWN = "not known here"
_HEAD = ("model", "on demand: in / out", "in a batch: in / out", "context", "longest answer", "batch")


@dataclass(frozen=True)
class Offer:
    """A model that the key may use, and whether it works in a `batch`.

    Prices are USD a million tokens on demand, `context` and `longest` tokens. None is what is not known.
    """

    id: str
    prompt_usd: float | None
    completion_usd: float | None
    context: int | None
    longest: int | None
    batch: bool | None

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows of it."""
        return (
            shortened(self.id, 60),
            self._price(1.0),
            {True: self._price(prices.BATCH_SHARE), False: "–", None: _NOT_KNOWN}[self.batch],
            _count(self.context),
            _count(self.longest),
            {True: "yes", False: "no", None: "unknown"}[self.batch],
        )

    def _price(self, share: float) -> str:
        if self.prompt_usd is None or self.completion_usd is None:
            return _NOT_KNOWN
        return f"{_dollars(share * self.prompt_usd)} / {_dollars(share * self.completion_usd)}"


@dataclass(frozen=True)
class Models:
    """Models as `%groq models` shows them; `place` is who offers them, `others` what it lists besides."""

    offers: Sequence[Offer]
    place: str
    sandbox: bool = False
    others: int = 0

    def __repr__(self) -> str:
        return f"<Models: {len(self.offers):,} of {self.place}>"

    def _after(self) -> list[str]:
        free = "In the sandbox they cost nothing. At Groq: " if self.sandbox else ""
        left_out = f"{self.others:,} more {'is' if self.others == 1 else 'are'} shut down or not active."
        return [
            f"{free}USD for a million tokens, as of {prices.AS_OF}: {prices.SOURCE}",
            *([left_out] if self.others else []),
        ]

    def _none(self) -> str:
        return f"{self.place} lists no models for this key."

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if not self.offers:
            return {"text/plain": self._none(), "text/html": f"<p>{escape(self._none())}</p>"}
        rows = [offer.cells for offer in self.offers]
        after = "".join(f"<p>{escape(said)}</p>" for said in self._after())
        return {
            "text/plain": "\n".join([table.as_text([_HEAD, *rows]), *self._after()]),
            "text/html": table.as_html(_HEAD, rows, whole=_HEAD, code=_HEAD[:1]) + after,
        }


def listed() -> Models:
    """The models that the key may use, as the service lists them; ten seconds are waited at the most.

    Raises KeyMissing, InputError, ApiError.
    """
    where = services.current()
    try:
        found = loop.run(_asked(where))
    except TimeoutError:
        raise NoReply(f"{where.place_first} did not answer in {_ASK_S:g} s.", maybe_done=True) from None
    except Refused as exc:
        if exc.status != 401:
            raise
        raise InputError(
            f"{where.place_first} does not accept the key from {where.key_from}: %groq key asks for another. "
            f"({exc.message})"
        ) from exc
    offers = [_offer(model) for model in found if _in_use(model)]
    offers.sort(key=lambda offer: ({True: 0, None: 1, False: 2}[offer.batch], offer.id))
    return Models(offers, where.place_first, where.sandbox, len(found) - len(offers))


async def _asked(where: Service) -> list[wire.Model]:
    endpoints, _ = runs.connect(where)
    async with asyncio.timeout(_ASK_S):
        return await endpoints.models()


def _in_use(model: wire.Model) -> bool:
    known = prices.known(model.id)
    return model.active and not (known and shut_down(known))


def _offer(model: wire.Model) -> Offer:
    """What the service says of a model, and beside it what we know."""
    known = prices.known(model.id)
    return Offer(
        model.id,
        known.prompt_usd if known else None,
        known.completion_usd if known else None,
        model.context_window or (known.context if known else None),
        model.max_completion_tokens or (known.max_completion if known else None),
        known.batch if known else None,
    )


def _dollars(usd: float) -> str:
    """At least cents, and no digit that says nothing: $0.30, $0.0375."""
    whole, _, digits = f"{usd:,.4f}".partition(".")
    return f"${whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def _count(tokens: int | None) -> str:
    return "–" if tokens is None else f"{tokens:,}"
