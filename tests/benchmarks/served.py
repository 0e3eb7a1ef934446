"""A sandbox on a socket, in a process of its own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Served:
    """Where it listens, and the id of its process."""

    url: str
    pid: int

    @property
    def peak_mb(self) -> float:
        """The most memory that it has held, in 10⁶ bytes; 0 where the system does not say."""
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
            return int(found[1]) * 1024 / 1e6 if found else 0.0
        return 0.0


@contextlib.contextmanager
def served(home: Path, pace_s: float = 0.0) -> Iterator[Served]:
    """A fresh sandbox; without a pace, batches are completed at the first look."""
    command = [sys.executable, "-m", "groq_magic", "sandbox", "--home", str(home), "--pace", str(pace_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().split()[-1], process.pid)
        finally:
            process.terminate()
