"""A real kernel for tests: cells go in, and everything the kernel publishes is kept with its arrival time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import Empty
from typing import Any, Self

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

ROOT = Path(__file__).resolve().parents[1]
KERNELS = "GROQ_MAGIC_TEST_KERNELS"


def clean_environment(home: Path) -> dict[str, str]:
    """An environment in which only this checkout and the folder `home` exist: no key, no user's settings.

    Every folder that Jupyter, IPython and groq_magic write to is inside `home` and exists.
    """
    folders = {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        "JUPYTERLAB_SETTINGS_DIR": "jupyter/settings",
        "JUPYTERLAB_WORKSPACES_DIR": "jupyter/workspaces",
        "GROQ_MAGIC_HOME": "groq_magic",
    }
    for folder in folders.values():
        (home / folder).mkdir(parents=True, exist_ok=True)
    # Jupyter does not offer a runtime folder that others may read.
    (home / "jupyter/runtime").chmod(0o700)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return {
        **kept,
        **{name: str(home / folder) for name, folder in folders.items()},
        "PYTHONPATH": str(ROOT),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else old kernels print a warning as they start
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",  # not the machine's own, if it has one
    }


@cache
def ipykernel_version(python: str) -> str:
    """The ipykernel that this Python has, or "" if it has none."""
    ask = "from importlib.metadata import version; print(version('ipykernel'))"
    said = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=60, check=False)
    return said.stdout.strip()


def all_kernels() -> dict[str, str]:
    """The Pythons whose kernels are tested: "newest" is this one, the others by their ipykernel's version.

    The others stand in GROQ_MAGIC_TEST_KERNELS, separated as in PATH.
    """
    others = [python for python in os.environ.get(KERNELS, "").split(os.pathsep) if python]
    return {"newest": sys.executable, **{ipykernel_version(python): python for python in others}}


@dataclass(frozen=True)
class Message:
    """One message from the kernel: its type, the request it belongs to ("" for none), and when."""

    type: str
    parent: str
    at: float  # time.monotonic() when it came
    content: Mapping[str, Any]
    sent: float = 0.0  # time.time() in the kernel


@dataclass(frozen=True)
class Change:
    """One trait of one widget taking a value that differs from the one before."""

    at: float  # time.monotonic()
    widget: str
    trait: str
    value: object


@dataclass(frozen=True)
class Result:
    """What one cell did: `status` of its reply ("ok", "error" or "aborted") and what it put out."""

    status: str
    outputs: tuple[Message, ...]
    replied_at: float

    def stream(self, name: str) -> str:
        """All that the cell wrote to "stdout" or "stderr"."""
        return "".join(
            m.content["text"] for m in self.outputs if m.type == "stream" and m.content["name"] == name
        )

    @property
    def stdout(self) -> str:
        """All that the cell printed."""
        return self.stream("stdout")

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The contents of the cell's `error` outputs: `ename`, `evalue`, `traceback`."""
        return [m.content for m in self.outputs if m.type == "error"]

    @property
    def value(self) -> str | None:
        """The text of the cell's `execute_result`, or None."""
        shown = [m.content["data"]["text/plain"] for m in self.outputs if m.type == "execute_result"]
        return shown[-1] if shown else None


_OUTPUTS = ("stream", "display_data", "execute_result", "error")


@dataclass
class Published:
    """What the kernel has published so far. Written by one thread under `changed`, read by the test."""

    messages: list[Message] = field(default_factory=list)
    widgets: dict[str, dict[str, Any]] = field(default_factory=dict)  # comm id → last state
    changes: list[Change] = field(default_factory=list)
    displays: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # display id → last MIME bundle
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, message: Message) -> None:
        """Takes one message in, and wakes who waits."""
        with self.changed:
            self.messages.append(message)
            content = message.content
            if message.type in ("display_data", "update_display_data"):
                display_id = content.get("transient", {}).get("display_id")
                if display_id is not None:
                    self.displays[display_id] = content["data"]
            elif message.type == "comm_open" and content.get("target_name") == "jupyter.widget":
                self._update(message, content["data"].get("state", {}))
            elif message.type == "comm_msg" and content["data"].get("method") == "update":
                self._update(message, content["data"]["state"])
            elif message.type == "comm_close":
                self.widgets.pop(content["comm_id"], None)
            self.changed.notify_all()

    def _update(self, message: Message, state: Mapping[str, Any]) -> None:
        widget = self.widgets.setdefault(message.content["comm_id"], {})
        for trait, value in state.items():
            if trait not in widget or widget[trait] != value:
                self.changes.append(Change(message.at, message.content["comm_id"], trait, value))
                widget[trait] = value


