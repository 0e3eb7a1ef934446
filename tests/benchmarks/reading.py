"""Reading: output files → answers that are ready, and frames of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from tests.benchmarks import limits, loops, made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Prepare, at_most, faster


def _size(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in made.results(folder)))


def _collected(rows: int, folder: Path) -> Any:
    from groq_magic.answers import reading

    nowhere = Path("nowhere.jsonl")
    sources = [reading.Source(n, nowhere, held, made.PREFIX) for n, held in enumerate(made.sizes(rows))]
    found = reading.Rows("job", rows, sources)
    for number, path in enumerate(made.results(folder)):
        found.collect(number, path)
    return found


def _ours(rows: int, place: Place) -> Act:
    import groq_magic.answers  # noqa: F401  # not what is measured

    def act() -> Facts:
        found = _collected(rows, place.shared)
        assert found.counts()["ok"] == rows
        return {"bytes": _size(place.shared)}

    return act


def _plain(read: Callable[[list[Path]], object]) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        paths = made.results(place.shared)

        def act() -> Facts:
            kept = read(paths)
            assert kept
            return {"bytes": _size(place.shared)}

        return act

    return prepare


def _table(rows: int, library: str) -> Any:
    """The user's own table: a frame of this library, or a list of dicts."""
    held = [made.row(number) for number in range(rows)]
    if library == "dicts":
        return held
    from importlib import import_module

    return import_module(library).DataFrame(held)


def _our_frame(library: str) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        from groq_magic.answers import Answers

        table = _table(rows, library)

        def act() -> Facts:
            found = _collected(rows, place.shared)
            answers = Answers("answers", found, cast(Any, None), frame=table)
            began = time.perf_counter()
            framed = getattr(answers, f"to_{library}")()
            assert len(framed) == rows
            return {"bytes": _size(place.shared), "frame_s": time.perf_counter() - began}

        return act

    return prepare


def _plain_frame(library: str) -> Prepare:
    def prepare(rows: int, place: Place) -> Act:
        table, paths = _table(rows, library), made.results(place.shared)

        def act() -> Facts:
            columns = loops.columns(paths)
            began = time.perf_counter()
            framed = _beside(table, columns)
            assert len(framed) == rows
            return {"bytes": _size(place.shared), "frame_s": time.perf_counter() - began}

        return act

    return prepare


def _beside(table: Any, columns: dict[str, list[Any]]) -> Any:
    if isinstance(table, list):
        values = zip(*columns.values(), strict=True)
        return [row | dict(zip(columns, each, strict=True)) for row, each in zip(table, values, strict=True)]
    return table.assign(**columns) if hasattr(table, "assign") else table.with_columns(**columns)


def _frames(library: str) -> Contest:
    sides = {"ours": _our_frame(library), "loop": _plain_frame(library)}
    return Contest(f"to_{library}", sides, quick=(10_000,), give=made.result_files)


GROUP = Group(
    "reading",
    "Reading: output files → answers that are ready, and frames of them beside the user's table",
    (
        Contest(
            "answers",
            {"ours": _ours, "loop": _plain(loops.read), "limit": _plain(limits.read)},
            targets=(faster(5.0, "loop"), at_most("MB above the interpreter", "peak_mb", 60.0)),
            give=made.result_files,
        ),
        _frames("pandas"),
        _frames("polars"),
        _frames("dicts"),
    ),
)
