"""What a notebook's user sees, in real kernels: the newest ipykernel and the two that behave otherwise."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.kernel import Kernel

pytestmark = pytest.mark.kernel

PROMPTS = ["Name a colour.", "Name a fruit.", "Name a river."]
BATCH = "\n".join(["%%groq_batch answers", *PROMPTS])
ALL_THERE = "print(len(answers.texts), all(answers.texts))"

BUSY = {
    "asleep": "import time\nprint('busy', flush=True)\ntime.sleep(6)",
    "computing": "import time\nprint('busy', flush=True)\nend = time.time() + 6\n"
    "while time.time() < end:\n    sum(range(1000))",
}


def ready(kernel: Kernel) -> Kernel:
    """The kernel with the extension loaded and the sandbox in place of Groq."""
    for cell in ("%load_ext groq_magic", "%groq sandbox"):
        done = kernel.run(cell)
        assert done.status == "ok", done.outputs
    return kernel


def submit(kernel: Kernel) -> None:
    """Runs the batch's cell."""
    done = kernel.run(BATCH)
    assert done.status == "ok", done.outputs


def plain(text: str) -> str:
    """The text without a terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_the_variable_fills(kernel: Kernel) -> None:
    """After `wait()` the variable that the cell named holds one text for each prompt."""
    submit(ready(kernel))
    assert kernel.run("answers.wait()").status == "ok"
    assert kernel.run(ALL_THERE).stdout == "3 True\n"


@pytest.mark.parametrize("work", BUSY)
def test_the_card_lives_while_another_cell_is_busy(kernel: Kernel, work: str) -> None:
    """The card goes on changing while the next cell sleeps or computes."""
    submit(ready(kernel))
    cell = kernel.send(BUSY[work])
    kernel.wait_until(lambda: "busy" in kernel.printed(cell), what="the busy cell to begin")
    began_at = time.monotonic()
    (done,) = kernel.wait_for([cell])
    assert done.status == "ok"
    seen = kernel.updates(began_at, done.replied_at)
    assert len({change.value for change in seen}) >= 2


def test_run_all_loses_no_cell(kernel: Kernel) -> None:
    """Five cells queued at once, the batch's among them, all run in order and all reply."""
    ready(kernel)
    cells = ["before = 1", BATCH, "print(before, answers.done)", "answers.wait(); None", ALL_THERE]
    results = kernel.wait_for([kernel.send(cell) for cell in cells])
    assert [result.status for result in results] == ["ok"] * 5
    assert [result.stdout for result in results if result.stdout] == ["1 False\n", "3 True\n"]


def test_an_interrupt_stops_only_the_waiting(kernel: Kernel) -> None:
    """Interrupting `wait()` ends that cell; the batch goes on and its answers come."""
    submit(ready(kernel))
    waiting = kernel.send("print('waiting', flush=True)\nanswers.wait()")
    kernel.wait_until(lambda: "waiting" in kernel.printed(waiting), what="the cell to wait")
    kernel.interrupt()
    (stopped,) = kernel.wait_for([waiting], timeout=5)
    assert stopped.status == "error"
    assert [error["ename"] for error in stopped.errors] == ["KeyboardInterrupt"]
    assert kernel.run("answers.wait()").status == "ok"
    assert kernel.run(ALL_THERE).stdout == "3 True\n"


def test_an_interrupted_wait_says_what_goes_on(kernel: Kernel) -> None:
    """`%groq wait` that is interrupted says in one line that the batch goes on."""
    submit(ready(kernel))
    kernel.run("import _thread\nanswers.while_waiting = _thread.interrupt_main")
    (error,) = kernel.run("%groq wait answers").errors
    assert plain("\n".join(error["traceback"])) == (
        "KeyboardInterrupt: only the waiting has stopped; the batch goes on. Again: %groq wait answers"
    )


def test_a_mistake_is_answered_in_one_paragraph_and_stops_run_all(kernel: Kernel, tmp_path: Path) -> None:
    """A bad cell ends in one `error` output without a traceback, binds nothing, and no queued cell runs."""
    ready(kernel)
    queued = tmp_path / "queued"
    until = f"import os, time\nwhile not os.path.exists({str(queued)!r}): time.sleep(0.01)"
    cells = (until, "%%groq_batch 1x\nName a colour.", "print('ran')")
    sent = [kernel.send(cell) for cell in cells]
    queued.touch()
    _, bad, after = kernel.wait_for(sent)
    assert (bad.status, after.status) == ("error", "aborted")
    (error,) = bad.errors
    shown = plain("\n".join(error["traceback"])).strip()
    assert "1x" in shown
    assert "\n" not in shown
    assert "Traceback" not in shown
    assert bad.stream("stderr") == ""
    assert kernel.run("print([name for name in ('1x', 'answers') if name in globals()])").stdout == "[]\n"


def test_unloading_stops_watching_and_attach_takes_up_again(kernel: Kernel) -> None:
    """After `%unload_ext` nothing changes any more; loaded again, `%groq attach` has the same batch."""
    submit(ready(kernel))
    kernel.wait_until(lambda: kernel.html(), what="the card")
    unloaded = kernel.run("%unload_ext groq_magic")
    assert (unloaded.status, unloaded.errors) == ("ok", [])
    assert any("No longer watched" in str(each.content) for each in kernel.published.messages)
    settled = kernel.run("None")
    quiet = kernel.run("import time\ntime.sleep(3)")
    assert kernel.updates(settled.replied_at, quiet.replied_at) == []
    assert "not found" in plain(kernel.run("%groq batches").stream("stderr"))
    ready(kernel)
    assert kernel.run("%groq attach answers again").status == "ok"
    assert kernel.run("again.wait()").status == "ok"
    assert kernel.run("print(len(again.texts), all(again.texts))").stdout == "3 True\n"


def test_a_batch_outlives_its_kernel(kernel_python: str, tmp_path: Path) -> None:
    """A kernel killed in mid-batch loses nothing: the cell in a new kernel gets the same batch's answers."""
    with Kernel(kernel_python, tmp_path) as first:
        submit(ready(first))
        first.run("import time\nwhile not answers.batch_ids:\n    time.sleep(0.1)")
        ids = first.run("print(*answers.batch_ids)").stdout
        first.kill()
    assert ids.strip()
    with Kernel(kernel_python, tmp_path) as second:
        submit(ready(second))
        assert second.run("answers.wait()").status == "ok"
        assert second.run(ALL_THERE).stdout == "3 True\n"
        assert second.run("print(*answers.batch_ids)").stdout == ids
