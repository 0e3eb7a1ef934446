"""Other packages that make batches, on the same rows: what they can do of building and reading."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import groups, made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Prepare

PACKAGES = {
    "batch-openai": ("batch-openai",),
    "openai-batch": ("openai-batch==0.3.3", "httpx"),  # which it imports and does not ask for
    "instructor": ("instructor",),
}
"""What is installed, by the name of its side."""


def _messages(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt}]


def _building(write: Callable[[list[str], Path], None]) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        prompts = made.prompts(rows)

        def act() -> Facts:
            with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
                write(prompts, place.own)
            return {"bytes": sum(path.stat().st_size for path in place.own.glob("*.jsonl"))}

        return act

    return prepare


def _write_batch_openai(prompts: list[str], folder: Path) -> None:
    from batch_openai import BatchRequestBuilder  # type: ignore[import-not-found]  # it is elsewhere

    for start in range(0, len(prompts), made.LINES):
        builder = BatchRequestBuilder()
        for prompt in prompts[start : start + made.LINES]:
            builder.add(_messages(prompt), model=made.MODEL)
        builder.to_jsonl(folder / f"{start}.jsonl")


def _write_openai_batch(prompts: list[str], folder: Path) -> None:
    from openai_batch import Batch  # type: ignore[import-not-found]  # it is elsewhere

    for start in range(0, len(prompts), made.LINES):
        with Batch(submission_input_file=folder / f"{start}.jsonl") as batch:
            for prompt in prompts[start : start + made.LINES]:
                batch.add_to_batch(model=made.MODEL, messages=_messages(prompt))


def _write_instructor(prompts: list[str], folder: Path) -> None:
    from instructor.batch import BatchProcessor  # type: ignore[import-not-found]  # it is elsewhere

    processor = BatchProcessor(made.MODEL, _answer_model())
    for start in range(0, len(prompts), made.LINES):
        asked = [_messages(prompt) for prompt in prompts[start : start + made.LINES]]
        processor.create_batch_from_messages(asked, str(folder / f"{start}.jsonl"))


def _answer_model() -> Any:
    """What instructor cannot do without: each of its requests carries a schema."""
    import pydantic

    return pydantic.create_model("Answer", text=(str, ...))


def _reading(read: Callable[[Path], int]) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        paths = made.results(place.shared)

        def act() -> Facts:
            assert sum(map(read, paths)) == rows
            return {"bytes": sum(path.stat().st_size for path in paths)}

        return act

    return prepare


def _read_batch_openai(path: Path) -> int:
    """As its `BatchJob.wait` does once the file's text is there."""
    from batch_openai import BatchResult

    lines = [json.loads(line) for line in path.read_text().strip().splitlines() if line]
    return len(BatchResult._from_jsonl_lines(lines).succeeded)


def _cannot(why: str) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        raise SystemExit(why)

    return prepare


def _as_in(group: str, contest: str, side: str) -> Prepare:
    """A side of another group, which needs packages that the peers' environments lack."""
    return lambda rows, place: groups.contest(group, contest).sides[side](rows, place)


_SIZES, _QUICK = (5_000, 50_000), (2_000,)

GROUP = Group(
    "peers",
    "Peers: the same prompts and result files through other packages",
    (
        Contest(
            "list",
            {
                "ours": _as_in("building", "list", "ours"),
                "loop": _as_in("building", "list", "loop"),
                "batch-openai": _building(_write_batch_openai),
                "openai-batch": _building(_write_openai_batch),
                "instructor": _building(_write_instructor),
            },
            _SIZES,
            _QUICK,
        ),
        Contest(
            "answers",
            {
                "ours": _as_in("reading", "answers", "ours"),
                "loop": _as_in("reading", "answers", "loop"),
                "batch-openai": _reading(_read_batch_openai),
                "openai-batch": _cannot("reads nothing: what it downloads is a file"),
                "instructor": _cannot("reads only replies that are JSON of one Pydantic model, not texts"),
            },
            _SIZES,
            _QUICK,
            give=made.result_files,
        ),
    ),
)
