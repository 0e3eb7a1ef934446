"""Where the Groq key comes from, and which service it opens.

Looked for in `GROQ_API_KEY`, then in a `.env` file in or above the working folder. A key is never shown:
its repr is a fingerprint, and `errors.redact` blacks out what slips into a message.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from groq_magic.errors import InputError, KeyMissing, keep_secret

GROQ = "https://api.groq.com"


class Key(str):
    """A key whose repr gives nothing away: tracebacks that show variables show it, too."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'gsk_…'"


@dataclass(frozen=True)
class Service:
    """Whom we talk to, with what key.

    `id` is the identity under which requests count as already asked: the base URL, or a sandbox store's id.
    `base_url` is the host's root (https://console.groq.com/docs/api-reference; paths begin /openai/v1);
    `folder` is set for a sandbox that runs inside this process, where a whole batch takes `pace_s` seconds.
    """

    id: str
    base_url: str
    key: Key = field(repr=False)
    key_from: str
    folder: str | None = None
    pace_s: float = 10.0

    @property
    def badge(self) -> str:
        """What a card says of where the prompts go."""
        return badge(self.id, self.base_url)

    @property
    def place(self) -> str:
        """The same in the middle of a sentence."""
        return "the sandbox" if self.id.startswith("sandbox:") else self.badge

    @property
    def place_first(self) -> str:
        """The same at the beginning of one."""
        return self.place.replace("the sandbox", "The sandbox")

    @property
    def key_fingerprint(self) -> str:
        """Eight hex digits that tell keys apart and give nothing away."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]


def badge(service_id: str, base_url: str) -> str:
    """The host, or that it is a sandbox."""
    return "SANDBOX: not a model" if service_id.startswith("sandbox:") else urlsplit(base_url).netloc


SANDBOX_KEY = Key("gsk_sandbox")
SANDBOX_TOKEN = "GROQ_MAGIC_SANDBOX_TOKEN"


def sandbox(store_id: str, base_url: str, folder: str | None = None, pace_s: float = 10.0) -> Service:
    """The service that a sandbox is, by its store's id.

    It gets a fixed fake key; one on the network that lets in nobody without its token gets what
    `GROQ_MAGIC_SANDBOX_TOKEN` holds. Your Groq key is never sent to a sandbox.
    """
    key = SANDBOX_KEY
    if folder is None and (token := os.environ.get(SANDBOX_TOKEN, "").strip()):
        key = Key(token)
        keep_secret(key)
    return Service(f"sandbox:{store_id}", base_url, key, "the sandbox", folder, pace_s)


def find(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Service:
    """Groq, or what GROQ_BASE_URL names, with the first key found. Raises KeyMissing, InputError.

    A base URL in a `.env` counts only with a key from the same file: a stranger's file must not be able
    to send your key elsewhere.
    """
    found = next(_found(environ, folder), None)
    if found is None:
        raise KeyMissing(
            "No Groq key was found. Practise without one: %groq sandbox. To use Groq, put GROQ_API_KEY=… "
            "in a .env file beside the notebook, or set it in the environment that starts Jupyter "
            "(keys: https://console.groq.com/keys)."
        )
    return _service(*found)


def keyless(environ: Mapping[str, str] | None = None) -> Service:
    """Groq, or what GROQ_BASE_URL names, without a key: what was asked there is known by it, and no more."""
    environ = os.environ if environ is None else environ
    url = root(environ.get("GROQ_BASE_URL", "").strip() or GROQ)
    return Service(url, url, Key(), "")


def _found(environ: Mapping[str, str] | None, folder: Path | None) -> Iterator[tuple[Key, str, str]]:
    """Keys, where each comes from, and the base URL that goes with it. No error is raised beside them."""
    environ = os.environ if environ is None else environ
    base_url = environ.get("GROQ_BASE_URL", "").strip()
    if key := environ.get("GROQ_API_KEY", "").strip():
        yield Key(key), "GROQ_API_KEY", base_url
    for path, values in _dotenvs(folder or Path.cwd()):
        if key := (values.get("GROQ_API_KEY") or "").strip():
            yield Key(key), str(path), base_url or (values.get("GROQ_BASE_URL") or "").strip()


def root(base_url: str) -> str:
    """The host's root of a base URL, given with or without Groq's `/openai/v1`. Raises InputError."""
    found = base_url.strip().rstrip("/").removesuffix("/openai/v1")
    if "@" in found:
        raise InputError("A base URL with a user name or password in it is not used: take them out.")
    try:
        parts = urlsplit(found)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        known = known and not (parts.query or parts.fragment or re.search(r"\s", found))
    except ValueError:  # brackets that do not match, a port that is no number
        known = False
    if not known:
        raise InputError(f"{base_url!r} is no base URL: it begins with https:// or http:// and a host.")
    import httpx

    return str(httpx.URL(found)).rstrip("/")  # one spelling: upper case and :443 are no other service


def _service(key: Key, where: str, base_url: str) -> Service:
    if not key.isascii() or not key.isprintable() or any(c.isspace() for c in key):
        raise InputError(f"The key in {where} holds a space or a sign that no key has: paste it again.")
    keep_secret(key)
    url = root(base_url or GROQ)
    return Service(url, url, key, where)


def _dotenvs(folder: Path) -> Iterator[tuple[Path, dict[str, str | None]]]:
    """The `.env` files in and above a folder, the nearest first, with what they hold."""
    for path in (place / ".env" for place in (folder, *folder.parents)):
        if path.is_file():
            from dotenv import dotenv_values

            try:
                yield path, dotenv_values(path, interpolate=False)
            except (OSError, UnicodeDecodeError) as exc:
                raise InputError(f"{path} cannot be read ({exc}): it is a text file in UTF-8.") from exc
