"""Environments in which peers are installed, each in one of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


@contextlib.contextmanager
def environments(packages: Mapping[str, Sequence[str]]) -> Iterator[Callable[[str], str]]:
    """From a side to the Python that it runs in: this one, but for the sides that a package is installed for.

    A package that cannot be installed raises CalledProcessError.
    """
    with tempfile.TemporaryDirectory(prefix="groq-magic-peers-") as folder:
        for side, wanted in packages.items():
            subprocess.run([sys.executable, "-m", "venv", f"{folder}/{side}"], check=True)
            pip = [f"{folder}/{side}/bin/python", "-m", "pip", "install", "-q", "--no-compile"]
            subprocess.run([*pip, *wanted], check=True, stderr=subprocess.DEVNULL)
        yield lambda side: str(Path(folder, side, "bin", "python")) if side in packages else sys.executable
