"""The errors of the service itself, in Groq's envelope. https://console.groq.com/docs/errors"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The request is not carried out; `status` and `envelope` are what the client gets."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None,
        param: str | None = None,
        *,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.envelope = {"error": error_object(message, kind, code, param)}


def error_object(message: str, kind: str, code: str | None, param: str | None) -> dict[str, Any]:
    """Groq's error object: `param` and `code` are there only where they have a value."""
    named = {"param": param, "code": code}
    return {"message": message, "type": kind, **{key: value for key, value in named.items() if value}}


def not_found(kind: str, its_id: str) -> Refusal:
    """404: there is no such file or batch. Groq's own words for it are not documented."""
    return Refusal(404, f"The {kind} `{its_id}` does not exist.", f"{kind}_not_found")


def too_large(what: str, most_bytes: int, param: str | None = None) -> Refusal:
    """413: more bytes than it may have. The words and the code are ours."""
    return Refusal(413, f"{what} has at most {most_bytes} bytes.", "request_too_large", param)


def broken(message: str = "Internal Server Error") -> Refusal:
    """500: the service's own fault."""
    return Refusal(500, message, "internal_server_error", kind="internal_server_error")


def invalid(message: str, param: str | None = None) -> Refusal:
    """400: this field cannot be what it is. No document and no capture shows a code for it."""
    return Refusal(400, message, None, param)
