"""Where Groq's documents disagree: both behaviours, and which of them is the default.

The first choice of each rule is the default. A batch keeps the rules under which it was created.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args, get_type_hints

import msgspec


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One choice for each disagreement; what it is about stands in `SAYS`."""

    errors: Literal["flat", "wrapped"] = "flat"
    bad_line: Literal["batch", "row"] = "batch"
    file_limit: Literal["200MB", "100MB"] = "200MB"
    window: Literal["range", "ends", "day"] = "range"
    line_url: Literal["any", "endpoint"] = "any"
    malformed_upload: Literal["kept", "500"] = "kept"
    timestamps: Literal["set", "null"] = "set"
    output_line: Literal["2026", "2025"] = "2026"
    error_line: Literal["whole", "bare"] = "whole"
    decommissioned: Literal["400", "404"] = "400"

    @property
    def most_bytes(self) -> int:
        """The largest file that can be uploaded. Megabytes are taken as 10⁶ bytes; nobody says which."""
        return 200_000_000 if self.file_limit == "200MB" else 100_000_000


SAYS = {
    "errors": "a batch's `errors`: a flat list (the guide), or {object, data} (the reference and the SDKs)",
    "bad_line": "a line that cannot be taken turns the batch down (its status `failed`), or only fails "
    "itself, as in the guide's sample",
    "file_limit": "the largest upload: 200 MB (the guide), or 100 MB (the reference)",
    "window": "completion_window: whole hours or days from 24h to 7d (the guide), only 24h and 7d (those "
    "with evidence), or 24h alone (February 2025)",
    "line_url": "a line's url: any of the three (the guide), or the batch's endpoint alone (as at OpenAI)",
    "malformed_upload": "a file with a line that is no JSON: taken, or answered 500 (a user's report)",
    "timestamps": "finalizing_at of an ended batch, cancelling_at in the answer to a cancel: set (live "
    "captures), or null (the guide's samples)",
    "output_line": "a result's body: with usage_breakdown, service_tier and seed (2026), or without (2025)",
    "error_line": "a failed row: with request_id and error beside the response, or without (an excerpt)",
    "decommissioned": "a model that is gone: 400 model_decommissioned (live captures), or 404 (a few)",
}


def choices(rule: str) -> tuple[str, ...]:
    """What can be chosen for a rule, the default first."""
    return get_args(get_type_hints(Rules)[rule])


def chosen(pairs: Iterable[str]) -> Rules:
    """The rules that "name=choice" texts choose. Raises ValueError, in one line, for what is no rule."""
    wanted = {}
    for pair in pairs:
        name, _, choice = pair.partition("=")
        name = name.strip().replace("-", "_")
        if name not in SAYS:
            raise ValueError(f"{name!r} is no rule; the rules: {', '.join(SAYS)}")
        if choice not in choices(name):
            raise ValueError(f"the rule {name} is one of {', '.join(choices(name))}, not {choice!r}")
        wanted[name] = choice
    return msgspec.convert(wanted, Rules)
