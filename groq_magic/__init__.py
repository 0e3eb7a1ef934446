"""groq_magic: thousands of prompts from one notebook cell, through Groq's Batch API.

::

    %load_ext groq_magic
    %%groq_batch answers --model openai/gpt-oss-20b
    Why is the sky blue?

or, without magics, `groq_magic.submit(["Why is the sky blue?"]).wait().texts`.

The map, from the top floor down; imports only go down:

::

    __main__    the command line: demo, sandbox
    demo        plays the first notebook in a kernel of its own
    magics/     the IPython edge: %%groq_batch, %groq; one table of options; Tab
    card/       what is seen: words (Snapshot → text), picture (→ HTML), widget (live), line (terminal)
    client      submit, attach, batches: the same without magics
    standing    how things stand, and what to type next
    listing     every batch that the ledger or the service knows     models  those the key may use
    runs        what this process carries: one run a job
    pipeline    THE STORY: shards → upload → batch → poll → answers; policy: what each error means
    download    a result file, held against what it should be
    now         prompts asked one by one through the ordinary endpoint
    foreign     a batch that is not on the ledger becomes a job
    view        snapshots of a job, and who watches
    polling     one poller for many batches      orphans  what the service holds of ours
    recall      a saved file's answers become a job
    services    where prompts go                 reuse    what was asked before, and what is left to send
    api         Groq's endpoints, one coroutine each    estimates  what prompts will cost
    ledger      every batch we know, on disk; owns every path       versions  its tables, then and now
    job         a job and its shards; what a state means, when to ask again
    settings    what prompts are asked with
    shards      requests → JSONL files within the limits; fingerprints
    answers/    what came back: reading, columns, answers, frames, display
    schema/     what an answer is to fit: on the wire, and back
    prompts/    what is asked: body, kinds of sources, streams, files, templates, rules
    costs       from counts to money, before and after
    wire        Groq's JSON as typed values      keys  key and service     prices  what tokens cost
    loop        one thread, one event loop       vaults  keys that others keep
    errors      below all                        table  rows as text and HTML
    sandbox/    the other side of the wire; imports nothing of ours

A reader's way in: start at `pipeline.Run.run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from groq_magic.answers import Answer, Answers
    from groq_magic.client import attach, submit
    from groq_magic.errors import NotSent, StillRunning
    from groq_magic.listing import batches

# Names that users take from here, and where they live: imported when first asked for.
_LAZY = {
    "Answer": "groq_magic.answers",
    "Answers": "groq_magic.answers",
    "NotSent": "groq_magic.errors",
    "StillRunning": "groq_magic.errors",
    "attach": "groq_magic.client",
    "batches": "groq_magic.listing",
    "submit": "groq_magic.client",
}

__all__ = ["Answer", "Answers", "NotSent", "StillRunning", "attach", "batches", "submit"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'groq_magic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext groq_magic`."""
    from groq_magic.magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext groq_magic`: stops watching, never a batch."""
    from groq_magic.magics import unload

    unload(shell)
