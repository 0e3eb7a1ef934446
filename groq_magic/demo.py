"""`groq-magic demo`: plays the first notebook in a real kernel on the sandbox, and shows what came of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groq_magic import client, ledger
from groq_magic.answers import display
from groq_magic.errors import GroqMagicError, InputError

if TYPE_CHECKING:
    from groq_magic.answers import Answers

NOTEBOOK = "01_first_batch.ipynb"
_HERE = Path(__file__).resolve().parent
_CELL_TIMEOUT_S = 300
_SHOWN = 6


def notebook() -> Path:
    """The notebook: beside the package in a checkout, inside it in an installed wheel."""
    for folder in (_HERE / "notebooks", _HERE.parent / "notebooks"):
        if (folder / NOTEBOOK).is_file():
            return folder / NOTEBOOK
    raise GroqMagicError(f"{NOTEBOOK} was not installed with groq_magic: install it again.")


def play(out: Path) -> int:
    """Runs the notebook, prints its first answers, leaves it in `out`, executed and as an HTML page."""
    out = _folder(out)
    begun = time.monotonic()
    print(f"Playing {NOTEBOOK} in a kernel of its own, on the sandbox: no key, no network.")
    try:
        executed = asyncio.run(_executed(out))
    except ModuleNotFoundError as exc:
        raise InputError(f'The demo needs {exc.name}: pip install "groq_magic[demo]"') from exc
    for path in _written(executed, out):
        print(f"  {path}")
    batches = [client.attach(job.job_id) for job in ledger.current().jobs()]
    for answers in batches:
        print(f"\n{_table(answers.wait())}")
    total = sum(len(answers) for answers in batches)
    print(
        f"\n{total:,} prompts in {len(batches)} batches, {time.monotonic() - begun:.0f} s in all. "
        "See the card move yourself: groq-magic demo --lab"
    )
    return 0


def lab(out: Path) -> int:
    """Opens JupyterLab on a copy of the notebook; returns when it is closed."""
    out = _folder(out)
    copy = out / "my_first_batch.ipynb"
    if not copy.exists():  # what was written into it stays
        shutil.copyfile(notebook(), copy)
    try:
        from jupyterlab.labapp import LabApp
    except ModuleNotFoundError as exc:
        raise InputError('The demo needs JupyterLab: pip install "groq_magic[demo]"') from exc
    # The URL that is printed leads to the notebook, too; a container's root may run it as it is.
    argv = [f"--ServerApp.root_dir={out}", f"--LabApp.default_url=/lab/tree/{copy.name}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        argv.append("--allow-root")
    LabApp.launch_instance(argv=argv)
    return 0


def _folder(out: Path) -> Path:
    """The folder for what the demo makes, with a ledger of its own: every run has a fresh store."""
    out = out.resolve()
    home = out / "groq_magic-home"
    if (home / "ledger.sqlite").is_file():  # an earlier demo's, and nothing else's
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    os.environ["GROQ_MAGIC_HOME"] = str(home)
    os.environ.pop("GROQ_API_KEY", None)  # a demo never spends anything
    return out


async def _executed(out: Path) -> Any:
    """The notebook with its outputs, played with progress in the terminal."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    node = nbformat.read(notebook(), as_version=4)
    total = sum(cell.cell_type == "code" for cell in node.cells)
    seen = 0

    def begins(cell: Any, cell_index: int) -> None:
        nonlocal seen
        if cell.cell_type == "code":
            seen += 1
            first = next(iter(cell.source.splitlines()), "")
            print(f"\r\x1b[K  cell {seen} of {total}  {first[:60]}", end="" if sys.stdout.isatty() else "\n")

    player = NotebookClient(
        node,
        timeout=_CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(out)}},
        store_widget_state=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        on_cell_execute=begins,
    )
    watching = asyncio.create_task(_progress())
    try:
        await player.async_execute()
    except CellExecutionError as exc:
        raise GroqMagicError(f"A cell of the notebook failed with {exc.ename}: {exc.evalue}") from exc
    finally:
        watching.cancel()
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")
    return node


async def _progress() -> None:
    """How the batches are doing, beside the cell's line, as the ledger tells it."""
    while sys.stdout.isatty():
        await asyncio.sleep(0.5)
        book = ledger.current()
        known = [(job, book.shards(job.job_id)) for job in reversed(book.jobs())]
        running = [(job, shards) for job, shards in known if any(s.state == "created" for s in shards)]
        said = ", ".join(
            f"{job.name} {sum(s.completed + s.failed for s in shards):,} of {job.prompts:,}"
            for job, shards in running
        )
        print(f"\x1b[s\x1b[70G\x1b[K{said}\x1b[u" if said else "", end="", flush=True)


def _written(executed: Any, out: Path) -> list[Path]:
    import nbformat
    from nbconvert import HTMLExporter

    played, page = out / NOTEBOOK, out / NOTEBOOK.replace(".ipynb", ".html")
    nbformat.write(executed, played)
    page.write_text(HTMLExporter().from_notebook_node(executed)[0], encoding="utf-8")
    return [played, page]


def _table(answers: Answers) -> str:
    """A batch's name and counts, and its first answers, as wide as the terminal."""
    width = max(80, shutil.get_terminal_size((120, 24)).columns) - 18
    asked_width = width * 2 // 5
    lines = [display.status_line(answers)]
    for answer in answers[:_SHOWN]:
        said = display.shortened(
            (answer.text if answer.error is None else str(answer.error)) or "", width - asked_width
        )
        asked = display.prompt_line(answer.prompt, asked_width)
        lines.append(f"  {answer.index:>4}  {answer.status:<7} {asked:<{asked_width}}  {said}")
    if len(answers) > _SHOWN:
        lines.append(f"  … and {len(answers) - _SHOWN:,} more")
    return "\n".join(lines)
