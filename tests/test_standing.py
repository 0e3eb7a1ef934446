"""Plain `%groq`: how things stand, as a value, as text, as HTML, and how it is gathered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groq_magic import client, keys, ledger, services, standing, vaults
from groq_magic.standing import Batch, Standing
from tests import offline
from tests.markup import HOSTILE, read

NEVER_S = 3600.0
KEY = "gsk_ofThisTest000000001"

GROQ = Standing("api.groq.com", key_from="GROQ_API_KEY", fingerprint="1a2b3c4d", home="/home/me/ledger")
KEYLESS = replace(GROQ, key_from="", fingerprint="")
SANDBOX = replace(KEYLESS, badge="SANDBOX: not a model", at="/home/me/sandbox", sandbox=True)
GOES = Batch("labels", "in progress", held=True, sandbox=False)
LOST, DONE = replace(GOES, held=False), replace(GOES, status="completed")
UNSENT, LOST_DONE = replace(GOES, status="not sent"), replace(GOES, status="completed", held=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with a home of its own; no key anywhere."""
    monkeypatch.chdir(tmp_path)
    with offline.home(tmp_path / "home"):
        yield tmp_path


def said(now: Standing) -> dict[str, str]:
    """What is said, by its subject."""
    return dict(now.rows)


# --- what is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "batches", "what"),
    [
        (KEYLESS, [], "%groq sandbox, to practise; %groq key, to use Groq"),
        (KEYLESS, [LOST, DONE], "%groq sandbox, to practise; %groq key, to use Groq"),
        (KEYLESS, [replace(LOST, sandbox=True)], "%groq attach"),
        (KEYLESS, [GOES], "%groq wait labels"),
        (GROQ, [], "%%groq_batch answers, and a prompt on each line below"),
        (SANDBOX, [], "%%groq_batch answers, and a prompt on each line below"),
        (GROQ, [GOES, replace(GOES, name="latest"), DONE, UNSENT], "%groq wait latest"),
        (GROQ, [LOST, DONE], "%groq attach"),
        (GROQ, [LOST_DONE, DONE], "%groq attach"),
        (GROQ, [LOST_DONE, UNSENT], "run the cell of labels again"),
        (GROQ, [DONE, replace(DONE, name="latest", status="expired")], "latest.to_pandas()"),
        (GROQ, [replace(GOES, status="a new word")], "%groq wait labels"),
    ],
)
def test_what_to_type_next_follows_from_how_things_stand(
    now: Standing, batches: list[Batch], what: str
) -> None:
    """The most pressing thing alone: wait, attach, a key, the cell once more, the answers, a first batch."""
    assert said(replace(now, batches=tuple(batches)))["next"] == what


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (GROQ, "from GROQ_API_KEY (fingerprint 1a2b3c4d)"),
        (KEYLESS, "none was found: %groq sandbox needs none, %groq key asks for one, a file .env keeps one"),
        (SANDBOX, "none needed here"),
        (
            replace(SANDBOX, key_from="/w/.env", fingerprint="1a2b3c4d"),
            "none needed here; for Groq there is one from /w/.env (fingerprint 1a2b3c4d)",
        ),
        (replace(GROQ, key_fault="/w/.env cannot be read"), "/w/.env cannot be read"),
    ],
)
def test_the_key_is_told_by_its_place_and_fingerprint(now: Standing, words: str) -> None:
    """Found and where, or the three ways to have one, or what is wrong."""
    assert said(now)["key"] == words


def test_batches_are_named_with_their_status_and_the_others_counted() -> None:
    """The last eight by name, older ones and those of other notebooks as numbers."""
    assert said(GROQ)["this notebook has"] == "no batches yet"
    two = replace(GROQ, batches=(DONE, replace(GOES, name="b")), others=1)
    assert said(two)["this notebook has"] == (
        "labels (completed), b (in progress); the ledger knows 1 batch besides: %groq batches"
    )
    many = replace(GROQ, batches=tuple(replace(DONE, name=f"b{n}") for n in range(10)), others=1_200)
    has = said(many)["this notebook has"]
    assert has.startswith("b2 (completed), ")
    assert has.endswith("b9 (completed) and 2 older; the ledger knows 1,200 batches besides: %groq batches")


@pytest.mark.parametrize(
    ("size", "human"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (53_248, "53 kB"),
        (3_440_000, "3.4 MB"),
        (1_234_000_000, "1.2 GB"),
        (2_345_000_000_000, "2,345 GB"),
    ],
)
def test_a_size_is_in_the_unit_that_people_use(size: int, human: str) -> None:
    """Two digits or more, in powers of a thousand."""
    assert standing.human(size) == human
    assert said(replace(GROQ, size=size))["ledger"] == f"{human}, in /home/me/ledger"


def test_text_and_html_say_the_same() -> None:
    """Every row stands in both; what is to be typed next is code, and colours have fallbacks."""
    now = replace(SANDBOX, batches=(GOES,), others=2, size=53_248)
    shown = now._repr_mimebundle_()
    page = read(shown["text/html"])
    for subject, words in now.rows:
        assert f"{subject:<17}  {words}" in shown["text/plain"].splitlines()
        assert subject in page.text
        assert words in page.text
    assert "<code>%groq wait labels</code>" in shown["text/html"]
    assert all("var(--jp-ui-font-color1,inherit)" in (cell["style"] or "") for cell in page.all("td"))
    assert page.open == []


