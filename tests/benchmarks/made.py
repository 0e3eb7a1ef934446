"""What the contests are about: prompts, rows and result files like those that people have."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODEL = "openai/gpt-oss-20b"
ENDPOINT = "/v1/chat/completions"
LINES = 50_000  # in one result file
PREFIX = "abcdef012345-0-"  # begins the ids in result files, as ours do

_TEXT = (
    "the soup was cold and waiter friendly but we waited an hour for fish which came without sauce "
    "wine list long prices fair room loud music naïve café crème Straße 日本 garden terrace children welcome "
    'again never “quoted” "plain" slow kind lovely table window view harbour evening booked twice bill wrong'
)
_WORDS = _TEXT.split()


def _sentences(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(_WORDS, k=chance.randint(8, 24))) for _ in range(count)]


_LEFT, _RIGHT = _sentences(997, 1), _sentences(1_009, 2)


def review(number: int) -> str:
    """A text of about 200 characters; no two of the first million are equal."""
    return f"{_LEFT[number % 997]}. {_RIGHT[number % 1_009]}."


def prompts(rows: int) -> list[str]:
    """So many prompts as texts."""
    return [f"Is this review positive or negative? {review(number)}" for number in range(rows)]


def row(number: int) -> dict[str, Any]:
    """A row of a table of reviews."""
    return {"product": f"product {number % 5_000}", "stars": number % 5 + 1, "review": review(number)}


TEMPLATE = "How many of five stars would the writer of this review of {{ product }} give?\n\n{{ review }}"


def filled(product: object, text: object) -> str:
    """The same template as an f-string."""
    return f"How many of five stars would the writer of this review of {product} give?\n\n{text}"


def request(number: int) -> dict[str, Any]:
    """A whole request as a user may have it."""
    messages = [{"role": "user", "content": review(number)}]
    body = {"model": MODEL, "messages": messages, "temperature": 0.2}
    return {"custom_id": f"row-{number}", "method": "POST", "url": ENDPOINT, "body": body}


def result(number: int, custom_id: str) -> dict[str, Any]:
    """A line of an output file, in the shape of tests/samples/output_line.json."""
    digits = f"{number:026d}"
    usage = {
        "queue_time": 0.0512,
        "prompt_tokens": 60 + number % 90,
        "prompt_time": 0.0044,
        "completion_tokens": 20 + number % 40,
        "completion_time": 0.0257,
        "total_tokens": 80 + number % 90 + number % 40,
        "total_time": 0.0301,
        "completion_tokens_details": {"reasoning_tokens": 9},
    }
    message = {"role": "assistant", "content": review(number), "reasoning": _LEFT[number % 991]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {
        "id": f"chatcmpl-{digits}",
        "object": "chat.completion",
        "created": 1_780_000_002,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
        "usage_breakdown": None,
        "system_fingerprint": "fp_5e1f0a9b3c",
        "x_groq": {"id": f"req_{digits}", "seed": 2718},
        "service_tier": "batch",
    }
    response = {"status_code": 200, "request_id": f"req_{digits}", "body": body}
    return {"id": f"batch_req_out_{digits}", "custom_id": custom_id, "response": response, "error": None}


def _encoder() -> Callable[[Any], bytes]:
    """msgspec's, or where a peer's environment has none, Python's own, which writes the same."""
    try:
        import msgspec
    except ImportError:
        return lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return msgspec.json.Encoder().encode


def result_files(rows: int, folder: Path) -> None:
    """Puts result files of up to `LINES` lines into the folder; in each the lines lie in no order.

    Their ids are those of our shards: `PREFIX`, and the line's number in its own file.
    """
    encode, chance = _encoder(), random.Random(3)
    for place, start in enumerate(range(0, rows, LINES)):
        lines = list(range(min(LINES, rows - start)))
        chance.shuffle(lines)
        with (folder / f"output-{place:03}.jsonl").open("wb") as file:
            for line in lines:
                file.write(encode(result(start + line, f"{PREFIX}{line}")) + b"\n")


def results(folder: Path) -> list[Path]:
    """The result files in a folder, in order."""
    return sorted(folder.glob("output-*.jsonl"))


def sizes(rows: int) -> Iterator[range]:
    """The rows that each of the files answers."""
    return (range(start, min(start + LINES, rows)) for start in range(0, rows, LINES))
