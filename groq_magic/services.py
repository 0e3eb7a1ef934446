"""Where prompts go: the sandbox that was chosen, else Groq with the key that is found."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from groq_magic import api, keys, ledger
from groq_magic.errors import InputError
from groq_magic.job import Job
from groq_magic.keys import Service

_chosen: Service | None = None


def current() -> Service:
    """Where prompts go now: the sandbox that was chosen, else Groq with the key found. Raises KeyMissing."""
    return _chosen or keys.find()


def chosen() -> Service | None:
    """The sandbox that prompts go to now; None where they go to Groq."""
    return _chosen


def use_sandbox(url: str | None = None, *, fresh: bool = False, pace_s: float = 10.0) -> Service:
    """From now on prompts go to a sandbox: the one at `url`, or one inside this process.

    `fresh` begins with an empty store. A whole batch takes about `pace_s` seconds in this process's sandbox.
    """
    global _chosen
    if url is not None:
        if fresh:
            raise InputError(
                "--fresh is for the sandbox in this kernel: start the one at the URL with another --home."
            )
        _chosen = _sandbox_at(keys.root(url))
        return _chosen
    home = ledger.current().sandbox_home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    stores = sorted(path for path in home.iterdir() if path.is_dir())
    folder = home / f"{time.time_ns():x}" if fresh or not stores else stores[-1]
    store_id = api.sandbox_app(str(folder), pace_s).state.store_id
    _chosen = keys.sandbox(store_id, folder.as_uri(), str(folder), pace_s)
    return _chosen


def use_groq() -> None:
    """From now on prompts go to Groq again, with the key that is found."""
    global _chosen
    _chosen = None


def _sandbox_at(url: str) -> Service:
    import httpx

    if url == keys.GROQ:
        raise InputError(f"{url} is Groq itself: %groq sandbox off sends prompts there.")
    try:
        found = httpx.get(f"{url}/sandbox", timeout=5).raise_for_status().json()
        there = keys.sandbox(str(found["store_id"]), url)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"No sandbox answers at {url} ({exc!r}). Start one: groq-magic sandbox; it prints its URL."
        ) from exc
    if found.get("token_needed"):
        asked = httpx.get(
            f"{url}/openai/v1/models", headers={"Authorization": f"Bearer {there.key}"}, timeout=5
        )
        if asked.status_code == 401:
            raise InputError(
                f"The sandbox at {url} lets in who has its token: set {keys.SANDBOX_TOKEN} to it in the "
                "environment, and type this again."
            )
    return there


def of_job(job: Job) -> Service:
    """The service that a job was sent to. Raises KeyMissing, InputError."""
    if _chosen is not None and _chosen.id == job.service:
        return _chosen
    if job.sandbox:
        store_id = keys.store_of(job.service)
        if job.base_url.startswith("file:"):
            return keys.sandbox(store_id, job.base_url, str(_path(job.base_url)))
        return keys.sandbox(store_id, job.base_url)
    found = keys.find()
    if found.id != job.service:
        raise InputError(f"These prompts went to {job.service}; set GROQ_BASE_URL to it to go on.")
    return found


def _path(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
