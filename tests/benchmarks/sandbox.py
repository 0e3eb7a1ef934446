"""How fast and how lean the sandbox on a socket is: `python tests/benchmarks/sandbox.py`.

Prints a small batch of 50,000 rows through upload, run and download, against the plain loops that build its
file and read its results; then 200 MB up and down, with the memory of the server before and after.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

KEY = {"authorization": "Bearer gsk_benchmark"}
ROWS = 50_000
BIG_BYTES = 199_000_000


@contextlib.contextmanager
def sandbox(home: Path) -> Iterator[tuple[httpx.Client, int]]:
    """A client of a fresh sandbox, and its process's id."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        try:
            with httpx.Client(
                base_url=f"{url}/openai/v1", headers=KEY, trust_env=False, timeout=120
            ) as client:
                yield client, process.pid
        finally:
            process.terminate()


def request_line(number: int, prompt: str) -> str:
    """One request as the tutorial writes it."""
    body = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": prompt}]}
    line = {"custom_id": f"row-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line) + "\n"


def built(path: Path, rows: int, prompt: str) -> float:
    """Seconds for the tutorial's loop to build a file of so many rows."""
    began = time.perf_counter()
    with path.open("w") as file:
        for number in range(rows):
            file.write(request_line(number, f"{prompt} {number}"))
    return time.perf_counter() - began


def through(client: httpx.Client, path: Path, output: Path) -> dict[str, float]:
    """Seconds for upload, create, the run itself (with pace 0 the first look) and download."""
    seconds, began = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        seconds[name], began = time.perf_counter() - began, time.perf_counter()

    with path.open("rb") as file:
        form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", file)}}
        file_id = client.post("/files", **form).raise_for_status().json()["id"]
    lap("upload")
    asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = client.post("/batches", json=asked).raise_for_status().json()
    lap("create")
    batch = client.get(f"/batches/{batch['id']}").raise_for_status().json()
    assert batch["status"] == "completed", batch
    lap("run")
    with client.stream("GET", f"/files/{batch['output_file_id']}/content") as reply, output.open("wb") as out:
        for chunk in reply.iter_bytes():
            out.write(chunk)
    lap("download")
    return seconds


def read(path: Path) -> float:
    """Seconds for the tutorial's loop to read the results."""
    began, found = time.perf_counter(), {}
    with path.open() as file:
        for line in file:
            reply = json.loads(line)
            found[reply["custom_id"]] = reply["response"]["body"]["choices"][0]["message"]["content"]
    assert found
    return time.perf_counter() - began


def peak_mb(pid: int) -> float:
    """The most memory that the process has held, in 10⁶ bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Runs both and prints them."""
    with tempfile.TemporaryDirectory() as folder:
        home, file, output = Path(folder, "home"), Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        with sandbox(home) as (client, pid):
            client.get("/models")
            loops = built(file, ROWS, "Is this review positive or negative? Row")
            laps = through(client, file, output)
            loops += read(output)
            whole = sum(laps.values())
            print(f"{ROWS:,} rows: {', '.join(f'{name} {s:.2f} s' for name, s in laps.items())}")
            print(f"  {ROWS / whole:,.0f} rows/s; {whole / loops:.2f} of the time of the plain loops")
            before = peak_mb(pid)
            prompt = "x" * 4_000
            rows = BIG_BYTES // len(request_line(10_000, f"{prompt} 10000").encode())
            built(file, rows, prompt)
            laps = through(client, file, output)
            size = file.stat().st_size / 1e6
            print(
                f"{size:,.0f} MB, {rows:,} rows: {', '.join(f'{name} {s:.2f} s' for name, s in laps.items())}"
            )
            after = peak_mb(pid)
            print(f"  server's peak: {before:.0f} MB before, {after:.0f} MB after")


if __name__ == "__main__":
    main()