def test_what_comes_from_outside_is_text() -> None:
    """A name, a status, a folder or an error can neither become markup nor move a terminal's cursor."""
    text = "\x1b[2J\n" + HOSTILE
    batch = Batch(text, text, held=True, sandbox=False)
    now = Standing(text, at=text, key_from=text, fingerprint="1", batches=(batch,), home=text)
    for each in (now, replace(now, key_fault=text), replace(now, ledger_fault=text)):
        shown = each._repr_mimebundle_()
        assert read(shown["text/html"]).tags == {"table", "tbody", "tr", "th", "td", "code"}
        assert "\x1b" not in shown["text/plain"]
        assert len(shown["text/plain"].splitlines()) == len(each.rows)


# --- how it is gathered -----------------------------------------------------------------------------------


def test_an_empty_machine_is_told_as_it_is(here: Path) -> None:
    """No key, no batch: where prompts would go, all that the ledger's folder holds, and how to begin."""
    stray = ledger.current().folder("0123456789ab") / "shard-0000.jsonl"
    stray.parent.mkdir()
    stray.write_bytes(b"x" * 100_000)
    now = standing.look({})
    assert (now.badge, now.sandbox, now.key_from, now.batches) == ("api.groq.com", False, "", ())
    assert now.home == str(here / "home")
    assert now.size == 100_000 + (here / "home" / "ledger.sqlite").stat().st_size


def test_the_key_in_use_is_told_and_never_shown(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place and fingerprint of the key that would be sent; the key is in no repr, text or page."""
    (here / ".env").write_text(f"GROQ_API_KEY={KEY}\n")
    now = standing.look({})
    assert (now.key_from, now.fingerprint) == (str(here / ".env"), keys.find().key_fingerprint)
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    assert standing.look({}).key_from == "GROQ_API_KEY"
    keys.use(keys.Key(KEY))
    assert standing.look({}).key_from == "%groq key"
    assert KEY not in f"{now!r} {now._repr_mimebundle_()}"


def test_in_the_sandbox_no_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox needs no key, so nobody is asked to unlock one; outside, the keyring counts."""
    monkeypatch.setattr(vaults, "kept", lambda: iter([("the keyring", KEY)]))
    assert standing.look({}).key_from == "the keyring"
    offline.sandbox(NEVER_S)
    now = standing.look({})
    assert (now.key_from, now.sandbox, now.at) == ("", True, services.current().folder)
    assert now.badge == "SANDBOX: not a model"


def test_what_this_notebook_has_is_told_from_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with their status, held or not; a nameless one by its variable; other notebooks' as a number."""
    done = offline.ended(offline.ask(["[[echo]]a"], pace_s=0, name="done"))
    offline.sandbox(NEVER_S)
    goes = client.submit(["b"], name="goes")
    nameless = client.submit(["c"])
    held = {"goes": goes.job_id, "labels": nameless.job_id, "gone": "0123456789ab"}
    now = standing.look(held)
    found = {batch.name: (batch.held, batch.going, batch.sandbox) for batch in now.batches}
    assert found == {"done": (False, False, True), "goes": (True, True, True), "labels": (True, True, True)}
    assert (now.next, now.others) == ("%groq wait labels", 0)
    assert standing.look({"done": done.job_id, "goes": done.job_id}).batches[0].held
    monkeypatch.setenv("JPY_SESSION_NAME", "another.ipynb")
    elsewhere = standing.look({})
    assert (elsewhere.batches, elsewhere.others) == ((), 3)


def test_after_a_restart_what_is_under_way_is_to_be_attached_to() -> None:
    """Nothing is held yet, no sandbox is chosen and no key is there: all the same the batch goes on."""
    offline.ask(["b"], pace_s=NEVER_S, name="goes")
    offline.restart()
    now = standing.look({})
    assert [(batch.name, batch.held, batch.going) for batch in now.batches] == [("goes", False, True)]
    assert now.next == "%groq attach"


@pytest.mark.parametrize(
    ("damage", "row", "words"),
    [
        (lambda here: (here / ".env").write_bytes(b"GROQ_API_KEY=\xff"), "key", ".env cannot be read"),
        (lambda here: (here / ".env").write_text("GROQ_API_KEY=gsk_a b\n"), "key", "holds a space or a sign"),
        (
            lambda here: (here / ".env").write_text("GROQ_API_KEY=gsk_abc\nGROQ_BASE_URL=nowhere\n"),
            "key",
            "'nowhere' is no base URL",
        ),
        (lambda here: (here / "home").write_text("no folder"), "this notebook has", "cannot be opened"),
        (
            lambda here: (
                (here / "home").mkdir(),
                (here / "home/ledger.sqlite").write_text("no ledger" * 500),
            ),
            "this notebook has",
            "could not be read; it lies in",
        ),
    ],
)
def test_what_is_broken_is_said_in_its_line(damage: object, row: str, words: str, here: Path) -> None:
    """A `.env` or a ledger that cannot be read takes no other line away."""
    damage(here)
    now = standing.look({})
    assert words in said(now)[row]
    assert "\n" not in said(now)[row]
    assert now.badge == "api.groq.com"
    assert str(here / "home") in said(now)["ledger"]
    assert "%groq" in now.next


def test_a_base_url_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts would go nowhere, and the line says why."""
    monkeypatch.setenv("GROQ_BASE_URL", "nowhere")
    now = standing.look({})
    assert (now.badge, said(now)["key"]) == (
        "nowhere yet",
        "'nowhere' is no base URL: it begins with https:// or http:// and a host.",
    )


def test_nobody_is_asked_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands where the service would not answer; the tests' own guard lets nobody ask there."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("GROQ_BASE_URL", "http://192.0.2.1")  # an address that answers nobody
    now = standing.look({})
    assert (now.badge, now.key_from) == ("192.0.2.1", "GROQ_API_KEY")
