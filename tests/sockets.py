"""A sandbox on a socket of its own process, its faults by order, its clock by hand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.desk import KEY

READY = "Sandbox ready: "


@contextlib.contextmanager
def sandbox(home: Path, *args: str) -> Iterator[str]:
    """Where a sandbox listens; in the end it has stopped cleanly and said nothing else."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", "--home", str(home), *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line.startswith(f"{READY}http://127.0.0.1:"), (line, process.communicate(timeout=20))
            yield line.removeprefix(READY).strip()
        finally:
            process.terminate()
            try:
                said = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert (process.returncode, *said) == (0, "", "")


def arm(url: str, fault: str, **how: Any) -> None:
    """The next request, or the next `times` that match `on`, meet this fault."""
    _tell("POST", f"{url}/sandbox/faults", {"fault": fault, **how})


def disarm(url: str) -> None:
    """No request meets a fault that was armed and has not been met yet."""
    _tell("DELETE", f"{url}/sandbox/faults")


def forward(url: str, seconds: float) -> None:
    """Turn the clock of the sandbox forward."""
    _tell("POST", f"{url}/sandbox/clock", {"forward_s": seconds})


def batches(url: str) -> Iterator[dict[str, Any]]:
    """Every batch that the sandbox has, the newest first."""
    cursor = ""
    while True:
        page = _ask(f"{url}/openai/v1/batches", **({"cursor": cursor} if cursor else {})).json()
        yield from page["data"]
        cursor = page["paging"]["next_cursor"]
        if not cursor:
            return


def content(url: str, file_id: str) -> str:
    """What is in a file of the sandbox's."""
    return _ask(f"{url}/openai/v1/files/{file_id}/content").text


def _ask(url: str, **asked: str) -> httpx.Response:
    key = {"authorization": f"Bearer {KEY}"}
    return httpx.get(url, params=asked, headers=key, trust_env=False, verify=False).raise_for_status()


def _tell(method: str, url: str, body: dict[str, Any] | None = None) -> None:
    key = {"authorization": f"Bearer {KEY}"}
    # Plain HTTP: the certificates need not be loaded, which takes longer than the request.
    told = httpx.request(method, url, json=body, headers=key, trust_env=False, verify=False)
    assert told.is_success, told.text
