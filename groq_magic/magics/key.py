"""`%groq key`: asks for a key, hidden, tries it, and uses it in this process from then on.

What is typed goes into no output, no history and no file; in what Python may show of our variables it is a
`Key`, whose repr says nothing.
"""

from __future__ import annotations

import asyncio
import getpass
import warnings

from IPython.core.error import StdinNotImplementedError

from groq_magic import api, keys, loop, services
from groq_magic.errors import InputError, NoReply, Refused
from groq_magic.keys import Key, Service

_ASK_S = 10.0
_KEEP = (
    "It is kept in this process only. To keep it: GROQ_API_KEY=… in a file .env beside the notebook, or "
    "`keyring set groq_magic GROQ_API_KEY` in a terminal, with the library keyring."
)
_NOTHING = "Nothing has changed."
_ELSE = "Put GROQ_API_KEY=… into a file .env beside the notebook, or into the environment."


def ask() -> str:
    """Asks, tries and uses a key; what came of it, in words. Raises InputError, NoReply.

    Wherever it raises, and after an empty answer, the key in use is the one that was.
    """
    where = keys.typed(_typed())
    if where is None:
        return f"Nothing was typed. {_NOTHING}"
    may_batch = _tried(where)
    keys.use(where.key)
    waits = " Prompts go to a sandbox now, and to Groq after %groq sandbox off." if services.chosen() else ""
    return f"The key (fingerprint {where.key_fingerprint}) is used from now on. {may_batch}{waits} {_KEEP}"


def _typed() -> Key:
    """What was typed, not shown; an end of the input is an empty answer. Raises InputError."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # else it would be shown as it is typed
        try:
            return Key(getpass.getpass("Groq key (not shown; empty: leave all as it is): "))
        except StdinNotImplementedError:
            raise InputError(f"Nobody can be asked here: this notebook runs by itself. {_ELSE}") from None
        except getpass.GetPassWarning:
            raise InputError(
                f"What is typed here could not be hidden, so nothing is asked. {_ELSE}"
            ) from None
        except EOFError:
            return Key()


def _tried(where: Service) -> str:
    """What the key may do, in a sentence. Raises InputError, NoReply for one that is not to be used."""
    try:
        return loop.run(_asked(where))
    except TimeoutError:
        said = f"{where.place_first} did not answer in {_ASK_S:g} s"
        raise NoReply(f"{said}, so the key was not tried. {_NOTHING}", maybe_done=True) from None
    except NoReply as exc:
        raise NoReply(f"{exc.message} The key was not tried. {_NOTHING}", maybe_done=True) from None
    except Refused as exc:
        if exc.status != 401:
            raise InputError(f"The key was not tried. {_NOTHING} ({exc.message})") from None
        raise InputError(
            f"{where.place_first} does not accept this key. {_NOTHING} ({exc.message})"
        ) from None


async def _asked(where: Service) -> str:
    endpoints = api.Groq(where)
    try:
        async with asyncio.timeout(_ASK_S):
            await endpoints.models()
            return await _may_batch(endpoints)
    finally:
        await endpoints.close()


async def _may_batch(endpoints: api.Groq) -> str:
    """https://console.groq.com/docs/batch: a plan without batches is refused before anything is looked at."""
    try:
        await endpoints.batches()
    except Refused as exc:
        if exc.code == "not_available_for_plan":
            return (
                "It can chat, and cannot batch: its plan has no Batch API (Groq's Developer plan has: "
                "https://console.groq.com/settings/billing)."
            )
        return f"Whether it may use the Batch API is not known yet: {exc.message}"
    except NoReply as exc:
        return f"Whether it may use the Batch API is not known yet: {exc.message}"
    return "It may use the Batch API."
