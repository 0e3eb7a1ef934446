"""A request's body → what is wrong with it, or nothing.

https://console.groq.com/docs/api-reference#chat-create, https://console.groq.com/docs/openai and
https://console.groq.com/docs/structured-outputs say what a chat request may ask. Of Groq's own words those
are known that users have shown: for an unsupported property, for JSON mode, for images, for a prompt that is
too long. The others follow their manner. What is wrong with a parameter has no `code`.
"""

from __future__ import annotations

import dataclasses
import difflib
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from .models import DECOMMISSIONED, HEARS, MODELS, SEES, STRICT
from .refusals import error_object
from .rules import Rules

CHAT = "/v1/chat/completions"
AUDIO = ("/v1/audio/transcriptions", "/v1/audio/translations")
ROLES = ("system", "user", "assistant", "tool", "developer", "function")
_EFFORTS = {
    "openai/": ("low", "medium", "high"),
    "qwen/": ("none", "default", "low", "medium", "high"),
}


@dataclasses.dataclass(frozen=True)
class RowError:
    """Why a request is not answered: an HTTP status and Groq's error object."""

    status: int
    error: dict[str, Any]


def fault_of(url: str, body: dict[str, Any], rules: Rules) -> RowError | None:
    """Why a request with this body is not answered; None for a good one."""
    model = body.get("model")
    if not isinstance(model, str) or model not in MODELS:
        return model_fault(model, rules)
    if (url in AUDIO) != (model in HEARS):
        return invalid(f"The model `{model}` does not support {url.rpartition('/v1/')[2]}", "model")
    if url in AUDIO:
        return None if isinstance(body.get("url"), str) else invalid("`url` is missing", "url")
    messages = body.get("messages")
    if fault := _messages_fault(messages, sees=model in SEES):
        return invalid(fault, "messages")
    for name, value in body.items():
        if name not in _PARAMETERS:
            return invalid(_unsupported(name, _PARAMETERS))
        holds, said = _PARAMETERS[name]
        if value is not None and not holds(value):
            return invalid(f"'{name}' : {said}", name)
    if prompt_tokens(body) > MODELS[model]["context_window"]:
        said = "Please reduce the length of the messages or completion."
        return error(400, said, "context_length_exceeded", "messages")
    most = MODELS[model]["max_completion_tokens"]
    for name in ("max_completion_tokens", "max_tokens"):
        if (body.get(name) or 0) > most:
            said = f"`{name}` must be less than or equal to `{most}`, the maximum for `{model}`"
            return invalid(said, name)
    effort = body.get("reasoning_effort")
    known = efforts_of(model)
    if effort is not None and effort not in known:
        return invalid(f"`reasoning_effort` must be one of {', '.join(known)}", "reasoning_effort")
    if body.get("reasoning_format") is not None and body.get("include_reasoning") is not None:
        return invalid("`reasoning_format` and `include_reasoning` exclude each other", "reasoning_format")
    if wants_json(body) and body.get("reasoning_format") == "raw":
        return invalid("`reasoning_format` must not be `raw` in JSON mode", "reasoning_format")
    return _format_fault(body)


def model_fault(model: Any, rules: Rules) -> RowError:
    """The refusal of a model that is not offered, or is no longer."""
    if isinstance(model, str) and model in DECOMMISSIONED and rules.decommissioned == "400":
        said = (
            f"The model `{model}` has been decommissioned and is no longer supported. Please refer to "
            "https://console.groq.com/docs/deprecations for a recommendation on which model to use instead."
        )
        return error(400, said, "model_decommissioned")
    said = f"The model `{str(model)[:200]}` does not exist or you do not have access to it."
    return error(404, said, "model_not_found")


def efforts_of(model: str) -> tuple[str, ...]:
    """The values of `reasoning_effort` that the model takes."""
    return next((efforts for owner, efforts in _EFFORTS.items() if model.startswith(owner)), ())


def limit_of(body: dict[str, Any]) -> int | None:
    """How many tokens the reply may have; `max_tokens` is the deprecated name."""
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    return limit if isinstance(limit, int) else None


def schema_of(response_format: dict[str, Any]) -> Any:
    """The schema in a `response_format` of type `json_schema`; without one, any object fits."""
    schema = response_format["json_schema"].get("schema")
    return {"type": "object"} if schema is None else schema


def wants_json(body: dict[str, Any]) -> bool:
    """Whether the reply is to be a JSON document."""
    wanted = body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")


def tokens(text: str) -> int:
    """One for every four characters, rounded up."""
    return (len(text) + 3) // 4


def prompt_of(body: dict[str, Any]) -> str:
    """The text that the reply is drawn from: the last user message's, its parts joined; or ""."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def number_of(prompt: str) -> int:
    """The number by which a prompt's reply is chosen."""
    return zlib.crc32(prompt.encode("utf-8", "surrogatepass"))


def text_of(content: Any) -> str:
    """The text of a message's content, its parts joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def prompt_tokens(body: dict[str, Any]) -> int:
    """How many tokens the messages have."""
    return sum(tokens(text_of(message.get("content"))) for message in body["messages"])


def error(status: int, message: str, code: str | None, param: str | None = None) -> RowError:
    """A refusal with Groq's error object."""
    return RowError(status, error_object(message, "invalid_request_error", code, param))


def invalid(message: str, param: str | None = None) -> RowError:
    """400: this parameter cannot be what it is."""
    return error(400, message, None, param)


# --- parameters ----------------------------------------------------------------------------------------


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    )


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63


