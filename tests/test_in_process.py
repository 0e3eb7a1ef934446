"""The way to a sandbox in this process."""

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from groq_magic import api, services
from groq_magic.errors import NoReply

MB = 1_000_000


def downloaded(size: int, folder: Path, path: Path) -> int:
    """How many bytes of memory it took at most to download a file of this size to `path`."""
    (folder / "sent.jsonl").write_bytes(b"x" * size)

    async def down() -> int:
        groq = api.Groq(services.current())
        try:
            file_id = await groq.upload(folder / "sent.jsonl", "sent.jsonl")
            tracemalloc.start()
            await groq.content(file_id, path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            await groq.close()

    return asyncio.run(down())


def use_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new sandbox in this process."""
    monkeypatch.setenv("GROQ_MAGIC_HOME", str(tmp_path / "home"))
    services.use_sandbox(pace_s=0)


def test_a_long_download_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 20 MB comes whole, and at no time is more than 8 MB of it in memory."""
    use_sandbox(tmp_path, monkeypatch)
    try:
        assert downloaded(20 * MB, tmp_path, tmp_path / "got") < 8 * MB
    finally:
        services.use_groq()
    assert (tmp_path / "got").read_bytes() == b"x" * (20 * MB)


def test_a_full_temporary_folder_is_no_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a reply cannot be kept until it is read, none has come, in one line that says why."""
    use_sandbox(tmp_path, monkeypatch)

    class Full:
        def __init__(self, most: int) -> None:
            pass

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(api.tempfile, "SpooledTemporaryFile", Full)

    async def asked() -> None:
        groq = api.Groq(services.current())
        try:
            await groq.models()
        finally:
            await groq.close()

    try:
        with pytest.raises(NoReply, match=r"^No answer from .*No space left on device.*temporary file"):
            asyncio.run(asked())
    finally:
        services.use_groq()
