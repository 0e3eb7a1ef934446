"""The sandbox on a socket: how it begins, how it ends, what it says where it cannot."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from groq_magic.__main__ import main
from tests.sockets import sandbox

SERVE = "import sys; from groq_magic.sandbox import serve; serve(sys.argv[1], port=int(sys.argv[2]))"


def start(home: Path) -> subprocess.Popen[str]:
    """A sandbox on a free port, in a process of its own."""
    command = [sys.executable, "-c", SERVE, str(home), "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_program_that_knows_only_groq_runs_on_it(tmp_path: Path) -> None:
    """Two environment variables, as README says, and a program for Groq's SDK talks to the sandbox."""
    program = "import groq; print(groq.Groq().models.retrieve('openai/gpt-oss-20b').id)"
    with sandbox(tmp_path) as url:
        env = os.environ | {"GROQ_BASE_URL": url, "GROQ_API_KEY": "gsk_any"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("openai/gpt-oss-20b\n", "")


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


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--port", "99999"), "'99999' is no port: 0 to 65535"),
        (("--port", "x"), "'x' is no port"),
        (("--pace", "soon"), "'soon' is no number of seconds, 0 or more"),
        (("--pace", "-1"), "'-1' is no number of seconds, 0 or more"),
    ],
)
def test_a_value_that_is_none_is_named(
    capsys: pytest.CaptureFixture[str], options: tuple[str, str], says: str
) -> None:
    """An option with an impossible value ends with what it is and what it may be."""
    with pytest.raises(SystemExit, match="2"):
        main(["sandbox", *options])
    assert says in capsys.readouterr().err


def test_a_short_token_of_the_environment_is_named_by_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who set the variable is not told of an option."""
    monkeypatch.setenv("GROQ_MAGIC_SANDBOX_TOKEN", "short")
    assert main(["sandbox"]) == 1
    assert capsys.readouterr().err.startswith("GROQ_MAGIC_SANDBOX_TOKEN: at least 8 characters")
