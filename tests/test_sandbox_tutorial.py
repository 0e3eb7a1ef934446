"""The five steps of Groq's tutorial, with nothing but requests, against a sandbox on a socket.

https://console.groq.com/docs/batch and groq-api-cookbook's tutorials/01-quickstart/batch-processing teach
them; the script here says the same in other words, its trap included: it waits for `completed` alone and
believes whatever it downloads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.desk import BAD_LINE, KEY, lines_of, said_in
from tests.sockets import sandbox

NAIVE = """
import os, sys, time
import requests

api, key, source, target = sys.argv[1:]
bearer = {"Authorization": "Bearer " + key}

# 1. The requests stand in a file already.  2. It goes up.
with open(source, "rb") as lines:
    uploaded = requests.post(api + "/files", headers=bearer, files={"file": lines}, data={"purpose": "batch"})

# 3. A batch is made of it.
wanted = {
    "input_file_id": uploaded.json()["id"],
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}
batch = requests.post(api + "/batches", headers=bearer, json=wanted).json()

# 4. Ask until it is completed, or for a hundred times.
for _ in range(100):
    print(batch["status"])
    if batch["status"] == "completed":
        break
    time.sleep(0.01)
    batch = requests.get(api + "/batches/" + batch["id"], headers=bearer).json()

# 5. Write down whatever is under the id of the output.
answer = requests.get(api + "/files/" + str(batch["output_file_id"]) + "/content", headers=bearer)
with open(target, "wb") as results:
    results.write(answer.content)
"""

# The same, but for an end that is not `completed` and for rows that failed.
CAREFUL = (
    NAIVE.replace("for _ in range(100):", "while True:")
    .replace('== "completed":', 'in ("completed", "failed", "expired", "cancelled"):')
    .replace("# 5.", 'batch["output_file_id"] = batch["output_file_id"] or batch["error_file_id"]\n\n# 5.')
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose batches take half a second."""
    with sandbox(tmp_path_factory.mktemp("sandbox"), "--pace", "0.5") as where:
        yield where


def played(script: str, url: str, content: str, tmp_path: Path) -> tuple[list[str], bytes]:
    """The statuses that the script saw, each once, and what it wrote; it must end well, without a word."""
    source, target = tmp_path / "batch_input.jsonl", tmp_path / "batch_output.jsonl"
    source.write_text(content, encoding="utf-8")
    args = [f"{url}/openai/v1", KEY, str(source), str(target)]
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return list(dict.fromkeys(done.stdout.split())), target.read_bytes()


def lines_in(content: bytes) -> list[dict[str, Any]]:
    """The lines of a result file."""
    return [json.loads(line) for line in content.splitlines()]


def test_the_tutorial_ends_with_every_answer(url: str, tmp_path: Path) -> None:
    """Upload, create, poll and download with plain requests give each row its answer, by its custom_id."""
    statuses, written = played(NAIVE, url, lines_of("[[echo]]one", "[[echo]]two", "three"), tmp_path)
    assert (statuses[0], statuses[-1]) == ("validating", "completed")
    assert set(statuses) <= {"validating", "in_progress", "finalizing", "completed"}
    answers = {line["custom_id"]: said_in(line) for line in lines_in(written)}
    assert answers | {"row-2": ""} == {"row-0": "one", "row-1": "two", "row-2": ""}
    assert "three" in answers["row-2"]


def test_a_batch_of_failures_ends_the_naive_loop(url: str, tmp_path: Path) -> None:
    """Where all rows failed, the naive script ends too, and what it takes for results is Groq's 404."""
    statuses, written = played(NAIVE, url, lines_of("[[fail]]", "[[fail]]"), tmp_path)
    assert statuses[-1] == "completed"
    assert "None" in json.loads(written)["error"]["message"]


def test_a_batch_of_failures_has_an_error_file(url: str, tmp_path: Path) -> None:
    """Who looks at error_file_id where there is no output finds each failed row there."""
    statuses, written = played(CAREFUL, url, lines_of("[[fail]]", "[[fail]]"), tmp_path)
    failures = {line["custom_id"]: line["response"]["status_code"] for line in lines_in(written)}
    assert (statuses[-1], failures) == ("completed", {"row-0": 400, "row-1": 400})


def test_a_file_with_a_bad_line_is_never_completed(url: str, tmp_path: Path) -> None:
    """The naive loop asks a hundred times for what the careful one sees at once: the batch has failed."""
    for script in (NAIVE, CAREFUL):
        statuses, written = played(script, url, BAD_LINE, tmp_path)
        assert (statuses, "error" in json.loads(written)) == (["validating", "failed"], True)
