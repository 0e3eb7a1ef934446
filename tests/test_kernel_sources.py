"""Slow, asynchronous and mistaken sources in real kernels: the newest ipykernel and the two that differ."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel import Kernel, Result
from tests.test_kernel import plain

pytestmark = pytest.mark.kernel

# A source that only the notebook's own loop can drain: it waits for a task that runs there.
ROWS = """
import asyncio
mine = asyncio.get_running_loop()
mailbox = asyncio.Queue()

async def deliver():
    for n in range(5):
        await asyncio.sleep(0.05)
        await mailbox.put(f"[[echo]]{n}")

async def rows():
    assert asyncio.get_running_loop() is mine
    delivering = asyncio.ensure_future(deliver())
    for _ in range(5):
        yield await mailbox.get()
    await delivering

async def fetch():
    return [text async for text in rows()]
"""
SLOW = """
import time
def slow():
    for n in range(40):
        print("reading", flush=True) if n == 2 else time.sleep(0.1)
        yield f"[[echo]]{n}"

async def aslow():
    for n in range(40):
        print("reading", flush=True) if n == 2 else await asyncio.sleep(0.1)
        yield f"[[echo]]{n}"
pass
"""
KEPT = """
from groq_magic import ledger
print('answers' in globals(), len(list((ledger.current().home / 'jobs').iterdir())))
"""


def ready(kernel: Kernel) -> None:
    """Loads the extension; a sandbox that answers at once is in place of Groq."""
    done = kernel.run(
        "%load_ext groq_magic\nfrom groq_magic import services\nservices.use_sandbox(pace_s=0); None"
    )
    assert done.status == "ok", done.errors


def error_of(result: Result) -> str:
    """The one line that a cell ended with."""
    (error,) = result.errors
    shown = plain("\n".join(error["traceback"])).strip()
    assert "\n" not in shown
    return shown


def displayed(kernel: Kernel, began: int) -> list[str]:
    """The plain texts of what was displayed and updated since a message, in order."""
    with kernel.published.changed:
        return [
            message.content["data"]["text/plain"]
            for message in kernel.published.messages[began:]
            if message.type in ("display_data", "update_display_data")
            and "text/plain" in message.content["data"]
        ]


def test_run_all_loses_no_cell_with_asynchronous_sources(kernel: Kernel) -> None:
    """What belongs to the notebook's own loop is drained there, and every queued cell runs, in order."""
    ready(kernel)
    sources = ["rows()", "fetch()", "asyncio.ensure_future(fetch())"]
    cells = [ROWS + "order = []"]
    for take, source in enumerate(sources, 1):
        cells += [
            f"%groq_batch answers{take} --from {source} --take {take}",
            f"order.append({take})",
            f"await asyncio.sleep(0.05); order.append('awaited {take}')",
        ]
    cells.append("order.append([each.wait().texts for each in (answers1, answers2, answers3)]); print(order)")
    results = kernel.wait_for([kernel.send(cell) for cell in cells])
    assert [result.status for result in results] == ["ok"] * len(cells), [r.errors for r in results]
    order = [each for take in (1, 2, 3) for each in (take, f"awaited {take}")]
    assert results[-1].stdout == f"{[*order, [[str(n) for n in range(5)]] * 3]}\n"


def test_an_interrupt_while_reading_leaves_nothing_behind(kernel: Kernel) -> None:
    """NAME keeps its value, nothing is put down or sent, and the notebook goes on."""
    ready(kernel)
    assert kernel.run(ROWS + SLOW).status == "ok"
    for source in ("slow()", "aslow()"):
        reading = kernel.send(f"%groq_batch answers --from {source}")
        kernel.wait_until(lambda reading=reading: "reading" in kernel.printed(reading), what="a beginning")  # type: ignore[misc]
        kernel.interrupt()
        (stopped,) = kernel.wait_for([reading], timeout=15)
        assert stopped.status == "error"
        assert [error["ename"] for error in stopped.errors] == ["KeyboardInterrupt"]
        assert error_of(stopped) == "KeyboardInterrupt: nothing was sent, and `answers` is as it was."
        after = kernel.run(KEPT)
        assert after.stdout == "False 0\n", after.errors
    done = kernel.run(
        "await asyncio.sleep(0.05)\n%groq_batch answers --from ['[[echo]]a']\nprint(answers.wait().texts)"
    )
    assert done.stdout.endswith("['a']\n"), done.errors


HANG = """
async def hang():
    yield 'a'
    print('hangs', flush=True)
    await asyncio.Event().wait()
"""
IN_AN_ASYNC_CELL = """
await asyncio.sleep(0)
get_ipython().run_line_magic('groq_batch', 'answers --from hang()')
"""


