"""JupyterLab for tests: a server on loopback, alone in a folder, and a page of headless Chromium on it."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import nbformat
from PIL import Image
from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright

from tests.kernel import clean_environment

_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Nothing is asked of the network, all outputs stay in the page, and a save is one that a test asked for.
_SETTINGS: dict[str, dict[str, object]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}

_PANEL = "window.jupyterapp.shell.currentWidget"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium; the installed one, or Playwright's own where none is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=_CHROMIUM
        )
        try:
            yield browser
        finally:
            browser.close()


class Lab:
    """A JupyterLab server in the folder `home`, and its notebooks; use it in a `with` statement."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self._env = clean_environment(home)
        self._log = home / "lab.log"
        self._token = secrets.token_hex(16)
        for name, settings in _SETTINGS.items():
            path = Path(self._env["JUPYTERLAB_SETTINGS_DIR"]) / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(settings))

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jupyterlab",
                    "--no-browser",
                    "--allow-root",
                    "--expose-app-in-browser",
                    "--JupyterNotebookApp.expose_app_in_browser=True",
                    "--ServerApp.ip=127.0.0.1",
                    "--ServerApp.port=0",
                    f"--ServerApp.root_dir={self.work}",
                    f"--IdentityProvider.token={self._token}",
                    "--LabApp.news_url=None",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                ],
                cwd=self.work,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self.url = self._wait_for_url(timeout=60)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server, which ends its kernels; killed by its process id if it does not."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def write(self, name: str, cells: list[str]) -> Path:
        """Puts a notebook with these code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        path = self.work / name
        nbformat.write(notebook, path)
        return path

    def read(self, name: str) -> Any:
        """The notebook as it is on disk."""
        return nbformat.read(self.work / name, as_version=4)

    def page(self, browser: Browser, *, at: str = "lab", height: int = 900) -> Page:
        """A fresh page with JupyterLab ready in it; or Notebook 7, at "notebooks/NAME"."""
        page = browser.new_page(viewport={"width": 1100, "height": height})
        page.goto(f"{self.url}{at}?token={self._token}&reset", timeout=60_000)
        page.wait_for_function(
            "window.jupyterapp && window.jupyterapp.restored.then(() => true)", timeout=60_000
        )
        return page

    def _wait_for_url(self, timeout: float) -> str:
        """The server's address, from the file it writes when it listens."""
        runtime = Path(self._env["JUPYTER_RUNTIME_DIR"])
        end = time.monotonic() + timeout
        while time.monotonic() < end and self._process.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                try:
                    url: str = json.loads(path.read_text())["url"]
                except ValueError:  # half written
                    continue
                return url
            time.sleep(0.1)
        raise AssertionError(f"JupyterLab did not start: {self._log.read_text(errors='replace')[-3000:]}")


