"""`kill -9` at every boundary, then the same cell in a new kernel: nothing lost, nothing paid twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dying import ASKING, BOUNDARIES
from tests.kernel import Kernel
from tests.sockets import batches, content, sandbox

pytestmark = pytest.mark.kernel

PROMPTS = [f"[[echo]]{n}" for n in range(5)]
READY = """
%load_ext groq_magic
%config GroqMagics.shard_rows = 3
from groq_magic import pipeline
pipeline.SURE_AFTER_S = 0.2  # half a minute is long in a test
"""
CELL = "%groq_batch answers --from prompts"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox that outlives the kernels."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as listening:
        yield listening


def started(kernel: Kernel, url: str, prompts: list[str]) -> Kernel:
    """The kernel, ready to run the cell."""
    for cell in (READY, f"%groq sandbox {url}", f"prompts = {prompts!r}"):
        done = kernel.run(cell)
        assert done.status == "ok", done.outputs
    return kernel


def asked_for(url: str, mark: str) -> list[str]:
    """The prompts with this mark in all batches that the sandbox has, each as often as it was asked."""
    found: list[str] = []
    for batch in batches(url):
        assert batch["status"] == "completed", batch
        found += [line for line in content(url, batch["input_file_id"]).split("\n") if mark in line]
    return found


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_kernel_that_dies_costs_nothing(boundary: str, url: str, tmp_path: Path) -> None:
    """The next kernel's same cell has every answer, and the sandbox was asked each prompt once."""
    prompts = [f"{prompt} <{boundary}>" for prompt in PROMPTS]
    with Kernel(sys.executable, tmp_path) as kernel:
        started(kernel, url, prompts)
        kernel.run(f"from tests.dying import die_at; die_at({boundary!r})")
        kernel.send(CELL)
        kernel.wait_until_dead()
    with Kernel(sys.executable, tmp_path) as kernel:
        started(kernel, url, prompts)
        done = kernel.run(CELL)
        assert done.status == "ok", done.outputs
        texts = kernel.run("print(answers.wait(30).texts)")
        assert texts.stdout.strip() == repr([prompt.removeprefix("[[echo]]") for prompt in prompts])
    assert len(asked_for(url, f"<{boundary}>")) == len(prompts)


AT_ONCE = 3
NOTED = """
from groq_magic import api, now
now.AT_ONCE = {at_once}
real = api.Groq.chat
async def noted(self, body):
    with open({log!r}, "ab") as file:
        file.write(body + b"\\n")
    return await real(self, body)
api.Groq.chat = noted
"""


@pytest.mark.parametrize("boundary", ASKING)
def test_a_kernel_that_dies_while_it_asks_pays_no_more_than_what_was_in_flight(
    boundary: str, url: str, tmp_path: Path
) -> None:
    """The next kernel's same cell has every answer; only requests in flight at the kill are asked twice."""
    prompts, log = [f"[[echo]]{n} <{boundary}>" for n in range(20)], tmp_path / "asked"
    ready, cell = NOTED.format(at_once=AT_ONCE, log=str(log)), f"{CELL} --now"
    with Kernel(sys.executable, tmp_path) as kernel:
        started(kernel, url, prompts).run(ready)
        kernel.run(f"from tests.dying import die_at; die_at({boundary!r})")
        kernel.send(cell)
        kernel.wait_until_dead()
    killed_after = log.read_bytes().count(b"\n") if log.exists() else 0
    with Kernel(sys.executable, tmp_path) as kernel:
        started(kernel, url, prompts).run(ready)
        done = kernel.run(cell)
        assert done.status == "ok", done.outputs
        texts = kernel.run("print(answers.wait(30).texts)")
        assert texts.stdout.strip() == repr([prompt.removeprefix("[[echo]]") for prompt in prompts])
    asked = log.read_bytes().splitlines()
    assert len(set(asked)) == len(prompts)
    assert len(prompts) <= len(asked) <= len(prompts) + min(AT_ONCE, killed_after)
    assert asked_for(url, f"<{boundary}>") == []
