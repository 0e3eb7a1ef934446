"""Building: prompts → shards on disk with fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.benchmarks import limits, loops, made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, Prepare, Sides, Target, faster


def _ours(source_of: Callable[[int], object], **how: Any) -> Prepare:
    """Cuts what `source_of` gives for so many rows."""

    def prepare(rows: int, place: Place) -> Act:
        from groq_magic import prompts, shards

        source = source_of(rows)

        def act() -> Facts:
            form = shards.Form(made.MODEL)
            done = shards.cut(prompts.from_source(source, **how), form, place.own)
            sizes = [one.size for one in done]
            return {"bytes": sum(sizes), "shard_mb": max(sizes) / 1e6}

        return act

    return prepare


def _bare(
    source_of: Callable[[int], Any],
    prompts_of: Callable[[Any], Iterable[Any]],
    build: Callable[..., None],
) -> Prepare:
    """Writes with `build` what `prompts_of` makes of the source."""

    def prepare(rows: int, place: Place) -> Act:
        source, path = source_of(rows), place.own / "requests.jsonl"

        def act() -> Facts:
            build(prompts_of(source), path)
            return {"bytes": path.stat().st_size}

        return act

    return prepare


def _rows(rows: int) -> list[dict[str, Any]]:
    return [made.row(number) for number in range(rows)]


def _frame(rows: int) -> Any:
    import polars

    return polars.DataFrame(_rows(rows))


def _lines(rows: int) -> list[dict[str, Any]]:
    return [made.request(number) for number in range(rows)]


def _as_it_is(source: Any) -> Any:
    return source


def _filled(rows: list[dict[str, Any]]) -> Iterable[str]:
    return (made.filled(row["product"], row["review"]) for row in rows)


def _filled_frame(frame: Any) -> Iterable[str]:
    return (made.filled(row["product"], row["review"]) for row in frame.iter_rows(named=True))


def _of_allowed_memory(sides: Sides) -> float:
    ours = next(iter(sides.values()))
    return ours["peak_mb"] / (32e-6 * ours["rows"] + ours["shard_mb"])


MEMORY = Target("of 32 B a row and one shard", _of_allowed_memory, most=1.0)


def _contest(
    name: str,
    source_of: Callable[[int], Any],
    prompts_of: Callable[[Any], Iterable[Any]],
    times: float | None,
    *,
    lines: bool = False,
    **how: Any,
) -> Contest:
    return Contest(
        name,
        {
            "ours": _ours(source_of, **how),
            "loop": _bare(source_of, prompts_of, loops.build_lines if lines else loops.build),
            "limit": _bare(source_of, prompts_of, limits.build_lines if lines else limits.build),
        },
        targets=((faster(times, "loop"),) if times else ()) + (MEMORY,),
    )


GROUP = Group(
    "building",
    "Building: prompts → shards on disk with fingerprints",
    (
        _contest("list", made.prompts, _as_it_is, 3.0),
        _contest("rows", _rows, _filled, 1.5, template=made.TEMPLATE),
        _contest("polars", _frame, _filled_frame, None, template=made.TEMPLATE),
        _contest("lines", _lines, _as_it_is, None, lines=True),
    ),
)
