import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from groq_magic import wire
from groq_magic.api import Groq
from groq_magic.errors import ApiError, NoReply, Refused
from groq_magic.keys import Service
from groq_magic.polling import Poller

SERVICE = Service("http://here", "http://here", "gsk_test", "the test")
FAR_S = 3_600.0

Reply = Callable[[httpx.Request], httpx.Response]


class Desk:
    """A service that knows a few batches by heart, and every request that it was asked."""

    def __init__(self, *ids: str, knows_ids: bool = True) -> None:
        self.ids, self.knows_ids = ids, knows_ids
        self.asked: list[str | list[str]] = []  # a single id, or the ids of one list
        self.instead: Reply | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answers `GET /batches?id=…` and `GET /batches/ID`."""
        single = request.url.path.removeprefix("/openai/v1/batches").removeprefix("/")
        ids = request.url.params.get_list("id")
        self.asked.append(single or ids)
        if self.instead is not None:
            return self.instead(request)
        if single:
            if single in self.ids:
                return httpx.Response(200, json=self.batch(single))
            return httpx.Response(404, json={"error": {"message": f"Cannot find batch {single}"}})
        listed = [found for found in self.ids if found in ids] if self.knows_ids else self.ids[:20]
        return httpx.Response(200, json={"object": "list", "data": [self.batch(found) for found in listed]})

    def batch(self, batch_id: str) -> dict[str, Any]:
        """One batch as it is shown."""
        return {"id": batch_id, "status": "in_progress"}


@asynccontextmanager
async def poller(desk: Desk) -> AsyncIterator[Poller]:
    """A poller that asks this desk."""
    api = Groq(SERVICE, httpx.MockTransport(desk))
    try:
        yield Poller(api)
    finally:
        await api.close()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Runs a test's coroutine; one that hangs is an error."""

    async def limited() -> None:
        await asyncio.wait_for(coroutine, 20)

    asyncio.run(limited())


async def ask_all(asker: Poller, ids: tuple[str, ...], in_s: float = 0.0) -> list[wire.Batch | ApiError]:
    """What each who asks is told, at the same time."""
    told = await asyncio.gather(*(asker.ask(found, in_s) for found in ids), return_exceptions=True)
    assert all(isinstance(one, wire.Batch | ApiError) for one in told), told
    return told  # type: ignore[return-value]


def names(count: int) -> tuple[str, ...]:
    """So many ids of batches."""
    return tuple(f"batch_{n}" for n in range(count))


def test_a_thousand_batches_are_asked_about_in_five_requests_a_round() -> None:
    """Each round asks for 200 ids at a time, each id once, and everybody is told of their own batch."""
    desk = Desk(*names(1_000))

    async def rounds() -> None:
        async with poller(desk) as asker:
            for _ in range(2):
                desk.asked.clear()
                told = await ask_all(asker, desk.ids)
                assert [one.id for one in told if isinstance(one, wire.Batch)] == list(desk.ids)
                assert [len(ids) for ids in desk.asked] == [200] * 5
                assert sorted(found for ids in desk.asked for found in ids) == sorted(desk.ids)

    run(rounds())


def test_one_batch_alone_is_asked_for_by_itself() -> None:
    """A single batch needs no list."""
    desk = Desk("batch_1")

    async def once() -> None:
        async with poller(desk) as asker:
            assert (await asker.ask("batch_1", 0.0)).status == "in_progress"
        assert desk.asked == ["batch_1"]

    run(once())


def test_who_is_nearly_due_is_asked_about_with_the_others() -> None:
    """A batch whose time has half come goes with one that is due; one that has long to wait does not."""
    desk = Desk("due", "nearly", "far")

    async def together() -> None:
        async with poller(desk) as asker:
            far = asyncio.create_task(asker.ask("far", FAR_S))
            nearly = asyncio.create_task(asker.ask("nearly", 0.4))
            await asyncio.sleep(0)
            await asker.ask("due", 0.3)
            await nearly
            assert desk.asked == [["nearly", "due"]]
            far.cancel()

    run(together())


