"""Watching: what it takes to follow batches that run, and what a card sends."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks import made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Target, at_most
from tests.benchmarks.served import served

_LOOK_S = 12.0
_A_JOB = 50  # batches of one job, as of 2.5 million prompts
_SLOW_S = 36_000.0  # so long a batch of the sandbox's takes
_ALL_60_S = 60.0  # how often a batch is asked about that has run for 20 minutes


def _polling(batches: int, place: Place) -> Act:
    """So many batches of one prompt each, running at a sandbox in another process, and asking about them."""
    folder = _in_memory(place)
    there = place.opened.enter_context(served(folder / "sandbox", _SLOW_S))
    os.environ["GROQ_MAGIC_HOME"] = str(folder / "ledger")
    import httpx

    from groq_magic import client, prompts, runs, services
    from groq_magic.settings import Settings

    place.opened.callback(lambda: runs.leave().result(60))
    services.use_sandbox(there.url)
    asked: Counter[str] = Counter()
    _count(httpx.AsyncHTTPTransport, asked)
    texts, sent = made.prompts(batches), []
    for start in range(0, batches, _A_JOB):
        source = prompts.from_source(texts[start : start + _A_JOB])
        sent.append(client.send(source, Settings(shard_rows=1), name=f"answers_{start}"))
    while any(client.look(answers).phase != "at_groq" for answers in sent):
        time.sleep(0.5)

    def act() -> Facts:
        asked.clear()
        cpu = time.process_time()
        time.sleep(_LOOK_S)
        cpu, counted = time.process_time() - cpu, Counter(asked)
        rounds = counted["ids"] / batches
        return {
            "batches": batches,
            "requests": counted["requests"],
            "rounds": rounds,
            "a_round": counted["requests"] / max(rounds, 1e-9),
            "cpu_s_a_minute": cpu * 60 / _LOOK_S,
            "core_percent_later": 100 * cpu / max(rounds, 1e-9) / _ALL_60_S,
        }

    return act


def _in_memory(place: Place) -> Path:
    """A folder that no disk slows down, where there is one: many small writes come before the look."""
    memory = "/dev/shm"
    if not os.access(memory, os.W_OK):
        return place.own
    made = tempfile.TemporaryDirectory(prefix="groq-magic-", dir=memory, ignore_cleanup_errors=True)
    return Path(place.opened.enter_context(made))


def _count(transport: type, asked: Counter[str]) -> None:
    """Counts the requests about batches that this kind of transport carries, and the ids they ask about."""
    carry = transport.handle_async_request  # type: ignore[attr-defined]

    async def counted(self: object, request: object) -> object:
        url = request.url  # type: ignore[attr-defined]
        if request.method == "GET" and re.fullmatch(r".*/batches(/\w+)?", url.path):  # type: ignore[attr-defined]
            asked["requests"] += 1
            asked["ids"] += len(url.params.get_list("id")) or 1
        return await carry(self, request)

    transport.handle_async_request = counted  # type: ignore[attr-defined]


def _card(rows: int, place: Place) -> Act:
    """What a real kernel publishes for the card of a small batch, from its cell's end to the batch's."""
    from tests.kernel import Kernel

    kernel = place.opened.enter_context(Kernel(sys.executable, place.own / "kernel"))
    kernel.run("%load_ext groq_magic\n%groq sandbox")
    kernel.run(f"prompts = [f'Name {{n}} colours.' for n in range({rows})]")

    def act() -> Facts:
        assert kernel.run("%groq_batch answers --from prompts").status == "ok"
        since = time.time()
        assert kernel.run("import time\nwhile not answers.done: time.sleep(0.1)").status == "ok"
        took = time.time() - since
        with kernel.published.changed:
            sent = [each for each in kernel.published.messages if each.sent > since]
        sizes = [
            len(json.dumps(each.content, ensure_ascii=False).encode())
            for each in sent
            if each.type in ("comm_msg", "update_display_data")
        ]
        return {
            "ran_s": took,
            "messages": len(sizes),
            "messages_a_s": len(sizes) / took,
            "bytes_a_s": sum(sizes) / took,
            "largest_b": max(sizes, default=0),
        }

    return act


def _a_round(most: float) -> Target:
    return at_most("requests to ask about each of them once", "a_round", most)


_CORE = at_most("% of a core, once asked about every 60 s", "core_percent_later", 1.0)

GROUP = Group(
    "watching",
    "Watching: batches that run at a sandbox in another process, and the card of one in a real kernel",
    (
        Contest(
            "polling",
            {"ours": _polling},
            sizes=(1, 100, 1_000),
            quick=(100,),
            targets=(_a_round(5.05), _CORE),
            warm=False,
            rounds=1,
        ),
        Contest(
            "card",
            {"ours": _card},
            sizes=(1_200,),
            quick=(1_200,),
            targets=(at_most("messages a second", "messages_a_s", 2.0),),
            warm=False,
            rounds=1,
        ),
    ),
)
