"""Several accounts in one sandbox: a key `gsk_of_NAME…` is one of the account NAME's.

At Groq files and batches belong to a project, and no key of another sees them. Here an account is a sandbox
of its own: files, batches, faults and clock. All other keys share the one that they always had.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_OF = re.compile(r"(?i:bearer) +gsk_of_([a-z0-9]{1,32})(?![A-Za-z0-9])")


class Accounts:
    """Hands a request to its key's account, which `open_account` makes when it is first asked for."""

    def __init__(self, app: ASGIApp, open_account: Callable[[str], ASGIApp]) -> None:
        self._open = open_account
        self._apps = {"": app}  # by the account's name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        found = scope["type"] == "http" and _OF.match(Headers(scope=scope).get("authorization", ""))
        name = found[1] if found else ""
        if name not in self._apps:
            self._apps[name] = await run_in_threadpool(self._open, name)
        await self._apps[name](scope, receive, send)
