"""The models that the sandbox pretends to have, as `GET /models` shows them.

https://console.groq.com/docs/models
"""

from __future__ import annotations

from typing import Any


def _model(its_id: str, created: int, owner: str, context: int, most: int) -> dict[str, Any]:
    return {
        "id": its_id,
        "object": "model",
        "created": created,
        "owned_by": owner,
        "active": True,
        "context_window": context,
        "public_apps": None,
        "max_completion_tokens": most,
    }


MODELS: dict[str, dict[str, Any]] = {
    model["id"]: model
    for model in (
        _model("openai/gpt-oss-20b", 1754407957, "OpenAI", 131_072, 65_536),
        _model("openai/gpt-oss-120b", 1754408224, "OpenAI", 131_072, 65_536),
        _model("openai/gpt-oss-safeguard-20b", 1761708789, "OpenAI", 131_072, 65_536),
        _model("qwen/qwen3.8-27b", 1786000000, "Alibaba Cloud", 131_072, 16_384),
        _model("whisper-large-v3", 1693721698, "OpenAI", 448, 448),
        _model("whisper-large-v3-turbo", 1728413088, "OpenAI", 448, 448),
    )
}

# https://console.groq.com/docs/structured-outputs: which hold `strict`; /docs/vision: which take images
STRICT = frozenset({"openai/gpt-oss-20b", "openai/gpt-oss-120b", "qwen/qwen3.8-27b"})
SEES = frozenset({"qwen/qwen3.8-27b"})
HEARS = frozenset({"whisper-large-v3", "whisper-large-v3-turbo"})

# Shut down: https://console.groq.com/docs/deprecations
DECOMMISSIONED = frozenset(
    {
        "qwen/qwen3.6-27b",
        "qwen/qwen3-32b",
        "groq/compound",
        "groq/compound-mini",
        "meta-llama/llama-4-scout-17b-16e-instruct",
        "meta-llama/llama-4-maverick-17b-128e-instruct",
        "meta-llama/llama-guard-4-12b",
        "moonshotai/kimi-k2-instruct-0905",
        "llama-3.3-70b-versatile",
        "llama-3.1-8b-instant",
    }
)
