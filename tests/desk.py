"""A sandbox under one's hands: requests go in, and the clock is turned by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx

from groq_magic.sandbox import chosen, create_app

KEY = "gsk_sandbox"


def request_line(custom_id: str, prompt: str, **body: Any) -> str:
    """One request as it is uploaded, without its line feed."""
    message = {"role": "user", "content": prompt}
    whole = {"model": "openai/gpt-oss-20b", "messages": [message], **body}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": whole}
    return json.dumps(line, ensure_ascii=False)


def lines_of(*prompts: str) -> str:
    """A file with one request for each prompt: row-0, row-1 and so on."""
    return "".join(request_line(f"row-{n}", prompt) + "\n" for n, prompt in enumerate(prompts))


def create_body(file_id: str, **more: Any) -> dict[str, Any]:
    """What a create over this file asks for: chat, within a day, unless more is said."""
    asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return asked | more


# A file whose second line cannot be taken.
BAD_LINE = lines_of("one") + request_line("row-1", "two").replace('"POST"', '"GET"')


class Desk:
    """A sandbox in this process, with a clock that is turned by hand."""

    def __init__(self, home: Path, pace_s: float = 100.0, **rules: str) -> None:
        self.home, self.pace_s, self.now = home, pace_s, 1_780_000_000.0
        self.rules = chosen(f"{name}={choice}" for name, choice in rules.items())
        self.restart()

    def restart(self) -> None:
        """A new app over the same home."""
        self.app = create_app(self.home, pace_s=self.pace_s, now=lambda: self.now, rules=self.rules)

    def ask(self, method: str, path: str, key: str = KEY, **how: Any) -> httpx.Response:
        """One request, to a path below /openai/v1 or to one of /sandbox."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            headers = {"authorization": f"Bearer {key}"} if key else {}
            async with httpx.AsyncClient(
                transport=transport, base_url="http://sandbox", headers=headers
            ) as client:
                return await client.request(
                    method, path if path.startswith("/sandbox") else f"/openai/v1{path}", **how
                )

        return asyncio.run(asked())

    def upload(self, content: str | bytes) -> dict[str, Any]:
        """The File that the content became."""
        content = content.encode() if isinstance(content, str) else content
        files = {"file": ("in.jsonl", content)}
        return self.ask("POST", "/files", data={"purpose": "batch"}, files=files).json()

    def create(self, content: str | bytes, **more: Any) -> dict[str, Any]:
        """The batch just created over this content."""
        reply = self.ask("POST", "/batches", json=create_body(self.upload(content)["id"], **more))
        assert reply.status_code == 200, reply.text
        return reply.json()

    def look(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch as it stands now."""
        return self.ask("GET", f"/batches/{batch['id']}").json()

    def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a result file; none for null."""
        if file_id is None:
            return []
        content = self.ask("GET", f"/files/{file_id}/content").content
        assert content.endswith(b"\n")
        return [json.loads(line) for line in content.split(b"\n")[:-1]]

    def run(self, content: str | bytes) -> dict[str, Any]:
        """The batch over this content, at its end."""
        batch = self.create(content)
        self.now += 10 * self.pace_s
        return self.look(batch)


def refused(reply: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The error of a reply that must be a refusal in Groq's envelope."""
    error = reply.json()["error"]
    assert (reply.status_code, error.get("code"), error["type"]) == (status, code, "invalid_request_error")
    return error


def said_in(line: dict[str, Any]) -> str:
    """The reply in a result line."""
    return line["response"]["body"]["choices"][0]["message"]["content"]
