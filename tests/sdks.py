"""An official SDK that calls a sandbox: Groq's or OpenAI's, sync or async, spoken to in one way.

They differ where their manuals do. https://console.groq.com/docs/openai
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

from tests.desk import KEY, create_body

MODEL = "openai/gpt-oss-20b"

PACE_S = 1_000.0  # that a batch takes where the fixture `slow` calls

# Both SDKs name the headers of a reply in the same way. https://console.groq.com/docs/rate-limits
LIMITS = tuple(
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
)


class Sdk:
    """An official SDK's client, sync or async; the tests speak to both as to the sync one.

    `client` is called as the SDK's manual says, and `got` gives what the call came to, awaited if need be.
    `errors` is the SDK's module, which has its classes of errors.
    """

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self.client, self._runner = client, runner
        self.errors = errors_of(type(client))

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

    def error_in(self, raised: Any) -> dict[str, Any]:
        """Groq's error, out of an exception that must hold all of it, as this SDK does.

        Groq's has the whole envelope as `body` and in its text, OpenAI's what is inside, and as attributes.
        """
        envelope = raised.response.json()
        error: dict[str, Any] = envelope["error"]
        assert set(envelope) == {"error"}
        assert {"message", "type"} <= set(error)
        if self.errors.__name__ == "groq":
            assert raised.body == envelope
            assert str(raised) == f"Error code: {raised.status_code} - {envelope}"
        else:
            assert raised.body == error
            assert [getattr(raised, key) for key in ("type", "code", "param")] == [
                error.get(key) for key in ("type", "code", "param")
            ]
        return error

    def upload(self, content: str) -> Any:
        """The File that the content became."""
        return self.got(self.client.files.create(file=("in.jsonl", content.encode()), purpose="batch"))

    def info(self, file_id: str) -> Any:
        """The File of this id, which Groq's SDK calls `info` and OpenAI's `retrieve`."""
        files = self.client.files
        return self.got((files.info if self.errors.__name__ == "groq" else files.retrieve)(file_id))

    def create(self, file_id: str, **more: Any) -> Any:
        """The batch just created over this file."""
        return self.got(self.client.batches.create(**create_body(file_id, **more)))

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
def calling(kind: Any, url: str) -> Iterator[Sdk]:
    """An SDK of this class at work on a sandbox, without retries; closed in the end."""
    # Groq's SDK adds the path by itself.
    base_url = url if errors_of(kind).__name__ == "groq" else f"{url}/openai/v1"
    with asyncio.Runner() as runner:
        sdk = Sdk(kind(api_key=KEY, base_url=base_url, max_retries=0, timeout=20), runner)
        try:
            yield sdk
        finally:
            sdk.got(sdk.client.close())


def errors_of(kind: type) -> Any:
    """The SDK's own module, `groq` or `openai`, which has its classes of errors."""
    return sys.modules[kind.__module__.partition(".")[0]]


def asking(prompt: str) -> dict[str, Any]:
    """What a chat request with this prompt needs."""
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
