"""The errors of the service itself, in Groq's envelope. https://console.groq.com/docs/errors"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """The request is not carried out; `status` and `envelope` are what the client gets."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        *,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        error: dict[str, Any] = {"message": message, "type": kind, "code": code}
        if param is not None:
            error["param"] = param
        self.envelope = {"error": error}


def not_found(kind: str, its_id: str) -> Refusal:
    """404: there is no such file, batch or model. Groq's own words for it are not documented."""
    return Refusal(404, f"The {kind} `{its_id}` does not exist.", f"{kind}_not_found")


def invalid(message: str, param: str | None = None) -> Refusal:
    """400: this field cannot be what it is."""
    return Refusal(400, message, "invalid_request", param)
