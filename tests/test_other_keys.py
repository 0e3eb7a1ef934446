"""Another key: rotated, revoked in mid-batch, of a plan without batches, of another account, or none."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from groq_magic import api, client, keys, ledger, prompts
from groq_magic.answers import Answers
from groq_magic.card import words
from groq_magic.errors import KeyMissing, NotSent
from groq_magic.job import Snapshot
from groq_magic.settings import Settings
from tests import offline
from tests.desk import Desk

# Two keys of one account, and one of another; a sandbox tells accounts by the name in the key.
FIRST, SECOND, STRANGE = "gsk_of_anna_oldKey", "gsk_of_anna_newKey", "gsk_of_bert_hisKey"
FREE = "gsk_free_aKey"
PACE_S = 1_000.0  # a batch ends when the clock is turned, and not before

UPLOAD, CREATE = "POST /files", "POST /batches"
ASK, LIST, DOWNLOAD = r"GET /batches/batch_\w+", "GET /batches", r"GET /files/file_\w+/content"

BOTH_WAYS = pytest.mark.parametrize("restarted", [False, True], ids=["same kernel", "new kernel"])


class Groq:
    """Groq, as far as it can be had here: a sandbox of several accounts, whose keys can be revoked.

    A revoked key is handed on as one that was never given out, so that it is the sandbox that refuses it.
    """

    def __init__(self, home: Path) -> None:
        self.desk = Desk(home, PACE_S)
        self.desk.now = time.time()
        self.asked: list[tuple[str, str]] = []  # key, and method and path
        self.revoked: set[str] = set()
        self.last = ""  # the request after which the key that made it is revoked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = dict(scope["headers"])
        key = headers[b"authorization"].decode().removeprefix("Bearer ")
        what = f"{scope['method']} {scope['path'].removeprefix('/openai/v1')}"
        self.asked.append((key, what))
        if key in self.revoked:
            headers[b"authorization"] = b"Bearer revoked"
        await self.desk.app({**scope, "headers": list(headers.items())}, receive, send)
        if self.last and re.fullmatch(self.last, what):
            self.revoked.add(key)

    def count(self, what: str, key: str | None = None) -> int:
        """How often this was asked, with this key or with any."""
        return sum(bool(re.fullmatch(what, asked)) and key in (None, used) for used, asked in self.asked)

    def batches(self, key: str) -> int:
        """How many batches the key's account has."""
        return len(self.desk.ask("GET", "/batches", key=key).json()["data"])

    def files(self, key: str) -> list[str]:
        """The files that the key's account has uploaded."""
        found = self.desk.ask("GET", "/files", key=key).json()["data"]
        return [file["id"] for file in found if file["purpose"] == "batch"]

    def end(self) -> None:
        """Every batch has ended by now."""
        self.desk.now += 10 * PACE_S


@pytest.fixture
def groq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Groq]:
    """Where GROQ_BASE_URL points, for the key in GROQ_API_KEY; no key is in any file afterwards."""
    service = Groq(tmp_path / "groq")
    monkeypatch.setattr(api, "_in_process", lambda where: api._InProcess(app=service))
    monkeypatch.chdir(tmp_path)
    with offline.home(tmp_path / "home") as home:
        os.environ["GROQ_BASE_URL"] = "http://groq.test"
        use(FIRST)
        yield service
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert [key for key in (FIRST, SECOND, STRANGE, FREE) if key[4:].encode() in kept] == []


def use(key: str | None, *, restarted: bool = False) -> None:
    """The key that the next run of a cell finds, in this kernel or in a new one."""
    if restarted:
        offline.restart()
    if key is None:
        del os.environ["GROQ_API_KEY"]
    else:
        os.environ["GROQ_API_KEY"] = key


def fingerprint(key: str) -> str:
    """How a key is named that is not shown."""
    return keys.find({"GROQ_API_KEY": key}).key_fingerprint


def cell(count: int = 3, *, first: int = 0, mark: str = "", shard_rows: int = 50_000) -> Answers:
    """The cell that asks for the numbers from `first` on."""
    asked = [f"{mark}[[echo]]{n}" for n in range(first, first + count)]
    return client.send(prompts.from_source(asked), Settings(shard_rows=shard_rows), name="answers")


def numbers(count: int, first: int = 0) -> list[str]:
    """The answers to it."""
    return [str(n) for n in range(first, first + count)]


def sent(answers: Answers, files: int = 1) -> Answers:
    """The same answers once every batch is known to have been made."""
    offline.until(lambda: len(answers.batch_ids) == files)
    return answers


def collected(groq: Groq, answers: Answers) -> list[str | None]:
    """The texts, once the batches have been made, have ended and are here."""
    offline.until(lambda: answers.done or answers.status not in ("sending", "not sent"))
    groq.end()
    return offline.ended(answers).texts


