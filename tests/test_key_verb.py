"""`%groq key`: what is typed is tried, used and never seen. A sandbox on a socket stands for Groq."""

from __future__ import annotations

import getpass
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell

from groq_magic import client, keys, services, vaults
from groq_magic.errors import GroqMagicError, InputError, NoReply
from groq_magic.magics import key
from tests import offline
from tests.kernel import Kernel
from tests.sockets import arm, disarm, forward
from tests.test_keys import REAL, colab, keyring
from tests.test_magics import closed_port

SECRET = "gsk_secretSECRETsecret0123456789"
FREE, EXPIRED = "gsk_freeSECRETsecret0123456789", "gsk_expiredSECRETsecret0123456789"
HELD = "gsk_ofTheEnvironment00001"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[None]:
    """An empty folder, a home of its own, a key in the environment; the sandbox at a URL stands for Groq."""
    monkeypatch.chdir(tmp_path)
    with offline.home(tmp_path / "home"):
        monkeypatch.setenv("GROQ_BASE_URL", url)
        monkeypatch.setenv("GROQ_API_KEY", HELD)
        yield
        disarm(url)


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Says what is typed where something is asked; an exception is raised there."""

    def typing(what: object) -> None:
        def ask(prompt: str) -> object:
            if isinstance(what, BaseException):
                raise what
            return what

        monkeypatch.setattr(getpass, "getpass", ask)

    return typing


def test_a_key_that_is_accepted_comes_first(types: Callable[[object], None]) -> None:
    """It is used before the environment's, says that it may batch and how to keep it, and is not shown."""
    types(f' GROQ_API_KEY="{SECRET}"\n')
    said = key.ask()
    found = keys.find()
    assert (found.key, found.key_from) == (SECRET, "%groq key")
    assert said == (
        f"The key (fingerprint {found.key_fingerprint}) is used from now on. It may use the Batch API. "
        "It is kept in this process only. To keep it: GROQ_API_KEY=… in a file .env beside the notebook, or "
        "`keyring set groq_magic GROQ_API_KEY` in a terminal, with the library keyring."
    )


def test_a_key_without_batches_is_used_and_said_to_be_so(types: Callable[[object], None]) -> None:
    """One whose plan has no Batch API can chat."""
    types(FREE)
    assert "It can chat, and cannot batch: its plan has no Batch API" in key.ask()
    assert keys.find().key == FREE


def test_where_batches_cannot_be_asked_about_the_key_is_used(
    types: Callable[[object], None], url: str
) -> None:
    """The models came, the list of batches did not: the key is good, and what is not known is said."""
    types(SECRET)
    arm(url, "refuse", on="GET /batches", status=503)
    assert "Whether it may use the Batch API is not known yet: " in key.ask()
    assert keys.find().key == SECRET


def test_in_a_sandbox_the_key_is_kept_for_later(types: Callable[[object], None]) -> None:
    """It is tried at Groq, and prompts go where they went."""
    offline.sandbox(0)
    before = services.current()
    types(SECRET)
    assert "Prompts go to a sandbox now, and to Groq after %groq sandbox off." in key.ask()
    assert services.current() is before
    services.use_groq()
    assert services.current().key == SECRET


