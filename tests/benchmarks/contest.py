"""What is measured: contests, in which several sides do the same with the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

Facts = dict[str, float]
"""What one side did, by name: `seconds`, `bytes`, `peak_mb` and whatever else it counts."""

Sides = Mapping[str, Facts]
"""The best of each side, by its name."""


@dataclass(frozen=True)
class Place:
    """Folders: `shared` holds what all sides are given, `own` is empty and one measurement's alone.

    What is put to `opened` is closed at the end.
    """

    shared: Path
    own: Path
    opened: ExitStack


Act = Callable[[], Facts]
Prepare = Callable[[int, Place], Act]
"""Makes everything that is not to be measured, for so many rows; what comes back is measured."""


@dataclass(frozen=True)
class Target:
    """What is aimed at: `value` of the sides is to be `least` or more, or `most` or less."""

    says: str
    value: Callable[[Sides], float]
    least: float | None = None
    most: float | None = None

    def met(self, sides: Sides) -> bool:
        """Whether it is reached."""
        value = self.value(sides)
        return value >= self.least if self.least is not None else value <= (self.most or 0.0)


@dataclass(frozen=True)
class Contest:
    """One line of work. The first of the `sides` is ours, the others are what it stands beside.

    `give` puts what all sides need for so many rows into a folder, once. `warm` has each side do a few rows
    before, so that imports are neither timed nor counted as memory. Targets hold at the largest size.
    """

    name: str
    sides: Mapping[str, Prepare]
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    quick: tuple[int, ...] = (5_000, 50_000)
    targets: tuple[Target, ...] = ()
    give: Callable[[int, Path], None] | None = None
    warm: bool = True
    rounds: int | None = None


@dataclass(frozen=True)
class Group:
    """Contests that are printed together. `bound` says in a few sentences what bounds ours now."""

    name: str
    title: str
    contests: tuple[Contest, ...]
    bound: str = ""


def faster(times: float, than: str) -> Target:
    """Ours is so many times faster than this side."""
    return Target(
        f"{times:g} × faster than {than}",
        lambda sides: sides[than]["seconds"] / next(iter(sides.values()))["seconds"],
        least=times,
    )


def at_most(says: str, fact: str, most: float) -> Target:
    """A fact of our side stays within a bound."""
    return Target(says, lambda sides: next(iter(sides.values()))[fact], most=most)
