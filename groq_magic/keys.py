"""Where the Groq key comes from, and which service it opens.

What `%groq key` was told comes first, for this process; then `GROQ_API_KEY`, then a `.env` file in or above
the working folder, then the system's keyring and Colab's secrets, where they exist. A key is never shown: its
repr is a fingerprint, and `errors.redact` blacks out what slips into a message.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from groq_magic import vaults
from groq_magic.errors import InputError, KeyMissing, keep_secret

GROQ = "https://api.groq.com"
TYPED = "%groq key"
"""What `key_from` is of a key that was typed here."""


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
    def sandbox(self) -> bool:
        """Whether it is a sandbox, where nothing is paid."""
        return is_sandbox(self.id)

    @property
    def badge(self) -> str:
        """What a card says of where the prompts go."""
        return badge(self.id, self.base_url)

    @property
    def place(self) -> str:
        """The same in the middle of a sentence."""
        return "the sandbox" if self.sandbox else self.badge

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
    return "SANDBOX: not a model" if is_sandbox(service_id) else urlsplit(base_url).netloc


def is_sandbox(service_id: str) -> bool:
    """Whether the service of this id is a sandbox."""
    return service_id.startswith(_SANDBOX)


_SANDBOX = "sandbox:"  # begins a sandbox's id; its store's follows
SANDBOX_KEY = Key("gsk_sandbox")
SANDBOX_TOKEN = "GROQ_MAGIC_SANDBOX_TOKEN"


def store_of(service_id: str) -> str:
    """The id of the store that a sandbox's id holds."""
    return service_id.removeprefix(_SANDBOX)


def sandbox(store_id: str, base_url: str, folder: str | None = None, pace_s: float = 10.0) -> Service:
    """The service that a sandbox is, by its store's id.

    It gets a fixed fake key; one on the network that lets in nobody without its token gets what
    `GROQ_MAGIC_SANDBOX_TOKEN` holds. Your Groq key is never sent to a sandbox.
    """
    key = SANDBOX_KEY
    if folder is None and (token := os.environ.get(SANDBOX_TOKEN, "").strip()):
        key = Key(token)
        keep_secret(key)
    return Service(f"{_SANDBOX}{store_id}", base_url, key, "the sandbox", folder, pace_s)


_typed: Key | None = None


def find(
    environ: Mapping[str, str] | None = None, folder: Path | None = None, *, at_hand: bool = False
) -> Service:
    """Groq, or what GROQ_BASE_URL names, with the first key found. Raises KeyMissing, InputError.

    With `at_hand` neither a keyring nor Colab is asked. A base URL in a `.env` counts only with a key from
    the same file: a stranger's file must not be able to send your key elsewhere.
    """
    found = next(_found(environ, folder, at_hand), None)
    if found is None:
        raise KeyMissing(_missing())
    return _service(*found)


def keyless(environ: Mapping[str, str] | None = None) -> Service:
    """Groq, or what GROQ_BASE_URL names, without a key: what was asked there is known by it, and no more."""
    url = root(_base_url(environ) or GROQ)
    return Service(url, url, Key(), "")


def typed(text: str, environ: Mapping[str, str] | None = None) -> Service | None:
    """Groq, or what GROQ_BASE_URL names, with a key as it was pasted; None where nothing was. Keeps nothing.

    Quotes, `GROQ_API_KEY=` and `Bearer` around it are taken off. Raises InputError for what can be no key.
    """
    key = Key(_AROUND.sub("", text.rpartition("GROQ_API_KEY")[2]))
    if not key:
        return None
    if len(key) > _LONGEST:
        raise InputError(f"What was typed has {len(key):,} signs, more than any key: paste the key alone.")
    return _service(key, TYPED, _base_url(environ))


def use(key: Key | None) -> None:
    """From now on this key comes before any other, in this process; None: no such key."""
    global _typed
    _typed = key


# What stands around a key that was copied with its line: `export GROQ_API_KEY="gsk_…"`.
_AROUND = re.compile(r"""\A[\s=:"'`“”\[\]()]*(?:Bearer\s+)?["'`]*|[\s"'`“”,;)]+\Z""")
_LONGEST = 1_000
_KEYS_AT = "keys: https://console.groq.com/keys"


def _missing() -> str:
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:  # in a script no magic can be typed
        return (
            "No Groq key was found. Set GROQ_API_KEY in this script's environment, or put GROQ_API_KEY=… in "
            f"a file .env in its working folder or above it ({_KEYS_AT})."
        )
    return (
        "No Groq key was found. Practise without one: %groq sandbox. To use Groq, type %groq key, which asks "
        "for it hidden, or put GROQ_API_KEY=… into a file .env beside the notebook or into the environment "
        f"that starts Jupyter ({_KEYS_AT})."
    )


def _base_url(environ: Mapping[str, str] | None) -> str:
    return (os.environ if environ is None else environ).get("GROQ_BASE_URL", "").strip()


def _found(
    environ: Mapping[str, str] | None, folder: Path | None, at_hand: bool
) -> Iterator[tuple[Key, str, str]]:
    """Keys, where each comes from, and the base URL that goes with it. No error is raised beside them."""
    base_url = _base_url(environ)
    if _typed is not None:
        yield _typed, TYPED, base_url
    if key := (os.environ if environ is None else environ).get("GROQ_API_KEY", "").strip():
        yield Key(key), "GROQ_API_KEY", base_url
    for path, values in _dotenvs(folder or Path.cwd()):
        if key := (values.get("GROQ_API_KEY") or "").strip():
            yield Key(key), str(path), base_url or (values.get("GROQ_BASE_URL") or "").strip()
    for where, key in () if at_hand else vaults.kept():
        yield Key(key), where, base_url


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
        held = "What was typed" if where == TYPED else f"The key in {where}"
        raise InputError(f"{held} holds a space or a sign that no key has: paste it again.")
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
