"""What can be made to go wrong, and how it is asked for: the one table of faults.

A mark in a prompt asks for what happens to its row or to the whole batch. What happens to a request is
*armed*: `POST /sandbox/faults` with `{"fault": "reset", "times": 1}`; three marks arm one for their batch.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated

import msgspec

MARKS = {
    # a row
    "[[fail]]": "the row goes to the error file: status 400, code json_validate_failed",
    "[[lose]]": "the row is in neither file, though it counts as answered",
    "[[double]]": "the row's line is there twice",
    "[[cut]]": "the reply stops half-way, finish_reason `length`",
    "[[echo]]": "the reply is all that follows, as it is; marks in there are plain text",
    # the whole batch
    "[[expire]]": "the batch ends as expired, half of its rows answered",
    "[[invalid]]": "the file is turned down as if the row's method were GET: the batch ends as failed, "
    "with `errors`",
    "[[late]]": "`output_file_id` and `error_file_id` stay null for 2 seconds or more after the end",
    "[[status]]": "for half of its time the batch has a status that no document names, `scheduling`; "
    "it takes 5 seconds or more",
    "[[nulls]]": "`request_counts` is null until the end; the batch takes 5 seconds or more",
    "[[no-error-file]]": "failed rows are in no file: `error_file_id` stays null",
    "[[empty-error-file]]": "there is an error file, and it is empty",
    "[[slow]]": "the batch takes three times as long",
    # requests about the batch
    "[[create-500]]": "every create of its file is carried out, and answered 500",
    "[[reset-download]]": "the first download of its output breaks off half-way",
    "[[truncate-download]]": "the first download of its output ends half-way as if it were whole",
}

# For each fault that can be armed: the requests that it meets unless told otherwise, and what it does.
REQUESTS = {
    "refuse": ("* *", "the request is refused with `status` (503), nothing is done"),
    "rate_limit": ("* *", "429 with Retry-After: `seconds` (1), nothing is done"),
    "accepted_500": ("POST /batches", "the request is carried out, and answered 500"),
    "reset": ("POST /files", "the connection is closed while the request comes in, nothing is done"),
    "reset_reply": ("GET /files/*/content", "the connection is closed half-way through the reply"),
    "truncate": ("GET /files/*/content", "the reply ends half-way as if it were whole"),
    "slow": ("* *", "the reply begins after `seconds` (1)"),
    "garbage": ("* *", "200 with a page of HTML in place of the reply"),
}

# Marks that need time to be seen: such a batch takes at least so many seconds.
NEED_TIME = ("[[status]]", "[[nulls]]")
LEAST_SPAN_S = 5.0
LATE_S = 2.0

_ON = re.compile(r"(GET|POST|DELETE|\*) +(?:/openai/v1)?([/*].*)", re.ASCII | re.IGNORECASE | re.DOTALL)


class Armed(msgspec.Struct, forbid_unknown_fields=True):
    """A fault that waits for its next `times` requests. `on` is "METHOD /path" below /openai/v1, with `*`."""

    fault: str
    times: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    on: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503

    def __post_init__(self) -> None:
        if self.fault not in REQUESTS:
            raise ValueError(f"`fault` is one of {', '.join(REQUESTS)}, not {self.fault[:80]!r}")
        found = _ON.fullmatch(self.on or REQUESTS[self.fault][0])
        if found is None:
            raise ValueError(
                f"`on` is a method and a path below /openai/v1, such as {REQUESTS[self.fault][0]!r}, not "
                f"{self.on[:80]!r}"
            )
        self.on = f"{found[1].upper()} {found[2]}"

    def meets(self, method: str, path: str) -> bool:
        """Whether this request is one of those it waits for."""
        return fnmatch.fnmatchcase(f"{method} {path}", self.on)


def marks_in(prompt: str) -> frozenset[str]:
    """The marks that the prompt holds before its `[[echo]]`, and `[[echo]]` itself."""
    if "[[" not in prompt:
        return _NONE
    head, echo, _ = prompt.partition("[[echo]]")
    return frozenset([mark for mark in MARKS if mark in head] + [echo] * bool(echo))


_NONE: frozenset[str] = frozenset()
