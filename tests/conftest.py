from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a bare `pytest` does not put the checkout on the path

# These need the line above.
from groq_magic import vaults  # noqa: E402
from tests.desk import Desk  # noqa: E402
from tests.kernel import KERNELS, Kernel, all_kernels  # noqa: E402
from tests.lab import chromium  # noqa: E402
from tests.sdks import PACE_S, Sdk, calling  # noqa: E402
from tests.sockets import disarm, sandbox  # noqa: E402


def python_of(version: str) -> str:
    """The Python whose kernel is of this ipykernel."""
    python = all_kernels().get(version)
    if python is None:
        pytest.skip(f"no Python with ipykernel {version} stands in {KERNELS}")
    return python


@pytest.fixture(params=["newest", "6.29.5", "7.0.1"])
def kernel_python(request: pytest.FixtureRequest) -> str:
    """A Python whose kernel is to be tested: this one's, and the two older ones that behave otherwise."""
    return python_of(request.param)


@pytest.fixture(params=["newest", "6.29.5", "6.31.0", "7.0.1", "7.1.0", "7.3.0"])
def any_kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel of each kind that carries a card in a way of its own."""
    with Kernel(python_of(request.param), tmp_path) as started:
        yield started


@pytest.fixture(params=["newest", "7.0.1", "7.1.0", "7.3.0"])
def subshell_kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel of those that have subshells."""
    with Kernel(python_of(request.param), tmp_path) as started:
        yield started


@pytest.fixture
def kernel(kernel_python: str, tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel, ended after the test."""
    with Kernel(kernel_python, tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    opened = chromium()
    try:
        started = opened.__enter__()
    except Error as exc:
        pytest.skip(f"no Chromium: {exc.message.splitlines()[0]}")
    try:
        yield started
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: GROQ_MAGIC_TEST_PICTURES, or a folder of the tests' own."""
    return Path(os.environ.get("GROQ_MAGIC_TEST_PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own keyring is not asked."""
    monkeypatch.setattr(vaults, "kept", tuple)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A fresh sandbox whose batches take 100 seconds."""
    return Desk(tmp_path / "home")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox on a socket whose batches are completed at the first look."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as where:
        yield where


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox whose batches end only when its clock is turned, and whose `errors` are the reference's."""
    args = ("--pace", str(PACE_S), "--rule", "errors=wrapped")
    with sandbox(tmp_path_factory.mktemp("slow"), *args) as where:
        yield where


@pytest.fixture(scope="module")
def at_once(kind: Any, url: str) -> Iterator[Sdk]:
    """An SDK of the file's `kind` at the sandbox whose batches are completed at the first look."""
    with calling(kind, url) as sdk:
        yield sdk


@pytest.fixture
def sdk(at_once: Sdk, url: str) -> Iterator[Sdk]:
    """The same, and nothing stays armed after the test."""
    yield at_once
    disarm(url)


@pytest.fixture(scope="module")
def slow(kind: Any, slow_url: str) -> Iterator[Sdk]:
    """An SDK of the file's `kind` at the sandbox whose clock is turned by hand."""
    with calling(kind, slow_url) as sdk:
        yield sdk


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With GROQ_MAGIC_TEST_NO_SKIP=1 a kernel or a browser that is missing is a failure, not a skip."""
    report = yield
    must_run = any(item.get_closest_marker(name) for name in ("kernel", "browser"))
    if report.skipped and must_run and os.environ.get("GROQ_MAGIC_TEST_NO_SKIP") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but GROQ_MAGIC_TEST_NO_SKIP=1: {report.longrepr}"
    return report