class Notebook:
    """One notebook open in a page of JupyterLab, driven through Lab's own commands."""

    def __init__(self, page: Page, name: str, *, kernel: bool = True, opened: bool = False) -> None:
        self.page, self.name = page, name
        preference = {} if kernel else {"shouldStart": False, "canStart": False, "autoStartDefault": False}
        if not opened:  # as Notebook 7's page has it
            page.evaluate(
                "async ([path, kernelPreference]) => { await window.jupyterapp.commands.execute("
                "'docmanager:open', {path, factory: 'Notebook', kernelPreference}); }",
                [name, preference],
            )
        page.wait_for_function(f"{_PANEL}?.context?.path === '{name}'", timeout=30_000)
        page.evaluate(f"() => {_PANEL}.context.ready")
        if kernel:
            self.wait_for_kernel("idle", timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Its kernel is ended, and its tab is closed."""
        if self.has_kernel():
            self.shut_down_kernel()
        self.close()

    def has_kernel(self) -> bool:
        """Whether the notebook is connected to a kernel."""
        return bool(self.page.evaluate(f"() => Boolean({_PANEL}.sessionContext.session?.kernel)"))

    def wait_for_kernel(self, status: str, timeout: float = 30) -> None:
        """Waits until the kernel's status is this one ("idle", "busy")."""
        self.page.wait_for_function(
            f"{_PANEL}.sessionContext.session?.kernel?.status === '{status}'", timeout=timeout * 1000
        )

    def start(self, index: int) -> None:
        """Runs the cell with this index, and does not wait for it."""
        self.page.evaluate(
            f"index => {{ {_PANEL}.content.activeCellIndex = index;"
            " void window.jupyterapp.commands.execute('notebook:run-cell'); }",
            index,
        )

    def run(self, index: int, timeout: float = 60) -> None:
        """Runs the cell with this index to its end, whether well or not."""
        before = self.count(index)
        self.start(index)
        self.page.wait_for_function(
            f"([index, before]) => {{ const n = {_PANEL}.content.model.cells.get(index).executionCount;"
            " return n !== null && n !== before; }",
            arg=[index, before],
            timeout=timeout * 1000,
        )

    def count(self, index: int) -> int | None:
        """The number in front of the cell; None while it runs or before it ran."""
        count: int | None = self.page.evaluate(
            f"index => {_PANEL}.content.model.cells.get(index).executionCount", index
        )
        return count

    def outputs(self, index: int) -> Locator:
        """The part of the page that shows the cell's outputs."""
        return (
            self.page.locator(".jp-Notebook > .jp-Notebook-cell, .jp-WindowedPanel-viewport > .jp-Cell")
            .nth(index)
            .locator(".jp-Cell-outputArea")
        )

    def save(self) -> None:
        """Saves the notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def shut_down_kernel(self) -> None:
        """Ends the notebook's kernel."""
        self.page.evaluate(f"() => {_PANEL}.sessionContext.shutdown()")
        self.page.wait_for_function(f"!{_PANEL}.sessionContext.session", timeout=30_000)

    def close(self) -> None:
        """Closes the notebook's tab without asking; what was not saved is lost."""
        self.page.evaluate(f"() => {{ {_PANEL}.context.model.dirty = false; {_PANEL}.close(); }}")
        self.page.wait_for_function(f"{_PANEL}?.context?.path !== '{self.name}'", timeout=30_000)

    def run_all(self, timeout: float = 120) -> None:
        """Runs every cell, and waits for the last one's end."""
        last = self.page.evaluate(f"() => {_PANEL}.content.widgets.length") - 1
        before = self.count(last)
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        wait_until(self.page, lambda: self.count(last) not in (None, before), timeout, "the last cell")

    def theme(self, name: str) -> None:
        """Changes to the theme "light" or "dark"."""
        theme = f"JupyterLab {name.title()}"
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        self.page.wait_for_function(
            "theme => document.body.dataset.jpThemeName === theme", arg=theme, timeout=10_000
        )
        # Lab covers the page with its splash screen while a theme loads.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=10_000)

    def film(self, path: Path, card: Locator, until: Locator, every_s: float = 0.5) -> None:
        """Writes an animated picture of a card, from now until `until` is seen, and two seconds on."""
        frames: list[Image.Image] = []
        after = 0.0
        while after <= 2 and len(frames) < 120:
            with suppress(Error):  # it was drawn anew at this very moment
                frames.append(Image.open(BytesIO(card.screenshot())).convert("RGB"))
            after += every_s if until.count() else 0
            self.page.wait_for_timeout(every_s * 1000)
        size = (max(each.width for each in frames), max(each.height for each in frames))
        ground = frames[0].getpixel((frames[0].width - 1, 0))
        sheets = [Image.new("RGB", size, ground) for _ in frames]
        for sheet, frame in zip(sheets, frames, strict=True):
            sheet.paste(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        sheets[0].save(path, save_all=True, append_images=sheets[1:], duration=every_s * 1000, loop=0)

    def pictures(self, folder: Path, name: str, card: Locator) -> None:
        """Writes `NAME-light.png` and `NAME-dark.png`, and the card alone as `card-NAME-….png`."""
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in ("dark", "light"):
            self.theme(suffix)
            self.page.screenshot(path=folder / f"{name}-{suffix}.png")
            card.screenshot(path=folder / f"card-{name}-{suffix}.png")


def wait_until(page: Page, true: Callable[[], object], timeout: float = 30, what: str = "") -> None:
    """Waits until `true()` holds, while the page goes on."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what or true}")
        page.wait_for_timeout(50)
