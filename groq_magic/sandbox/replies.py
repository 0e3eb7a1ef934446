"""A request → its reply, from the request alone: the same prompt is always answered in the same way.

A reply says that it comes from the sandbox. `TRIGGERS` is the whole list of what a prompt can ask for.
Tokens are counted by one rule: a token for every four characters, rounded up.
"""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

from .models import MODELS
from .shaped import OddSchema, fitting

CHAT = "/v1/chat/completions"
AUDIO = ("/v1/audio/transcriptions", "/v1/audio/translations")

TRIGGERS = {
    "[[fail]]": "the row goes to the error file: status 400, code json_validate_failed",
    "[[lose]]": "the row is in neither file, though it counts as answered",
    "[[cut]]": "the reply stops half-way, finish_reason `length`",
    "[[slow]]": "the whole batch takes three times as long",
    "[[expire]]": "the whole batch ends as expired, half of its rows answered",
    "[[echo]]": "the reply is all that follows, as it is; marks in there are plain text",
}

_NO_MARKS: frozenset[str] = frozenset()

_SENTENCES = (
    "your prompt begins with “{head}”.",
    "here a model would take up “{head}”.",
    "the longest word near the start is “{longest}”.",
    "“{longest}” is the word that stays in mind.",
    "“{head}” opens a prompt of {size} characters.",
)


@dataclasses.dataclass(frozen=True)
class RowError:
    """Why a request is not answered: an HTTP status and Groq's error object."""

    status: int
    error: dict[str, Any]


def prompt_of(body: dict[str, Any]) -> str:
    """The text that the reply is drawn from: the last user message's, its parts joined; or ""."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def marks_in(prompt: str) -> frozenset[str]:
    """The triggers that the prompt holds before its `[[echo]]`, and `[[echo]]` itself."""
    if "[[" not in prompt:
        return _NO_MARKS
    head, echo, _ = prompt.partition("[[echo]]")
    return frozenset([mark for mark in TRIGGERS if mark in head] + [echo] * bool(echo))


def error_of(url: str, body: dict[str, Any], marks: frozenset[str]) -> RowError | None:
    """Why this request fails, or None if it is answered. https://console.groq.com/docs/errors"""
    model = body.get("model")
    if not isinstance(model, str) or model not in MODELS:
        said = f"The model `{model}` does not exist or you do not have access to it."
        return _error(404, said, "model_not_found")
    if url in AUDIO:
        return (
            None if isinstance(body.get("url"), str) else _error(400, "`url` is missing", "invalid_request")
        )
    if url != CHAT:
        return _error(404, f"Unknown request URL: POST {url}.", "unknown_url")
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        return _error(400, "'messages' : minimum number of items is 1", "invalid_request")
    if fault := _schema_fault(body):
        return _error(400, f"invalid JSON schema for response_format: {fault}", "invalid_request_error")
    if "[[fail]]" in marks:
        failure = _error(400, "Failed to validate JSON. Please adjust your prompt.", "json_validate_failed")
        failure.error["failed_generation"] = ""
        return failure
    return None


def transcript(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The body of an answered audio request."""
    return {
        "text": f"Sandbox transcript, nobody listened to {body['url'][:200]}",
        "x_groq": {"id": request_id},
    }


def completion(
    body: dict[str, Any],
    marks: frozenset[str],
    prompt: str,
    *,
    request_id: str,
    chat_id: str,
    at: int,
    tier: str,
) -> dict[str, Any]:
    """The body of an answered chat request, in the live key order.

    A reply longer than `max_completion_tokens` is cut there; reasoning gets what the reply leaves of them.
    """
    content, finish = _content(body, marks, prompt), "stop"
    if "[[cut]]" in marks:
        content, finish = content[: len(content) // 2], "length"
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and tokens(content) > limit:
        content, finish = content[: 4 * limit], "length"

    message: dict[str, Any] = {"role": "assistant", "content": content}
    prompt_tokens, reply_tokens, reasoning_tokens = _prompt_tokens(body), tokens(content), 0
    if body["model"].startswith("openai/gpt-oss") and body.get("include_reasoning") is not False:
        reasoning = f"The prompt has {len(prompt)} characters. No model is asked here."
        if isinstance(limit, int):
            reasoning = reasoning[: 4 * max(0, limit - reply_tokens)]
        message["reasoning"] = reasoning
        reasoning_tokens = tokens(reasoning)
        reply_tokens += reasoning_tokens

    prompt_s, reply_s = prompt_tokens / 20_000, reply_tokens / 1_000
    usage: dict[str, Any] = {
        "queue_time": 0.01,
        "prompt_tokens": prompt_tokens,
        "prompt_time": prompt_s,
        "completion_tokens": reply_tokens,
        "completion_time": reply_s,
        "total_tokens": prompt_tokens + reply_tokens,
        "total_time": round(prompt_s + reply_s, 6),
    }
    if "reasoning" in message:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning_tokens}
    seed = body.get("seed")
    return {
        "id": chat_id,
        "object": "chat.completion",
        "created": at,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
        "usage_breakdown": None,
        "system_fingerprint": "fp_sandbox",
        "x_groq": {"id": request_id, "seed": seed if isinstance(seed, int) else _number(prompt) & 0x7FFFFFFF},
        "service_tier": tier,
    }


def tokens(text: str) -> int:
    """One for every four characters, rounded up."""
    return (len(text) + 3) // 4


def _content(body: dict[str, Any], marks: frozenset[str], prompt: str) -> str:
    if "[[echo]]" in marks:
        return prompt.partition("[[echo]]")[2]
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema"):
        return fitting(wanted, _number(prompt), _sentence(prompt))
    return f"Sandbox reply, no model was asked: {_sentence(prompt)}"


def _schema_fault(body: dict[str, Any]) -> str:
    """What is wrong with the schema that the reply should fit, or ""."""
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        try:
            fitting(wanted, 0, "")
        except OddSchema as exc:
            return str(exc)
    return ""


def _sentence(prompt: str) -> str:
    opening = prompt[:300]
    for mark in TRIGGERS if "[[" in opening else ():
        opening = opening.replace(mark, " ")
    words = opening.split()
    if not words:
        return "your prompt has no words."
    head = " ".join(words[:6]).strip(".,;:")[:60]
    longest = max(words, key=len).strip(".,;:!?\"'()")[:40]
    return _SENTENCES[_number(prompt) % len(_SENTENCES)].format(head=head, longest=longest, size=len(prompt))


def _prompt_tokens(body: dict[str, Any]) -> int:
    count = 0
    for message in body["messages"]:
        content = message.get("content") if isinstance(message, dict) else None
        count += tokens(content if isinstance(content, str) else _text(content))
    return count


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _number(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _error(status: int, message: str, code: str) -> RowError:
    return RowError(status, {"message": message, "type": "invalid_request_error", "code": code})
