"""The sandbox: how fast a file goes up, through a batch and down again, and how lean its process stays."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.benchmarks import loops, made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Target
from tests.benchmarks.served import served

_KEY = {"authorization": "Bearer gsk_benchmark"}
_LONG = "x" * 4_000


def _short(rows: int, folder: Path) -> None:
    loops.build(made.prompts(rows), folder / "in.jsonl")


def _long(rows: int, folder: Path) -> None:
    loops.build((f"{_LONG} {number}" for number in range(rows)), folder / "in.jsonl")


def _through(client: Any, path: Path, output: Path) -> dict[str, float]:
    """Seconds for upload, create, the run itself (without a pace the first look) and download."""
    seconds, began = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal began
        seconds[f"{name}_s"], began = time.perf_counter() - began, time.perf_counter()

    with path.open("rb") as file:
        form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("in.jsonl", file)}}
        file_id = client.post("/files", **form).raise_for_status().json()["id"]
    lap("upload")
    asked = {"input_file_id": file_id, "endpoint": made.ENDPOINT, "completion_window": "24h"}
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


def _ours(rows: int, place: Place) -> Act:
    import httpx

    there = place.opened.enter_context(served(place.own / "home"))
    how: dict[str, Any] = {"headers": _KEY, "trust_env": False, "timeout": 120}
    client = place.opened.enter_context(httpx.Client(base_url=f"{there.url}/openai/v1", **how))
    client.get("/models")
    idle = there.peak_mb

    def act() -> Facts:
        path = place.shared / "in.jsonl"
        laps = _through(client, path, place.own / "out.jsonl")
        return {**laps, "bytes": path.stat().st_size, "server_mb": there.peak_mb - idle}

    return act


def _loops(rows: int, place: Place) -> Act:
    """The tutorial's loops that build such a file and read results, for scale."""
    prompts, path = made.prompts(rows), place.own / "in.jsonl"
    made.result_files(rows, place.own)

    def act() -> Facts:
        loops.build(prompts, path)
        loops.read(made.results(place.own))
        return {"bytes": path.stat().st_size}

    return act


_FAST = Target("rows a second", lambda sides: sides["ours"]["rows"] / sides["ours"]["seconds"], least=50_000)

GROUP = Group(
    "sandbox",
    "The sandbox on a socket: upload + run + download, beside the loops that build such a file and read it",
    (
        Contest(
            "through",
            {"ours": _ours, "loop": _loops},
            sizes=(50_000,),
            quick=(10_000,),
            targets=(_FAST,),
            give=_short,
            warm=False,
        ),
        Contest("big", {"ours": _ours}, sizes=(45_000,), quick=(), give=_long, warm=False, rounds=1),
    ),
)
