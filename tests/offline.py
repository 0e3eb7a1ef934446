"""What the tests inside one process share: a home of its own, a sandbox in it, and an end to all of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from unittest import mock

from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

from groq_magic import client, keys, ledger, runs, services
from groq_magic.answers import Answers
from groq_magic.errors import NotSent, StillRunning
from groq_magic.job import Snapshot
from groq_magic.keys import Service

T = TypeVar("T")

_sandboxes: dict[tuple[str, float], Service] = {}


@contextmanager
def ipython() -> Iterator[InteractiveShell]:
    """An IPython in this process, without a kernel; it keeps no history."""
    HistoryManager.enabled = False
    InteractiveShell.clear_instance()
    try:
        yield InteractiveShell.instance(colors="nocolor")
    finally:
        InteractiveShell.clear_instance()


@contextmanager
def home(folder: Path) -> Iterator[Path]:
    """GROQ_MAGIC_HOME is `folder`, nothing of the machine's settings is seen; at the end nothing runs."""
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
    runs.leave().result(30)
    services.use_groq()
    keys.use(None)
    ledger.let_go()


def sandbox(pace_s: float) -> None:
    """From now on prompts go to this home's sandbox of this pace; each pace has a store of its own."""
    known = (os.environ["GROQ_MAGIC_HOME"], pace_s)
    if known in _sandboxes:
        services._chosen = _sandboxes[known]
    else:
        _sandboxes[known] = services.use_sandbox(fresh=True, pace_s=pace_s)


def ask(source: object, *, pace_s: float = 0.2, **options: object) -> Answers:
    """Submits to the sandbox, where the whole batch takes `pace_s` seconds."""
    sandbox(pace_s)
    return client.submit(source, **options)


def ended(answers: Answers) -> Answers:
    """The same answers at their end, which is asked for again and again, as with the button Check now."""
    while not answers.done:
        client.check_now(answers)
        with suppress(StillRunning, NotSent):
            answers.wait(0.05)
    return answers


def look(answers: Answers) -> Snapshot:
    """How a card sees the batch now."""
    return client.look(answers)


def until(look: Callable[[], T]) -> T:
    """What `look` gives as soon as it is anything; pytest's own limit ends what never comes."""
    while not (found := look()):
        time.sleep(0.01)
    return found
