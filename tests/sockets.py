"""A sandbox on a socket of its own process, its faults by order, and an official SDK that calls it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.desk import KEY, lines_of, request_line

READY = "Sandbox ready: "
MODEL = "openai/gpt-oss-20b"

# What both SDKs raise for a status: https://github.com/groq/groq-python#handling-errors
ERRORS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    413: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    498: "APIStatusError",
    500: "InternalServerError",
    502: "InternalServerError",
    503: "InternalServerError",
}

# Both SDKs name the headers of a reply in the same way. https://console.groq.com/docs/rate-limits
LIMITS = tuple(
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
)

# Ids that no sandbox gives.
NO_BATCH, NO_FILE = "batch_01k7a2n4q8v3w5x6y7z8a9b0cd", "file_01k7a2n4q8v3w5x6y7z8a9b0cd"

# For each field of a create what it cannot be. https://console.groq.com/docs/api-reference#batches-create
NONSENSE: dict[str, dict[str, Any]] = {
    "completion_window": {"completion_window": "1h"},
    "endpoint": {"endpoint": "/v1/embeddings"},
    "input_file_id": {"input_file_id": NO_FILE},
    "metadata": {"metadata": {"run": 7}},
}

# What a chat request cannot have: at Groq by https://console.groq.com/docs/openai, tools only here.
NOT_TAKEN: dict[str, dict[str, Any]] = {
    "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    "functions": {"functions": [{"name": "f", "parameters": {"type": "object"}}]},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "name": {"messages": [{"role": "user", "name": "Ada", "content": "one"}]},
    "no messages": {"messages": []},
    "temperature": {"temperature": 3},
}

# A file whose second line cannot be taken.
BAD_LINE = lines_of("one") + request_line("row-1", "two").replace('"POST"', '"GET"')


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


def _tell(method: str, url: str, body: dict[str, Any] | None = None) -> None:
    key = {"authorization": f"Bearer {KEY}"}
    # Plain HTTP: the certificates need not be loaded, which takes longer than the request.
    told = httpx.request(method, url, json=body, headers=key, trust_env=False, verify=False)
    assert told.is_success, told.text


class Sdk:
    """An official SDK's client, sync or async; the tests speak to both as to the sync one.

    `client` is called as the SDK's manual says, and `got` gives what the call came to, awaited if need be.
    """

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self.client, self._runner = client, runner

    def got(self, value: Any) -> Any:
        """The value, or what it comes to if it can be awaited."""
        return self._runner.run(_awaited(value)) if inspect.isawaitable(value) else value

    def but(self, **how: Any) -> Sdk:
        """The same client with other options, such as a key, a timeout or retries."""
        return Sdk(self.client.with_options(**how), self._runner)

    def strict(self) -> Sdk:
        """The same client, which does not let a reply pass that has another shape than its own types."""
        return self.but(_extra_kwargs={"_strict_response_validation": True})

    def each(self, values: Any) -> Iterator[Any]:
        """What a reply gives bit by bit: chunks, lines, pages."""
        if not hasattr(values, "__aiter__"):
            yield from values
            return
        coming = aiter(values)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self.got(anext(coming))

    def all(self, values: Any) -> list[Any]:
        """All that a reply gives bit by bit."""
        return list(self.each(values))

    @contextlib.contextmanager
    def within(self, manager: Any) -> Iterator[Any]:
        """What the SDK's context manager gives, closed in the end."""
        if hasattr(manager, "__enter__"):
            with manager as given:
                yield given
            return
        given = self.got(manager.__aenter__())
        try:
            yield given
        finally:
            self.got(manager.__aexit__(None, None, None))

    def upload(self, content: str) -> Any:
        """The File that the content became."""
        return self.got(self.client.files.create(file=("in.jsonl", content.encode()), purpose="batch"))

    def create(self, file_id: str, **more: Any) -> Any:
        """The batch just created over this file."""
        asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h", "input_file_id": file_id}
        return self.got(self.client.batches.create(**asked | more))

    def batch_over(self, content: str, **more: Any) -> Any:
        """The batch just created over this content."""
        return self.create(self.upload(content).id, **more)

    def look(self, batch: Any) -> Any:
        """The batch as it stands now."""
        return self.got(self.client.batches.retrieve(batch.id))

    def read(self, file_id: str) -> bytes:
        """The content of a file."""
        return self.got(self.got(self.client.files.content(file_id)).read())

    def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a result file; none for null."""
        return [json.loads(line) for line in self.read(file_id).splitlines()] if file_id else []

    def batches_over(self, file_id: str) -> int:
        """How many of the twenty newest batches are over this file."""
        newest = self.got(self.client.batches.list()).data
        return sum(batch.input_file_id == file_id for batch in newest)

    def files(self) -> list[Any]:
        """All Files."""
        return self.got(self.client.files.list()).data

    def chat(self, prompt: str, **more: Any) -> Any:
        """The reply to one prompt."""
        return self.got(self.client.chat.completions.create(**asking(prompt) | more))


@contextlib.contextmanager
def calling(kind: Any, base_url: str) -> Iterator[Sdk]:
    """An SDK of this class at work on a sandbox, without retries; closed in the end."""
    with asyncio.Runner() as runner:
        sdk = Sdk(kind(api_key=KEY, base_url=base_url, max_retries=0, timeout=20), runner)
        try:
            yield sdk
        finally:
            sdk.got(sdk.client.close())


def asking(prompt: str) -> dict[str, Any]:
    """What a chat request with this prompt needs."""
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}


def said_in(line: dict[str, Any]) -> str:
    """The reply in a result line."""
    return line["response"]["body"]["choices"][0]["message"]["content"]


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
