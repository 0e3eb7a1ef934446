"""What one writes without groq_magic, after Groq's tutorial: plain loops over `json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.made import ENDPOINT, MODEL, PREFIX


def build(prompts: Iterable[str], path: Path) -> None:
    """Writes a request for each prompt."""
    with path.open("w") as file:
        for number, prompt in enumerate(prompts):
            body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
            line = {"custom_id": f"row-{number}", "method": "POST", "url": ENDPOINT, "body": body}
            file.write(json.dumps(line) + "\n")


def build_lines(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Writes requests that are there as a whole."""
    with path.open("w") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


def read(paths: Iterable[Path]) -> list[dict[str, str]]:
    """The texts of each result file, by custom_id."""
    found = []
    for path in paths:
        texts: dict[str, str] = {}
        with path.open() as file:
            for line in file:
                reply = json.loads(line)
                texts[reply["custom_id"]] = reply["response"]["body"]["choices"][0]["message"]["content"]
        found.append(texts)
    return found


def columns(paths: Iterable[Path]) -> dict[str, list[Any]]:
    """The columns that our frames have, in the order of the rows; every row is taken to have an answer."""
    names = (
        "answer",
        "answer_status",
        "answer_error",
        "answer_finish",
        "prompt_tokens",
        "completion_tokens",
    )
    made: dict[str, list[Any]] = {name: [] for name in names}
    for path in paths:
        found = {}
        with path.open() as file:
            for line in file:
                reply = json.loads(line)
                body = reply["response"]["body"]
                choice, usage = body["choices"][0], body["usage"]
                values = choice["message"]["content"], "ok", None, choice["finish_reason"]
                found[reply["custom_id"]] = *values, usage["prompt_tokens"], usage["completion_tokens"]
        for number in range(len(found)):
            for column, value in zip(made.values(), found[f"{PREFIX}{number}"], strict=True):
                column.append(value)
    return made


def whole(api: str, prompts: Iterable[str], folder: Path, sleep_s: float) -> dict[str, str]:
    """The script, prompts → texts by custom_id: build, upload, create, ask until done, download, read."""
    import requests

    key = {"Authorization": "Bearer gsk_benchmark"}
    asked, came = folder / "batch_input.jsonl", folder / "batch_output.jsonl"
    build(prompts, asked)
    with asked.open("rb") as file:
        form: dict[str, Any] = {"files": {"file": (asked.name, file)}, "data": {"purpose": "batch"}}
        file_id = requests.post(f"{api}/files", headers=key, timeout=600, **form).json()["id"]
    body = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h"}
    batch_id = requests.post(f"{api}/batches", headers=key, json=body, timeout=600).json()["id"]
    url = f"{api}/batches/{batch_id}"
    batch = requests.get(url, headers=key, timeout=600).json()
    while batch["status"] != "completed":
        batch = requests.get(url, headers=key, timeout=600).json()
        time.sleep(sleep_s)
    results = requests.get(f"{api}/files/{batch['output_file_id']}/content", headers=key, timeout=600)
    came.write_bytes(results.content)
    return read([came])[0]
