"""What the tests inside one process share: a home of its own, a sandbox in it, and an end to all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

from groq_magic import client, loop
from groq_magic.answers import Answers
from groq_magic.errors import StillRunning


@contextmanager
def home(folder: Path) -> Iterator[Path]:
    """GROQ_MAGIC_HOME is `folder` and nothing of the machine's own settings is seen; at the end nothing runs."""
    ours = {"GROQ_MAGIC_HOME": str(folder), "JPY_SESSION_NAME": "test.ipynb"}
    with mock.patch.dict(os.environ, ours):
        for name in ("GROQ_API_KEY", "GROQ_BASE_URL"):
            os.environ.pop(name, None)
        try:
            yield folder
        finally:
            restart()


def restart() -> None:
    """As when a kernel ends: nothing is watched, driven or chosen any more, and the ledger is let go of."""
    runs = list(client._runs.values())
    client.leave()
    for run in runs:
        loop.run(run.left.wait(), 30)
    client.use_groq()
    if client._ledger is not None:
        client._ledger.close()
        client._ledger = None


def ask(source: object, *, pace_s: float = 0.2, **options: object) -> Answers:
    """Submits to the sandbox, where the whole batch takes `pace_s` seconds."""
    client.use_sandbox(pace_s=pace_s)
    return client.submit(source, **options)


def ended(answers: Answers) -> Answers:
    """The same answers at their end, which is asked for again and again, as with the button Check now."""
    while not answers.done:
        client.check_now(answers)
        with suppress(StillRunning):
            answers.wait(0.05)
    return answers