@pytest.mark.parametrize("typed", ["", "  ", "\n", "''", "GROQ_API_KEY=", EOFError()])
def test_an_empty_answer_leaves_all_as_it_was(types: Callable[[object], None], typed: object) -> None:
    """Nothing is asked of anybody, and the key in use stays."""
    keys.use(keys.Key("gsk_typedBefore0001"))
    types(typed)
    assert key.ask() == "Nothing was typed. Nothing has changed."
    assert keys.find().key == "gsk_typedBefore0001"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (EXPIRED, r"does not accept this key\. Nothing has changed\. \(.*Expired API Key"),
        ("sk_of-another-service", r"does not accept this key\. Nothing has changed\. \(.*Invalid API Key"),
        ("gsk_two SECRETs", r"What was typed holds a space or a sign that no key has: paste it again\."),
        (
            StdinNotImplementedError("no"),
            r"Nobody can be asked here: this notebook runs by itself\. Put GROQ",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_one_line_and_changes_nothing(
    types: Callable[[object], None], typed: object, said: str
) -> None:
    """What Groq refuses, what can be no key, and a place where nobody can be asked."""
    types(typed)
    with pytest.raises(InputError, match=said) as caught:
        key.ask()
    assert "SECRET" not in caught.value.message
    assert keys.find().key == HELD


def test_what_cannot_be_hidden_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where getpass would show what is typed, one line says so before anything is."""

    def shown(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        return SECRET

    monkeypatch.setattr(getpass, "getpass", shown)
    with pytest.raises(InputError, match="could not be hidden, so nothing is asked"):
        key.ask()
    assert keys.find().key == HELD


@pytest.mark.parametrize(
    "trouble", [{"status": 500}, {"status": 429}, {"status": 403}], ids=lambda trouble: trouble["status"]
)
def test_a_key_that_could_not_be_tried_is_not_used(
    types: Callable[[object], None], url: str, trouble: dict[str, int]
) -> None:
    """A service that is busy or broken says nothing about a key."""
    types(SECRET)
    arm(url, "refuse", on="GET /models", **trouble)
    with pytest.raises(InputError, match=r"^The key was not tried\. Nothing has changed\."):
        key.ask()
    assert keys.find().key == HELD


def test_where_nobody_answers_the_key_is_not_used(
    types: Callable[[object], None], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a closed port nor a silence is waited for long, and each is one line."""
    types(SECRET)
    arm(url, "slow", on="GET /models", seconds=30)
    monkeypatch.setattr(key, "_ASK_S", 0.05)
    with pytest.raises(NoReply, match=r"did not answer in 0\.05 s, so the key was not tried\. Nothing has"):
        key.ask()
    monkeypatch.setattr(key, "_ASK_S", 10)
    monkeypatch.setenv("GROQ_BASE_URL", closed_port())
    with pytest.raises(NoReply, match=r"No answer from .*The key was not tried\. Nothing has changed\."):
        key.ask()
    assert keys.find().key == HELD


@pytest.mark.parametrize("typed", [SECRET, EXPIRED, "gsk_SECRET two", RuntimeError("a bug")])
def test_a_traceback_with_all_variables_shows_no_key(types: Callable[[object], None], typed: object) -> None:
    """Whatever goes wrong while a key is handled, no variable's repr holds any of it."""
    types(typed)
    seen: list[str] = []
    ours = (key.__file__, keys.__file__)

    def watch(frame: object, event: str, arg: object) -> object:
        if frame.f_code.co_filename in ours:
            seen.append(repr({name: value for name, value in frame.f_locals.items() if name != "environ"}))
            return watch
        return None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        seen.append(key.ask())
    except (GroqMagicError, RuntimeError) as exc:
        seen.append("".join(traceback.format_exception(exc)))
    finally:
        sys.settrace(before)
    assert len(seen) > 3
    assert "SECRET" not in "".join(seen)


def test_the_verb_is_one_line_at_the_edge(
    types: Callable[[object], None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In a cell: a refusal and an interrupt are one line each, an acceptance is printed; no file has it."""
    with offline.ipython() as shell:
        shell.run_cell("%load_ext groq_magic")
        for typed, said in (
            (EXPIRED, "InputError: 127.0.0.1"),
            (KeyboardInterrupt(), "KeyboardInterrupt: no key was taken; nothing has changed."),
            (SECRET, "The key (fingerprint "),
        ):
            types(typed)
            out = ran(shell, "%groq key", capsys)
            assert out.startswith(said)
            assert out.count("\n") == 1
            assert "SECRET" not in out
        assert SECRET not in ran(shell, "%groq", capsys) + ran(shell, "%groq batches", capsys)
        assert "%groq key (fingerprint " in ran(shell, "%groq", capsys)
        shell.run_cell("%unload_ext groq_magic")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"secretSECRET" in path.read_bytes()] == []


def ran(shell: InteractiveShell, cell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """All that a cell wrote."""
    capsys.readouterr()
    shell.run_cell(cell, store_history=False)
    return "".join(capsys.readouterr())


def test_a_batch_is_taken_up_again_with_the_key_that_colab_keeps(
    monkeypatch: pytest.MonkeyPatch, slow_url: str
) -> None:
    """Colab answers the main thread alone, so the key is looked for there before the batch goes on."""
    monkeypatch.setattr(vaults, "kept", REAL)
    monkeypatch.setattr(vaults, "_last", {})
    monkeypatch.delenv("GROQ_API_KEY")
    monkeypatch.setenv("GROQ_BASE_URL", slow_url)
    keyring(monkeypatch, None)
    colab(monkeypatch, lambda name: SECRET)
    answers = client.submit(["[[echo]]still here"], name="mine")
    offline.until(lambda: answers.batch_ids)
    offline.restart()
    vaults._last.clear()
    again = client.attach("mine")
    forward(slow_url, 3_600)
    assert offline.ended(again).texts == ["still here"]


# --- in a kernel ------------------------------------------------------------------------------------------


@pytest.mark.kernel
def test_a_kernel_asks_hidden_and_run_all_is_told_that_it_cannot(
    kernel: Kernel, url: str, tmp_path: Path
) -> None:
    """The frontend is asked for a password; the key is in no message, no history and no file of a kernel."""
    kernel.run(f"import os\nos.environ['GROQ_BASE_URL'] = {url!r}\n%load_ext groq_magic")
    done, asked = kernel.run_typing("%groq key", SECRET)
    assert (done.status, asked["password"]) == ("ok", True)
    assert "Groq key (not shown" in asked["prompt"]
    assert "It may use the Batch API." in done.stdout
    sent = kernel.run("%%groq_batch answers --wait\n[[echo]]with this key")
    assert (sent.status, kernel.run("print(answers.texts)").stdout) == ("ok", "['with this key']\n")
    alone = kernel.run("%groq key")
    (error,) = alone.errors
    assert error["traceback"] == [error["traceback"][0]]
    assert (
        "Nobody can be asked here: this notebook runs by itself. Put GROQ_API_KEY=" in error["traceback"][0]
    )
    assert "%groq key (fingerprint" in str(kernel.run("%groq").outputs)
    history = "print(*get_ipython().history_manager.get_range(output=True), sep='\\n')"
    assert "%groq key" in kernel.run("%history").stdout + kernel.run(history).stdout
    assert "secretSECRET" not in str(kernel.published.messages) + kernel.run(history).stdout
    kernel.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite" for path in files)
    assert [path for path in files if b"secretSECRET" in path.read_bytes()] == []