def card(answers: Answers) -> str:
    """What stands under the cell, as text."""
    seen: list[Snapshot] = []
    client.watch(answers, seen.append)
    return words.text(seen[-1])


def why(answers: Answers) -> str:
    """The one reason that its missing answers have."""
    (said,) = {str(answer.error) for answer in answers if answer.status == "missing"}
    assert "\n" not in said
    return said


def whose(what: str, *, made_with: str, used: str) -> str:
    """What is said where the key in use is not of the account that made it."""
    return (
        f"The key with fingerprint {fingerprint(made_with)} made {what}; the key from GROQ_API_KEY "
        f"({fingerprint(used)}) is none of its account's. Set one that is and run the cell again. "
    )


# --- rotated -------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_rotated_key_pays_for_nothing_again(restarted: bool, groq: Groq) -> None:
    """What was answered with the old key is read from disk: with the new one nothing at all is asked."""
    assert collected(groq, cell()) == numbers(3)
    use(SECOND, restarted=restarted)
    again = cell()
    assert (again.wait(30).texts, groq.count(".*", SECOND)) == (numbers(3), 0)


@pytest.mark.parametrize("files", [1, 3])
def test_a_batch_under_way_is_collected_with_the_new_key(files: int, groq: Groq) -> None:
    """After a restart the new key watches and downloads what the old one made, and sends nothing."""
    sent(cell(shard_rows=3 // files), files)
    use(SECOND, restarted=True)
    assert collected(groq, cell(shard_rows=3 // files)) == numbers(3)
    assert (groq.count("POST .*", SECOND), groq.count(DOWNLOAD, SECOND)) == (0, files)
    assert (groq.batches(SECOND), groq.count(DOWNLOAD, FIRST)) == (files, 0)


def test_a_key_that_is_set_while_a_batch_is_watched_takes_over(groq: Groq) -> None:
    """The cell was run again with the new key: when the old one is revoked, it need not be run once more."""
    answers = sent(cell(2, shard_rows=1), 2)
    use(SECOND)
    again = cell(2, shard_rows=1)
    groq.revoked.add(FIRST)
    assert collected(groq, again) == numbers(2)
    assert (answers.texts, groq.batches(SECOND), groq.count(DOWNLOAD, SECOND)) == (numbers(2), 2, 2)


# --- revoked -------------------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize("files", [1, 3])
def test_a_key_revoked_in_mid_batch_loses_nothing(files: int, restarted: bool, groq: Groq) -> None:
    """The wait ends, one line says what runs on and what to type, and the cell collects it with a new key."""
    answers = sent(cell(shard_rows=3 // files), files)
    groq.revoked.add(FIRST)
    offline.ended(answers)
    for number, batch_id in enumerate(answers.batch_ids):
        said = why(answers[number::files])
        assert said.startswith(
            f"invalid_api_key: groq.test does not accept the key from GROQ_API_KEY. {batch_id} runs on, and "
            "nothing is lost. Set another key of its account and run the cell again. "
        )
    assert (answers.status, answers.counts) == ("not collected", {"missing": 3})
    assert any(f"3 × {answer.error}" in card(answers) for answer in answers)  # one example, in full
    use(SECOND, restarted=restarted)
    again = cell(shard_rows=3 // files)
    assert collected(groq, again) == numbers(3)
    assert (groq.batches(SECOND), groq.count(CREATE), groq.count(UPLOAD)) == (files, files, files)


@BOTH_WAYS
def test_a_key_revoked_before_the_create_sends_nothing_twice(restarted: bool, groq: Groq) -> None:
    """What was uploaded with the old key becomes one batch with the new one, over the same file."""
    groq.last = UPLOAD
    answers = cell()
    with pytest.raises(NotSent, match=r"not accept the key from GROQ_API_KEY\. Set another key and run the"):
        answers.wait(30)
    assert (groq.batches(SECOND), len(groq.files(SECOND))) == (0, 1)
    use(SECOND, restarted=restarted)
    groq.last = ""
    assert collected(groq, cell()) == numbers(3)
    assert (groq.batches(SECOND), len(groq.files(SECOND))) == (1, 1)


@BOTH_WAYS
def test_a_key_revoked_before_the_download_loses_no_answer(restarted: bool, groq: Groq) -> None:
    """The batch has ended, and its answers are said to be kept; the new key downloads them."""
    answers = sent(cell())
    groq.last = ASK
    groq.end()
    said = why(offline.ended(answers))
    assert f"{answers.batch_ids[0]} has ended, and its answers are kept there. Set another key of its" in said
    assert groq.count(DOWNLOAD) == 1
    use(SECOND, restarted=restarted)
    groq.last = ""
    assert collected(groq, cell()) == numbers(3)
    assert (groq.batches(SECOND), groq.count(CREATE)) == (1, 1)


def test_a_revoked_key_proves_nothing_about_a_lost_create(groq: Groq) -> None:
    """A create was not answered and its batch not searched for: the new key finds it, and makes no other."""
    groq.last = CREATE
    said = why(offline.ended(cell(mark="[[create-500]]")))
    assert "Whether there is a batch is not known yet, and none is made twice. Set another key" in said
    use(SECOND)
    groq.last = ""
    assert collected(groq, cell(mark="[[create-500]]")) == numbers(3)
    assert (groq.batches(SECOND), groq.count(CREATE)) == (1, 1)


def test_one_file_that_is_here_needs_no_key(groq: Groq) -> None:
    """Of two files one is on disk: without a key its rows are read, and the other's say what to do."""
    asked = prompts.from_source({"a": "[[echo]]a", "b": "[[slow]][[echo]]b"})
    two = sent(client.send(asked, Settings(shard_rows=1), name="two"), 2)
    groq.desk.now += 2 * PACE_S
    offline.until(lambda: client.check_now(two) and two.counts.get("ok"))
    use(None, restarted=True)
    two = offline.ended(client.attach("two"))
    assert (two["a"].text, two.counts) == ("a", {"ok": 1, "missing": 1})
    said = why(two)
    assert "No Groq key was found." in said
    assert f"{two.batch_ids[1]} runs on, and nothing is lost." in said
    assert said in card(two)
    use(SECOND)
    assert collected(groq, client.attach("two")) == ["a", "b"]


# --- without batch access ------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_plan_without_batches_is_said_before_anything_is_paid(restarted: bool, groq: Groq) -> None:
    """It says what the key can do and what is needed, nothing is left there, and another key uploads once."""
    use(FREE)
    answers = cell()
    with pytest.raises(NotSent) as caught:
        answers.wait(30)
    assert str(caught.value).startswith(
        "The key from GROQ_API_KEY works for chat, but its plan has no Batch API (Groq's Developer plan has: "
        "https://console.groq.com/settings/billing). With --now each prompt is asked by itself, at on-demand "
        "price. With that plan, or another key, run the cell again; %groq sandbox tries it out without Groq. "
    )
    assert f"Not sent. {caught.value} Nothing was paid." in card(answers)
    assert (groq.files(FREE), groq.count(CREATE)) == ([], 0)
    use(FIRST, restarted=restarted)
    assert collected(groq, cell()) == numbers(3)
    assert (groq.count(UPLOAD, FIRST), groq.batches(FIRST)) == (1, 1)


def test_batches_are_collected_after_the_plan_has_ended(groq: Groq) -> None:
    """A plan that lists no batches any more: each is asked about by itself, and its answers come."""
    use("gsk_paid_aKey")
    sent(cell(2, shard_rows=1), 2)
    use(FREE, restarted=True)
    assert collected(groq, cell(2, shard_rows=1)) == numbers(2)
    assert groq.count(LIST, FREE) == 1


# --- of another account --------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize("stage", ["at Groq", "ended"])
def test_a_batch_of_another_account_is_refused_by_the_card(stage: str, restarted: bool, groq: Groq) -> None:
    """The cell returns; the card names the fingerprint of the key that made it, and that goes on."""
    first = sent(cell())
    if stage == "ended":
        groq.last = ASK
        groq.end()
        offline.ended(first)
        groq.last = ""
    use(STRANGE, restarted=True)
    answers = offline.ended(cell())
    assert whose(answers.batch_ids[0], made_with=FIRST, used=STRANGE) in why(answers)
    assert why(answers) in card(answers)
    assert (answers.status, groq.count("POST .*", STRANGE), groq.count("GET .*", STRANGE)) == (
        "not collected",
        0,
        1,
    )
    use(SECOND, restarted=restarted)
    assert collected(groq, cell()) == numbers(3)
    assert (groq.batches(FIRST), groq.batches(STRANGE)) == (1, 0)


@pytest.mark.parametrize("key", [STRANGE, FREE, None], ids=["another account's", "a free plan's", "none"])
def test_what_is_on_disk_is_read_with_any_key_and_with_none(key: str | None, groq: Groq) -> None:
    """The cell, a part of it, and `attach` give finished answers, and nothing is asked."""
    assert collected(groq, cell()) == numbers(3)
    asked = len(groq.asked)
    use(key, restarted=True)
    for answers, expected in (
        (cell(), numbers(3)),
        (cell(2, first=1), numbers(2, 1)),
        (client.attach("answers"), numbers(2, 1)),
    ):
        assert answers.wait(30).texts == expected
    assert len(groq.asked) == asked


@pytest.mark.parametrize("what", ["under way", "one more"])
def test_without_a_key_nothing_that_would_need_one_is_begun(what: str, groq: Groq) -> None:
    """Where rows are under way or new, the cell's error names the ways to a key, and nothing is put down."""
    if what == "under way":
        sent(cell())
    else:
        collected(groq, cell())
    before = ledger.current().jobs()
    use(None, restarted=True)
    with pytest.raises(KeyMissing, match="No Groq key was found"):
        cell(4 if what == "one more" else 3)
    assert ledger.current().jobs() == before


@BOTH_WAYS
def test_rows_of_another_accounts_batch_are_not_lost_among_new_ones(restarted: bool, groq: Groq) -> None:
    """Three of five rows run for another account: the new ones are answered, those say why, then all come."""
    theirs = sent(cell(3))
    use(STRANGE, restarted=True)
    answers = cell(5)
    offline.until(lambda: groq.batches(STRANGE))
    groq.end()
    offline.ended(answers)
    assert (answers.status, answers.counts) == ("not collected", {"ok": 2, "missing": 3})
    assert [answer.text for answer in answers[3:]] == numbers(2, 3)
    assert whose(theirs.batch_ids[0], made_with=FIRST, used=STRANGE) in why(answers[:3])
    use(SECOND, restarted=restarted)
    assert collected(groq, cell(5)) == numbers(5)
    assert (groq.batches(FIRST), groq.batches(STRANGE), groq.count(CREATE)) == (1, 1, 2)
    if not restarted:
        assert answers.texts == numbers(5)


@BOTH_WAYS
def test_what_was_only_uploaded_is_sent_anew_by_another_account(restarted: bool, groq: Groq) -> None:
    """Another account's file is not there: it is uploaded once more, and there is one batch, over that."""
    groq.last = UPLOAD
    with pytest.raises(NotSent):
        cell().wait(30)
    groq.last = ""
    use(STRANGE, restarted=restarted)
    answers = cell()
    assert collected(groq, answers) == numbers(3)
    assert (groq.batches(FIRST), groq.batches(STRANGE), groq.count(UPLOAD, STRANGE)) == (0, 1, 1)


def test_a_job_whose_files_went_to_two_accounts_comes_from_both(groq: Groq) -> None:
    """One of two files was refused and sent later with another account's key: each brings its own half."""
    refusal = {"fault": "refuse", "status": 400, "on": CREATE}
    groq.desk.ask("POST", "/sandbox/faults", key=FIRST, json=refusal)
    answers = cell(2, shard_rows=1)
    offline.until(lambda: answers.batch_ids and answers.counts.get("missing"))
    (hers,) = answers.batch_ids
    use(STRANGE, restarted=True)
    answers = sent(cell(2, shard_rows=1), 2)
    (his,) = set(answers.batch_ids) - {hers}
    offline.until(lambda: answers.counts.get("missing"))
    assert whose(hers, made_with=FIRST, used=STRANGE) in why(answers)
    use(SECOND, restarted=True)
    groq.end()
    answers = offline.ended(cell(2, shard_rows=1))
    assert (answers.counts, groq.count(CREATE)) == ({"ok": 1, "missing": 1}, 4)
    assert whose(his, made_with=STRANGE, used=SECOND) in why(answers)
    use(STRANGE, restarted=True)
    assert collected(groq, cell(2, shard_rows=1)) == numbers(2)
    assert (groq.batches(FIRST), groq.batches(STRANGE)) == (1, 1)


def test_another_accounts_list_proves_nothing_about_a_lost_create(groq: Groq) -> None:
    """A create was not answered: with a key that cannot see its file no second batch is made."""
    groq.last = CREATE
    offline.ended(cell(mark="[[create-500]]"))
    groq.last = ""
    use(STRANGE, restarted=True)
    said = why(offline.ended(cell(mark="[[create-500]]")))
    assert whose("the file of these prompts", made_with=FIRST, used=STRANGE) in said
    assert groq.batches(STRANGE) == 0
    use(SECOND)
    assert collected(groq, cell(mark="[[create-500]]")) == numbers(3)
    assert (groq.batches(FIRST), groq.batches(STRANGE)) == (1, 0)


def test_a_base_url_for_another_service_is_said_so(groq: Groq) -> None:
    """What went to one host is not asked for at another, whatever the key: the row says which URL to set."""
    sent(cell())
    offline.restart()
    os.environ["GROQ_BASE_URL"] = "http://other.test"
    answers = offline.ended(client.attach("answers"))
    assert "These prompts went to http://groq.test; set GROQ_BASE_URL to it to go on." in why(answers)
