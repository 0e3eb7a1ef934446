"""End to end: prompts → answers over a sandbox on a socket, beside the tutorial's script."""

from __future__ import annotations

import os

from tests.benchmarks import loops, made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Target
from tests.benchmarks.served import served


def _ours(rows: int, place: Place) -> Act:
    there = place.opened.enter_context(served(place.own / "home"))
    os.environ["GROQ_MAGIC_HOME"] = str(place.own / "ledger")
    import groq_magic
    from groq_magic import runs, services

    place.opened.callback(lambda: runs.leave().result(30))
    services.use_sandbox(there.url)
    asked = made.prompts(rows)

    def act() -> Facts:
        texts = groq_magic.submit(asked, max_cost=1e6).wait().texts
        assert len(texts) == rows
        assert None not in texts
        return {}

    return act


def _loop(rows: int, place: Place) -> Act:
    there = place.opened.enter_context(served(place.own / "home"))
    import requests  # noqa: F401  # not what is measured

    asked = made.prompts(rows)

    def act() -> Facts:
        sleep_s = 1.0  # what `job.ask_again_s` gives for a young batch
        assert len(loops.whole(f"{there.url}/openai/v1", asked, place.own, sleep_s)) == rows
        return {}

    return act


_SHORTER = Target(
    "of the script's time", lambda sides: sides["ours"]["seconds"] / sides["loop"]["seconds"], most=0.6
)

GROUP = Group(
    "whole",
    "End to end: prompts → texts over a sandbox on a socket without delay, beside the tutorial's script",
    (
        Contest(
            "texts",
            {"ours": _ours, "loop": _loop},
            sizes=(50_000,),
            quick=(10_000,),
            targets=(_SHORTER,),
            warm=False,
        ),
    ),
)
