"""Groq's own SDK against the sandbox on a socket."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import groq
import httpx
import pytest

from tests.desk import KEY, lines_of

SERVE = "import sys; from groq_magic.sandbox import serve; serve(sys.argv[1], port=int(sys.argv[2]))"


def start(home: Path) -> subprocess.Popen[str]:
    """A sandbox on a free port, in a process of its own."""
    command = [sys.executable, "-c", SERVE, str(home), "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a sandbox listens; it must have stopped cleanly and said nothing else in the end."""
    with start(tmp_path_factory.mktemp("sandbox")) as process:
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("Sandbox ready: http://127.0.0.1:"), process.communicate()
        yield line.removeprefix("Sandbox ready: ").strip()
        process.terminate()
        rest, complaints = process.communicate(timeout=20)
        assert (process.returncode, rest, complaints) == (0, "", "")


def test_groqs_own_sdk_runs_a_batch(url: str, tmp_path: Path) -> None:
    """Upload, create, retrieve, content, list, chat and delete through the official SDK, unchanged."""
    path = tmp_path / "in.jsonl"
    path.write_text(lines_of("[[echo]]one", "[[echo]]two", "[[fail]]"), encoding="utf-8")
    with groq.Groq(api_key=KEY, base_url=url) as client:
        file = client.files.create(file=path, purpose="batch")
        made = client.batches.create(
            input_file_id=file.id or "", endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = client.batches.retrieve(made.id)
        assert (made.status, batch.status) == ("validating", "completed")
        content = client.files.content(batch.output_file_id or "").text()
        lines = [json.loads(line) for line in content.split("\n")[:-1]]
        said = {
            line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"] for line in lines
        }
        assert said == {"row-0": "one", "row-1": "two"}
        assert [listed.id for listed in client.batches.list().data] == [made.id]
        assert client.models.retrieve("openai/gpt-oss-20b").id == "openai/gpt-oss-20b"
        reply = client.chat.completions.create(
            model="openai/gpt-oss-20b", messages=[{"role": "user", "content": "[[echo]]now"}]
        )
        assert reply.choices[0].message.content == "now"
        assert client.files.delete(file.id or "").deleted


def test_groqs_own_sdk_knows_our_refusals(url: str) -> None:
    """A 401 and a 404 are the SDK's AuthenticationError and NotFoundError."""
    with groq.Groq(api_key="wrong", base_url=url) as client, pytest.raises(groq.AuthenticationError):
        client.models.list()
    with groq.Groq(api_key=KEY, base_url=url) as client, pytest.raises(groq.NotFoundError):
        client.batches.retrieve("batch_01k7a2n4q8v3w5x6y7z8a9b0cd")


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    """Where the port is taken, one line on stderr says so and nothing is served."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", SERVE, str(tmp_path), str(port)], capture_output=True, text=True
        )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"port {port}" in done.stderr


def test_a_missing_uvicorn_is_said_in_one_line(tmp_path: Path) -> None:
    """Without uvicorn the one line names the extra to install."""
    without = "import sys; sys.modules['uvicorn'] = None\n" + SERVE
    done = subprocess.run([sys.executable, "-c", without, str(tmp_path), "0"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert 'pip install "groq_magic[sandbox]"' in done.stderr


def test_an_interrupt_stops_it_cleanly(tmp_path: Path) -> None:
    """Ctrl-C ends the server with exit code 0 and no traceback."""
    with start(tmp_path) as process:
        line = process.stdout.readline() if process.stdout else ""
        assert httpx.get(line.split()[-1] + "/sandbox").json()["object"] == "sandbox"
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=20), process.returncode) == (("", ""), 0)
