"""`groq-magic demo` and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from groq_magic import demo


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the demo sets is taken back."""
    monkeypatch.setenv("GROQ_MAGIC_HOME", "")
    monkeypatch.setenv("GROQ_API_KEY", "")


def test_the_demo_deletes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    """A folder in which something else lies keeps it, whatever its name; an earlier demo's ledger goes."""
    for name in ("home", "groq_magic-home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    demo._folder(tmp_path)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "groq_magic-home" / "thesis.txt").read_text() == "mine"
    (tmp_path / "groq_magic-home" / "ledger.sqlite").touch()
    (tmp_path / "groq_magic-home" / "thesis.txt").unlink()
    demo._folder(tmp_path)
    assert list((tmp_path / "groq_magic-home").iterdir()) == []