def test_a_source_that_hangs_inside_an_async_cell_can_be_interrupted(kernel: Kernel) -> None:
    """A cell that has awaited is interrupted as any other."""
    ready(kernel)
    kernel.run(ROWS + HANG)
    hanging = kernel.send(IN_AN_ASYNC_CELL)
    kernel.wait_until(lambda: "hangs" in kernel.printed(hanging), what="the source to hang")
    kernel.interrupt()
    (stopped,) = kernel.wait_for([hanging], timeout=15)
    assert error_of(stopped) == "KeyboardInterrupt: nothing was sent, and `answers` is as it was."
    assert kernel.run("await asyncio.sleep(0.01)\nprint('healthy')").stdout == "healthy\n"


LATE = """
import asyncio, time
def late():
    time.sleep(1.5)
    for n in range(30):
        time.sleep(0.05)
        yield f"[[echo]]{n}"
"""


def test_a_slow_source_is_seen_to_be_read(kernel: Kernel) -> None:
    """After a second a line says that it is waited for, then counts; it stays as a fact."""
    ready(kernel)
    kernel.run(LATE)
    for source, read in (
        ("asyncio.sleep(1.5, ['[[echo]]a'])", "Read 1 prompt in "),
        ("late()", "Read 30 prompts in "),
    ):
        began = len(kernel.published.messages)
        done = kernel.run(f"%groq_batch answers --from {source}")
        assert done.status == "ok", done.errors
        shown = displayed(kernel, began)
        assert "Waiting for the prompts. Nothing is sent yet; an interrupt stops it." in shown
        assert any(text.startswith(read) for text in shown)
    counted = [text for text in shown if text.startswith("Reading prompts: ")]
    assert len(counted) >= 2
    assert counted[0].endswith(" so far. Nothing is sent yet; an interrupt stops it.")


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of this Python: these cells are the same to all of them."""
    with Kernel(sys.executable, tmp_path) as opened:
        yield opened


def test_mistakes_in_sources_are_answered_in_one_paragraph(newest: Kernel) -> None:
    """An undefined variable, an expression or a generator that raises, an endless one: each in one line."""
    ready(newest)
    newest.run("def half():\n    yield 'a'\n    raise OSError('cut')")
    newest.run("def endless():\n    while True:\n        yield 'a'")
    newest.run("%config GroqMagics.max_prompts = 3000")
    for source, said in {
        "nowhere": "InputError: --from nowhere: name 'nowhere' is not defined",
        "[1][2]": "InputError: --from [1][2]: IndexError: list index out of range",
        "half()": "InputError: `half()` raised OSError: cut (after 1 item, in `half` line 3); nothing was "
        "sent",
        "endless()": "InputError: `endless()` gave more than 3,000 prompts: is it endless? If it is not: "
        "`%config GroqMagics.max_prompts = 30000`, or `submit(…, max_prompts=…)`. Nothing was sent",
        '"reviews.csv"': f"InputError: no file `reviews.csv` in {newest.work}",
        '"half()"': f"InputError: no file `half()` in {newest.work}; a Python expression stands without "
        "quotes: --from half()",
    }.items():
        assert error_of(newest.run(f"%groq_batch answers --from {source}")) == said
    assert newest.run("print('answers' in globals())").stdout == "False\n"


def test_a_file_in_quotes_and_an_expression_with_spaces_are_sources(newest: Kernel) -> None:
    """What stands in quotes is a file; everything else is Python, with its spaces and brackets."""
    ready(newest)
    (newest.work / "my reviews.csv").write_text("say,lang\na,en\nb,de\n,de\n")
    newest.run(
        "template = '[[echo]]{{ say }}'\nrows = [{'say': 'x', 'lang': 'en'}, {'say': 'y', 'lang': 'de'}]"
    )
    first = newest.run(
        '%groq_batch one --from "my reviews.csv" --template @template --missing skip --wait\nprint(one.texts)'
    )
    assert first.stdout.endswith("['a', 'b', None]\n"), first.errors
    second = newest.run(
        '%groq_batch two --from [row for row in rows if row["lang"] == "de"] --template @template --wait\n'
        "print(two.texts)"
    )
    assert second.stdout.endswith("['y']\n"), second.errors
    chained = newest.run(
        "%%groq_batch three --from one --missing skip --wait\n[[echo]]{{ lang }}{{ answer }}!"
    )
    assert chained.status == "ok", chained.errors
    assert newest.run("print(three.texts)").stdout == "['ena!', 'deb!', None]\n"