def test_a_service_that_ignores_id_is_asked_about_each_batch() -> None:
    """Where a list shows what nobody asked for, single requests fill the gaps, now and from then on."""
    desk = Desk(*names(30), knows_ids=False)
    ours = ("batch_3", "batch_25", "batch_28")

    async def rounds() -> None:
        async with poller(desk) as asker:
            told = await ask_all(asker, ours)
            assert [one.id for one in told if isinstance(one, wire.Batch)] == list(ours)
            assert desk.asked == [list(ours), "batch_25", "batch_28"]
            desk.asked.clear()
            await ask_all(asker, ours)
            assert desk.asked == list(ours)

    run(rounds())


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_service_without_a_list_is_asked_about_each_batch(status: int) -> None:
    """Where the list is refused as such, it is nobody's error: the batches are asked about one by one."""
    desk = Desk("batch_1", "batch_2")

    def no_list(request: httpx.Request) -> httpx.Response:
        if request.url.params:
            return httpx.Response(status, json={"error": {"message": "no such thing"}})
        return httpx.Response(200, json=desk.batch(request.url.path.rpartition("/")[2]))

    desk.instead = no_list

    async def rounds() -> None:
        async with poller(desk) as asker:
            for _ in range(2):
                told = await ask_all(asker, desk.ids)
                assert [one.id for one in told if isinstance(one, wire.Batch)] == list(desk.ids)
        assert desk.asked == [list(desk.ids), *desk.ids, *desk.ids]

    run(rounds())


def test_a_batch_that_the_list_leaves_out_is_asked_for_by_itself() -> None:
    """Only who asked about an unknown batch is told that it is unknown."""
    desk = Desk("batch_1", "batch_2")

    async def once() -> None:
        async with poller(desk) as asker:
            one, two, gone = await ask_all(asker, ("batch_1", "batch_2", "batch_gone"))
            assert isinstance(one, wire.Batch)
            assert isinstance(two, wire.Batch)
            assert isinstance(gone, Refused)
            assert gone.status == 404
        assert desk.asked == [["batch_1", "batch_2", "batch_gone"], "batch_gone"]

    run(once())


def reset(request: httpx.Request) -> httpx.Response:
    """A connection that is lost."""
    raise httpx.ReadError("Connection reset by peer", request=request)


FAILURES: dict[str, tuple[Reply, type[ApiError]]] = {
    "a reset": (reset, NoReply),
    "HTML": (lambda request: httpx.Response(200, text="<html>busy</html>"), NoReply),
    "500": (lambda request: httpx.Response(500, text="oops"), Refused),
    "401": (lambda request: httpx.Response(401, json={"error": {"message": "Invalid API Key"}}), Refused),
    "429": (lambda request: httpx.Response(429, headers={"retry-after": "7"}), Refused),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_reaches_everybody_who_waits(failure: str) -> None:
    """When a round fails, each who waits for it is told so by one error, and the next round goes on."""
    desk = Desk(*names(3))
    desk.instead, kind = FAILURES[failure]

    async def rounds() -> None:
        async with poller(desk) as asker:
            told = await ask_all(asker, desk.ids)
            assert [type(one) for one in told] == [kind] * 3
            assert len(desk.asked) == 1
            desk.instead = None
            told = await ask_all(asker, desk.ids)
            assert all(isinstance(one, wire.Batch) for one in told)

    run(rounds())


def test_a_refusal_says_how_long_to_wait() -> None:
    """Retry-After arrives with the error at whoever asked."""
    desk = Desk(*names(2))
    desk.instead = FAILURES["429"][0]

    async def once() -> None:
        async with poller(desk) as asker:
            told = await ask_all(asker, desk.ids)
            assert [one.retry_after_s for one in told if isinstance(one, Refused)] == [7.0, 7.0]

    run(once())


def test_a_poller_that_breaks_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody foresaw ends the waiting, and asking again works."""
    desk = Desk(*names(2))

    def broken(request: httpx.Request) -> httpx.Response:
        raise RuntimeError("unforeseen")

    desk.instead = broken

    async def rounds() -> None:
        async with poller(desk) as asker:
            told = await ask_all(asker, desk.ids)
            assert all(isinstance(one, NoReply) and "unforeseen" in one.message for one in told)
            desk.instead = None
            told = await ask_all(asker, desk.ids)
            assert all(isinstance(one, wire.Batch) for one in told)

    run(rounds())


def test_hurry_asks_now() -> None:
    """Who would wait for an hour is told at once; the others go on waiting."""
    desk = Desk("batch_1", "batch_2")

    async def hurried() -> None:
        async with poller(desk) as asker:
            waiting = [asyncio.create_task(asker.ask(found, FAR_S)) for found in desk.ids]
            await asyncio.sleep(0)
            assert desk.asked == []
            asker.hurry("batch_unknown")
            asker.hurry("batch_1")
            assert (await waiting[0]).id == "batch_1"
            assert desk.asked == ["batch_1"]
            assert not waiting[1].done()
            waiting[1].cancel()

    run(hurried())


def test_who_gives_up_is_not_asked_about() -> None:
    """A wait that was cancelled causes no request."""
    desk = Desk("batch_1", "batch_2")

    async def given_up() -> None:
        async with poller(desk) as asker:
            gone = asyncio.create_task(asker.ask("batch_1", 1.0))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            await asker.ask("batch_2", 1.0)
        assert desk.asked == ["batch_2"]

    run(given_up())