class Kernel:
    """A kernel of the given Python, alone in the folder `home`; use it in a `with` statement.

    `published` holds all that came so far. A second kernel in the same `home` finds the first one's ledger.
    """

    def __init__(self, python: str, home: Path, *, notebook: str = "notebook.ipynb") -> None:
        self.python = python
        self.home = home
        self.work = home / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.published = Published()
        self._env = {**clean_environment(home), "JPY_SESSION_NAME": str(self.work / notebook)}
        self._log = home / "kernel.log"
        self._replies: dict[str, tuple[Mapping[str, Any], float]] = {}
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        connection, _ = write_connection_file(str(self.home / f"kernel-{time.monotonic_ns()}.json"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, "-m", "ipykernel_launcher", "-f", connection],
                cwd=self.work,
                env={**self._env, "JPY_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._client = BlockingKernelClient(connection_file=connection)
            self._client.load_connection_file()
            self._client.start_channels(hb=False)
            self._reader = threading.Thread(target=self._read, name="iopub", daemon=True)
            self._reader.start()
            self._wait_for_reply(self._client.kernel_info(), timeout=60)
            # A first cell proves that what the kernel publishes reaches us before a test relies on it.
            self._until_heard(timeout=30)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the kernel: asked first, by its process id otherwise. Nothing of it is left running."""
        self._stop.set()
        if hasattr(self, "_reader"):
            self._reader.join(timeout=10)
        if hasattr(self, "_client"):
            if self._process.poll() is None and self._client.channels_running:
                self._client.shutdown()
            self._gone(timeout=5)
            self._client.stop_channels()
        self._gone(timeout=0)

    def kill(self) -> None:
        """The kernel dies without a word, as when a machine loses its power."""
        self._process.kill()
        self._process.wait(timeout=10)

    def wait_until_dead(self, timeout: float = 30) -> None:
        """Waits for a kernel that kills itself."""
        self._process.wait(timeout)

    # Cells ---------------------------------------------------------------------------------------------

    def send(self, code: str) -> str:
        """Queues a cell, as Run All does, and returns its id without waiting."""
        return str(self._client.execute(code, allow_stdin=False, stop_on_error=True))

    def wait_for(self, msg_ids: Iterable[str], timeout: float = 60) -> list[Result]:
        """The results of queued cells, in the order given."""
        end = time.monotonic() + timeout
        return [self._result(msg_id, end - time.monotonic()) for msg_id in msg_ids]

    def run(self, code: str, timeout: float = 60) -> Result:
        """Runs one cell to its end."""
        return self.wait_for([self.send(code)], timeout)[0]

    def run_typing(self, code: str, typed: str, timeout: float = 60) -> tuple[Result, Mapping[str, Any]]:
        """Runs one cell that asks for something, which is typed; its result, and how it asked."""
        msg_id = str(self._client.execute(code, allow_stdin=True, stop_on_error=True))
        asked = self._client.get_stdin_msg(timeout=timeout)["content"]
        self._client.input(typed)
        return self.wait_for([msg_id], timeout)[0], asked

    def complete(self, cell: str, cursor: int | None = None) -> tuple[list[str], str]:
        """What Tab offers in a cell (at its end, or at a place in it), and the text that it would replace."""
        msg_id = self._client.complete(cell, cursor)
        self._wait_for_reply(msg_id, timeout=60)
        said = self._replies[msg_id][0]
        return said["matches"], cell[said["cursor_start"] : said["cursor_end"]]

    def interrupt(self) -> None:
        """What the stop button does."""
        self._process.send_signal(signal.SIGINT)

    def wait_until(self, true: Callable[[], object], timeout: float = 30, what: str = "") -> None:
        """Waits until `true()` holds; it is asked again whenever the kernel has published something."""
        end = time.monotonic() + timeout
        with self.published.changed:
            while not true():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"waited {timeout} s in vain for {what or true}; {self._state()}")
                self._check_alive()
                self.published.changed.wait(min(left, 0.5))

    def wait_until_busy(self, msg_id: str, timeout: float = 30) -> None:
        """Waits until the kernel has begun with a queued cell."""
        self.wait_until(lambda: self._heard(msg_id, "execute_input"), timeout, "the cell to begin")

    def printed(self, msg_id: str) -> str:
        """What a cell has printed so far; it may still be running."""
        with self.published.changed:
            texts = [m for m in self.published.messages if m.parent == msg_id and m.type == "stream"]
        return "".join(m.content["text"] for m in texts if m.content["name"] == "stdout")

    # What is shown -------------------------------------------------------------------------------------

    def html(self) -> str:
        """The values of all living widgets, and the HTML of every display with an id, one after another."""
        with self.published.changed:
            values = [str(state["value"]) for state in self.published.widgets.values() if "value" in state]
            shown = [str(data.get("text/html", "")) for data in self.published.displays.values()]
        return "\n".join(values + shown)

    def updates(self, since: float, until: float, trait: str = "value") -> list[Change]:
        """How widgets changed between two times of `time.monotonic()`."""
        with self.published.changed:
            return [c for c in self.published.changes if c.trait == trait and since < c.at < until]

    def click(self, description: str, subshell: str | None = None, times: int = 1) -> None:
        """Presses the one living button with this description; on a subshell, as newer frontends do."""
        with self.published.changed:
            (button,) = [
                comm_id
                for comm_id, state in self.published.widgets.items()
                if state.get("_model_name") == "ButtonModel" and state.get("description") == description
            ]
        data = {"method": "custom", "content": {"event": "click"}}
        for _ in range(times):
            message = self._client.session.msg("comm_msg", {"comm_id": button, "data": data})
            if subshell is not None:
                message["header"]["subshell_id"] = subshell
            self._client.shell_channel.send(message)

    def buttons(self) -> list[str]:
        """What the buttons say that were made and not closed."""
        with self.published.changed:
            states = self.published.widgets.values()
            return [state["description"] for state in states if state.get("_model_name") == "ButtonModel"]

    def open_subshell(self) -> str:
        """A new subshell's id: the kernel runs what comes for it on a thread of its own."""
        client = self._client
        client.control_channel.send(client.session.msg("create_subshell_request", {}))
        reply = client.control_channel.get_msg(timeout=10)
        return str(reply["content"]["subshell_id"])

    # Inside --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Keeps what the kernel publishes, until told to stop."""
        while not self._stop.is_set():
            try:
                got = self._client.iopub_channel.get_msg(timeout=0.2)
            except Empty:
                continue
            parent = got["parent_header"].get("msg_id", "")
            sent = got["header"]["date"].timestamp()
            self.published.add(Message(got["msg_type"], parent, time.monotonic(), got["content"], sent))

    def _until_heard(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            msg_id = self.send("None")
            self._wait_for_reply(msg_id, timeout)
            try:
                self.wait_until(lambda msg_id=msg_id: self._idle(msg_id), 1)  # type: ignore[misc]
            except AssertionError:
                continue
            return
        raise AssertionError(f"the kernel publishes nothing; {self._state()}")

    def _result(self, msg_id: str, timeout: float) -> Result:
        status, replied_at = self._wait_for_reply(msg_id, timeout)
        self.wait_until(lambda: self._idle(msg_id), 10, "the cell to be idle")
        with self.published.changed:
            outputs = [m for m in self.published.messages if m.parent == msg_id and m.type in _OUTPUTS]
        return Result(status, tuple(outputs), replied_at)

    def _wait_for_reply(self, msg_id: str, timeout: float) -> tuple[str, float]:
        end = time.monotonic() + timeout
        while msg_id not in self._replies:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no reply to {msg_id} within {timeout:.0f} s; {self._state()}")
            self._check_alive()
            try:
                reply = self._client.shell_channel.get_msg(timeout=min(left, 0.5))
            except Empty:
                continue
            self._replies[reply["parent_header"]["msg_id"]] = (reply["content"], time.monotonic())
        content, replied_at = self._replies[msg_id]
        return str(content["status"]), replied_at

    def _heard(self, msg_id: str, kind: str) -> bool:
        return any(m.parent == msg_id and m.type == kind for m in self.published.messages)

    def _idle(self, msg_id: str) -> bool:
        return any(
            m.parent == msg_id and m.type == "status" and m.content["execution_state"] == "idle"
            for m in self.published.messages
        )

    def _check_alive(self) -> None:
        if self._process.poll() is not None:
            raise AssertionError(f"the kernel died; {self._state()}")

    def _state(self) -> str:
        with self.published.changed:
            last = [(m.type, json.dumps(m.content, default=str)[:300]) for m in self.published.messages[-5:]]
        return f"last messages: {last}; log: {self._log.read_text(errors='replace')[-2000:]}"

    def _gone(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
