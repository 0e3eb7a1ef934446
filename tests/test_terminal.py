"""The magic in IPython on a terminal: text in place of the card, and a prompt that nobody writes over."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.kernel import clean_environment

# From 3.12 on Python warns of any fork beside other threads; the child here becomes another program at once.
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

PROMPT = r"In \[\d+\]: "
MORE = r"\.\.\.: "


class Terminal:
    """IPython in a terminal of its own."""

    def __init__(self, home: Path) -> None:
        work = home / "work"
        work.mkdir()
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "IPython", "--no-banner", "--simple-prompt", "--colors=nocolor"],
            cwd=str(work),
            env=clean_environment(home),
            encoding="utf-8",
            dimensions=(50, 200),
            timeout=60,
        )
        self._child.expect(PROMPT)

    def close(self) -> None:
        """Ends IPython and its terminal."""
        self._child.close(force=True)

    def run(self, *lines: str) -> str:
        """Types a cell and returns what stands between it and the next prompt."""
        for line in lines:
            self._child.sendline(line)
            self._child.expect_exact(line)
            if len(lines) > 1:
                self._child.expect(MORE)
        if len(lines) > 1:
            self._child.sendline("")  # a cell magic ends with two empty lines
            self._child.expect(MORE)
            self._child.sendline("")
        self._child.expect(PROMPT)
        said: str = self._child.before
        return said.replace("\r\n", "\n").strip()

    def unasked(self, timeout: float) -> str:
        """What is written within `timeout` seconds although nothing was typed."""
        found = self._child.expect([pexpect.TIMEOUT, re.compile(r".+", re.DOTALL)], timeout=timeout)
        return "" if found == 0 else str(self._child.after)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """IPython at its first prompt."""
    opened = Terminal(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_a_terminal_shows_text_and_keeps_its_prompt(terminal: Terminal) -> None:
    """In a terminal the cell shows a line of text, the prompt stays untouched, and the answers come."""
    assert "Error" not in terminal.run("%load_ext groq_magic")
    assert "Error" not in terminal.run("%groq sandbox")
    card = terminal.run("%%groq_batch answers", "Name a colour.", "Name a fruit.")
    assert "answers" in card
    assert "Error" not in card
    for widget in ("VBox(", "HTML(", "Button(", "<"):
        assert widget not in card
    assert terminal.unasked(timeout=12) == ""
    assert "Error" not in terminal.run("answers.wait()")
    assert terminal.run("print(len(answers.texts), all(answers.texts))") == "2 True"
    waited = terminal.run("%%groq_batch others --wait", "Name a river.", "Name a lake.")
    assert "All 2 answered." in waited
    assert "It goes on by itself" not in waited
