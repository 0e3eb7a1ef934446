"""A request → its reply, from the request alone: the same prompt is always answered in the same way.

A reply says that it comes from the sandbox: in its words where they are free, and always in `model` and
`system_fingerprint`. Tokens are counted by one rule: a token for every four characters, rounded up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from . import bodies
from .bodies import CHAT, RowError, error, limit_of, number_of, prompt_of, prompt_tokens, tokens, wants_json
from .faults import MARKS
from .rules import Rules


def error_of(url: str, body: dict[str, Any], marks: frozenset[str], rules: Rules) -> RowError | None:
    """Why this request fails, or None if it is answered. https://console.groq.com/docs/errors"""
    fault = bodies.fault_of(url, body, rules)
    if fault is not None or url != CHAT:
        return fault
    if "[[fail]]" in marks:
        return _no_json("")
    if wants_json(body) and _text_and_finish(body, marks, prompt_of(body))[1] == "length":
        return _no_json("max completion tokens reached before generating a valid document")
    return None


def _no_json(failed_generation: str) -> RowError:
    failure = error(400, "Failed to validate JSON. Please adjust your prompt.", "json_validate_failed")
    failure.error["failed_generation"] = failed_generation
    return failure


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
    content, finish = _text_and_finish(body, marks, prompt)
    limit, number = limit_of(body), number_of(prompt)
    reply_tokens, reasoning = tokens(content), None
    if reasons(body["model"], body.get("include_reasoning")):
        left = None if limit is None else limit - reply_tokens
        reasoning = reasoning_about(len(prompt), left)
    seed = body.get("seed")
    return shape(
        body["model"],
        content,
        reasoning,
        finish,
        usage_of(prompt_tokens(body), reply_tokens, None if reasoning is None else tokens(reasoning)),
        seed if isinstance(seed, int) else drawn_seed(number),
        request_id=request_id,
        chat_id=chat_id,
        at=at,
        tier=tier,
    )


def reasons(model: str, wanted: bool | None) -> bool:
    """Whether this model's reply has a `reasoning`; `wanted` is `include_reasoning`."""
    return wanted is not False and model.startswith("openai/gpt-oss")


def reasoning_about(size: int, most_tokens: int | None) -> str:
    """The reasoning about a prompt of so many characters; None is no limit, and less than 0 is 0."""
    reasoning = f"The prompt has {size} characters. No model is asked here."
    return reasoning if most_tokens is None else reasoning[: 4 * max(0, most_tokens)]


def drawn_seed(number: int) -> int:
    """The seed of a reply where none was asked for, from the prompt's number."""
    return number & 0x7FFFFFFF


def usage_of(asked_tokens: int, reply_tokens: int, reasoning_tokens: int | None) -> dict[str, Any]:
    """The usage of a reply, with its reasoning if it has one."""
    completion_tokens = reply_tokens + (reasoning_tokens or 0)
    prompt_s, reply_s = asked_tokens / 20_000, completion_tokens / 1_000
    usage: dict[str, Any] = {
        "queue_time": 0.01,
        "prompt_tokens": asked_tokens,
        "prompt_time": prompt_s,
        "completion_tokens": completion_tokens,
        "completion_time": reply_s,
        "total_tokens": asked_tokens + completion_tokens,
        "total_time": round(prompt_s + reply_s, 6),
    }
    if reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning_tokens}
    return usage


def shape(
    model: str,
    content: Any,
    reasoning: Any,
    finish: Any,
    usage: Any,
    seed: Any,
    *,
    request_id: str,
    chat_id: str,
    at: int,
    tier: str,
) -> dict[str, Any]:
    """The body of a reply out of its parts; no `reasoning` where that is None."""
    message = {"role": "assistant", "content": content}
    if reasoning is not None:
        message["reasoning"] = reasoning
    return {
        "id": chat_id,
        "object": "chat.completion",
        "created": at,
        "model": f"sandbox/{model}",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
        "usage_breakdown": None,
        "system_fingerprint": "fp_sandbox",
        "x_groq": {"id": request_id, "seed": seed},
        "service_tier": tier,
    }


def stream(reply: dict[str, Any], more_usage: bool) -> Iterator[bytes]:
    """The events of a streamed reply, in the order of live ones, `[DONE]` at the end.

    `more_usage` adds the chunk that `stream_options: {"include_usage": true}` asks for.
    """
    head = {key: reply[key] for key in ("id", "created", "model", "system_fingerprint")}
    head = {"id": head["id"], "object": "chat.completion.chunk", **head}

    def event(delta: dict[str, Any], finish: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + msgspec.json.encode({**head, "choices": [choice], **more}) + b"\n\n"

    message, usage = reply["choices"][0]["message"], reply["usage"]
    yield event({"role": "assistant", "content": ""}, None, x_groq=reply["x_groq"])
    for piece in _pieces(message.get("reasoning", "")):
        yield event({"reasoning": piece, "channel": "analysis"}, None)
    for piece in _pieces(message["content"]):
        yield event({"content": piece}, None)
    x_groq = {"id": reply["x_groq"]["id"], "usage": usage}
    yield event({}, reply["choices"][0]["finish_reason"], x_groq=x_groq, usage=usage)
    if more_usage:
        yield b"data: " + msgspec.json.encode({**head, "choices": [], "usage": usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of about a token's length."""
    return (text[at : at + 4] for at in range(0, len(text), 4))


def _text_and_finish(body: dict[str, Any], marks: frozenset[str], prompt: str) -> tuple[str, str]:
    content, finish = _content(body, marks, prompt), "stop"
    if "[[cut]]" in marks:
        content, finish = content[: len(content) // 2], "length"
    return within(content, finish, limit_of(body))


def within(content: str, finish: str, limit: int | None) -> tuple[str, str]:
    """The content as far as the limit lets it go, and how it finishes."""
    if limit is not None and tokens(content) > limit:
        return content[: 4 * limit], "length"
    return content, finish


def _content(body: dict[str, Any], marks: frozenset[str], prompt: str) -> str:
    if "[[echo]]" in marks:
        return prompt.partition("[[echo]]")[2]
    if wants_json(body):
        wanted = body["response_format"]
        if wanted["type"] == "json_schema":
            from .shaped import fitting  # see `bodies`

            return fitting(bodies.schema_of(wanted), number_of(prompt))
        return msgspec.json.encode({"sandbox": _sentence(prompt, number_of(prompt))}).decode()
    return plain_content(prompt, number_of(prompt))


def plain_content(prompt: str, number: int) -> str:
    """What is answered to a prompt of this number where no form is asked for."""
    return f"Sandbox reply, no model was asked: {_sentence(prompt, number)}"


def _sentence(prompt: str, number: int) -> str:
    """One of five sentences about the prompt, made of the few words that it shows."""
    opening, kind = prompt[:300], number % 5
    for mark in MARKS if "[[" in opening else ():
        opening = opening.replace(mark, " ")
    by_the_longest = kind in (2, 3)
    words = opening.split() if by_the_longest else opening.split(None, 6)[:6]
    if not words:
        return "your prompt has no words."
    if by_the_longest:
        longest = max(words, key=len).strip(".,;:!?\"'()")[:40]
        if kind == 2:
            return f"the longest word near the start is “{longest}”."
        return f"“{longest}” is the word that stays in mind."
    head = " ".join(words).strip(".,;:")[:60]
    if kind == 0:
        return f"your prompt begins with “{head}”."
    if kind == 1:
        return f"here a model would take up “{head}”."
    return f"“{head}” opens a prompt of {len(prompt)} characters."