def _one_of(*known: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in known


def _stops(value: Any) -> bool:
    texts = value if isinstance(value, list) else [value]
    return len(texts) <= 4 and all(isinstance(text, str) for text in texts)


def _never(value: Any) -> bool:
    return not value


_UNSUPPORTED = "this parameter is not supported"
_NO_TOOLS = "the sandbox asks no model, so nobody would call a tool; tools work at Groq alone"
_TIERS = ("auto", "on_demand", "flex", "performance")

_PARAMETERS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "tools": (_never, _NO_TOOLS),
    "functions": (_never, _NO_TOOLS),
    "tool_choice": (_one_of("none", "auto"), _NO_TOOLS),
    "function_call": (_one_of("none", "auto"), _NO_TOOLS),
    "logprobs": (_never, _UNSUPPORTED),
    "top_logprobs": (_never, _UNSUPPORTED),
    "logit_bias": (_never, _UNSUPPORTED),
    "n": (lambda value: value == 1 and not isinstance(value, bool), "value must be 1"),
    "temperature": (_number(0, 2), "number must be between 0 and 2"),
    "top_p": (_number(0, 1), "number must be between 0 and 1"),
    "frequency_penalty": (_number(-2, 2), "number must be between -2 and 2"),
    "presence_penalty": (_number(-2, 2), "number must be between -2 and 2"),
    "max_completion_tokens": (_whole(1), "whole number must be at least 1"),
    "max_tokens": (_whole(1), "whole number must be at least 1"),
    "seed": (_whole(-(2**63)), "value must be a whole number"),
    "stop": (_stops, "value must be a text or at most 4 of them"),
    "user": (lambda value: isinstance(value, str), "value must be a text"),
    "stream": (lambda value: isinstance(value, bool), "value must be true or false"),
    "include_reasoning": (lambda value: isinstance(value, bool), "value must be true or false"),
    "reasoning_format": (_one_of("hidden", "raw", "parsed"), "value must be hidden, raw or parsed"),
    "service_tier": (_one_of(*_TIERS), f"value must be one of {', '.join(_TIERS)}"),
}


_FREE = (lambda value: True, "")
_ALSO_KNOWN = (
    *("model", "messages", "response_format", "reasoning_effort", "stream_options", "store", "metadata"),
    *("parallel_tool_calls", "disable_tool_validation", "documents", "citation_options", "search_settings"),
    *("compound_custom", "include_domains", "exclude_domains"),
)
_PARAMETERS |= dict.fromkeys(_ALSO_KNOWN, _FREE)
_OF_A_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "reasoning")


def _unsupported(name: str, known: Iterable[str]) -> str:
    name = name[:200]
    meant = difflib.get_close_matches(name, known, 1)
    hint = f", did you mean '{meant[0]}'?" if meant else ""
    return f"property '{name}' is unsupported{hint}"


def _messages_fault(messages: Any, *, sees: bool) -> str:
    if not isinstance(messages, list) or not messages:
        return "'messages' : minimum number of items is 1"
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            return f"'messages.{place}' : value must be an object"
        if message.get("role") not in ROLES:
            return f"'messages.{place}.role' : value must be one of {', '.join(ROLES)}"
        for name in message:
            if name not in _OF_A_MESSAGE:
                about = f"'messages.{place}' : {_unsupported(name, _OF_A_MESSAGE)}"
                role = message["role"]
                return f"'messages.{place}' : for 'role:{role}' the following must be satisfied[({about})]"
        if message.get("name") is not None:
            return f"'messages.{place}.name' : this parameter is not supported"
        content = message.get("content")
        if not (isinstance(content, str | list) or (content is None and message["role"] == "assistant")):
            return f"'messages.{place}.content' : value must be a string"
        if isinstance(content, list) and not all(_readable(part, sees) for part in content):
            return f"messages[{place}].content must be a string"
    return ""


def _readable(part: Any, sees: bool) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return (kind == "text" and isinstance(part.get("text"), str)) or (sees and kind == "image_url")


def _format_fault(body: dict[str, Any]) -> RowError | None:
    """What is wrong with the form that the reply should have."""
    wanted = body.get("response_format")
    if wanted is None:
        return None
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object" and not _says_json(body["messages"]):
        said = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
            "'json_object'."
        )
        return invalid(said, "messages")
    if kind in ("text", "json_object"):
        return None
    asked = wanted.get("json_schema") if kind == "json_schema" else None
    if not isinstance(asked, dict):
        said = (
            "'response_format' : value must be of type text, json_object, or json_schema with a `json_schema`"
        )
        return invalid(said, "response_format")
    if not isinstance(asked.get("name"), str) or not asked["name"]:
        return invalid("'response_format.json_schema.name' : value is missing", "response_format")
    if body.get("stream"):
        return invalid(
            "`response_format` of type `json_schema` does not support streaming", "response_format"
        )
    if asked.get("strict") and body["model"] not in STRICT:
        said = f"The model `{body['model']}` does not support `strict` in response_format"
        return invalid(said, "response_format")
    from . import shaped  # jsonschema may take seconds to import, and most requests have no schema

    schema = schema_of(wanted)
    try:
        fault = shaped.strict_fault(schema) if asked.get("strict") else ""
        if not fault:
            shaped.fitting(schema, number_of(prompt_of(body)))
    except shaped.OddSchema as exc:
        fault = str(exc)
    if fault:
        return invalid(
            f"invalid JSON schema for response_format: '{asked['name'][:64]}': {fault}", "response_format"
        )
    return None


def _says_json(messages: Iterable[dict[str, Any]]) -> bool:
    return any("json" in text_of(message.get("content")).lower() for message in messages)
