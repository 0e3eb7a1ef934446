"""The tree's order: who may import whom, and what an import costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import groq_magic

PACKAGE = Path(groq_magic.__file__).parent

# From the ground up. The stations of one floor do not know each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "vaults", "table"),
    ("wire", "keys", "loop", "prices", "sandbox"),
    ("prompts", "costs"),
    ("schema",),
    ("shards", "answers"),
    ("job", "settings", "versions"),
    ("ledger",),
    ("api", "estimates"),
    ("polling", "policy", "view", "orphans", "reuse", "services"),
    ("download", "now", "recall"),
    ("pipeline", "foreign"),
    ("runs",),
    ("listing", "models"),
    ("client", "standing"),
    ("card",),
    ("magics", "demo"),
    ("__main__",),
)
FLOOR = {station: height for height, stations in enumerate(FLOORS) for station in stations}

MAY_USE_THE_SANDBOX = {"api", "sandbox", "__main__"}
FRAMES = ("pandas", "polars", "pyarrow", "narwhals")


def stations() -> set[str]:
    """Every module and package at the top of the tree, but the loader `__init__`."""
    return {
        path.stem
        for path in PACKAGE.iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").is_file())
    }


def imports() -> Iterator[tuple[str, str, str]]:
    """Each import of one of our stations: who imports, which station, and where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts == ("__init__.py",):
            continue
        package = ["groq_magic", *inside.parts[:-1]]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in names(node, package):
                parts = name.split(".")
                if parts[0] == "groq_magic" and len(parts) > 1 and parts[1] in FLOOR:
                    yield Path(inside.parts[0]).stem, parts[1], f"{inside}:{node.lineno}"


def names(node: ast.AST, package: list[str]) -> list[str]:
    """The full names that an import statement asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *filter(None, [node.module])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    return []


def loaded_by(statement: str) -> set[str]:
    """The top-level modules, and ours in full, that a fresh Python holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    return {name for name in found if name.startswith("groq_magic")} | {name.split(".")[0] for name in found}


def test_every_station_stands_on_a_floor() -> None:
    """No module at the top of the tree is without a floor, and no floor holds one that is gone."""
    assert stations() == set(FLOOR)


def test_imports_only_go_down() -> None:
    """No module imports from its own height or above, not even inside a function or for its types."""
    seen = list(imports())
    offenders = [
        f"{place}: {who} imports {whom}"
        for who, whom, place in seen
        if who != whom and FLOOR[who] <= FLOOR[whom]
    ]
    assert len(seen) > 100
    assert offenders == []


def test_the_sandbox_shares_nothing_with_the_client() -> None:
    """The sandbox imports nothing of ours, and only `api` and the command line import it."""
    across = [
        f"{place}: {who} imports {whom}"
        for who, whom, place in imports()
        if (who == "sandbox" and whom != "sandbox") or (whom == "sandbox" and who not in MAY_USE_THE_SANDBOX)
    ]
    assert across == []


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("import groq_magic", ("IPython", "ipywidgets", "httpx", *FRAMES)),
        ("import groq_magic.client", ("IPython", "ipywidgets", *FRAMES)),
        ("from groq_magic import Answers, attach, batches, submit", ("IPython", "ipywidgets", *FRAMES)),
        ("import groq_magic.magics", FRAMES),
        ("import groq_magic.sandbox", ("jsonschema", "uvicorn")),
    ],
)
def test_an_import_brings_only_what_it_needs(statement: str, without: tuple[str, ...]) -> None:
    """The package alone brings no network, and without magics no notebook and no frame library is loaded."""
    found = loaded_by(statement)
    assert "groq_magic" in found
    assert found & set(without) == set()


def test_the_map_names_every_station() -> None:
    """The module map in the package's docstring names each station of the tree, and no other."""
    block = (groq_magic.__doc__ or "").split("go down:\n\n::\n\n")[1].split("\n\n")[0]
    named = set(re.findall(r"(?:(?<=  )|(?<=; ))(\w+)/?(?=  |: )", block))
    assert named == stations()
