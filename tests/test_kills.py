"""`kill -9` at every boundary, then the same cell in a new kernel: nothing lost, nothing paid twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dying import BOUNDARIES
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
