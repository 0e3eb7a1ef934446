import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import api, client, keys, ledger, pipeline, prompts, runs, services, wire
from groq_magic import job as jobs
from groq_magic.answers import Answers
from groq_magic.errors import NotSent, StillRunning
from groq_magic.job import Snapshot
from groq_magic.settings import Settings
from groq_magic.view import View
from tests.line import (
    CANCEL,
    CREATE,
    DOWNLOAD,
    EARLIER,
    FILE,
    FILES,
    GARBAGE,
    LIST,
    MODELS,
    PASSING,
    PLAN,
    POLL,
    REAL_PAUSE,
    UPLOAD,
    WAIT_S,
    Act,
    Gate,
    Line,
    Seen,
    Send,
    echoes,
    ends,
    forget,
    line,
    lost,
    numbers,
    pauses,
    refuses,
    replaced,
    rewritten,
    says,
    shards,
    submit,
    tears,
    unanswered,
)

__all__ = ["line", "pauses"]  # fixtures

# --- what comes back ----------------------------------------------------------------------------------


def test_several_shards_are_one_sequence_of_answers(line: Line) -> None:
    """Seven prompts in three files are seven answers in the prompts' order."""
    answers = submit(*echoes(7), shard_rows=3).wait(WAIT_S)
    assert answers.texts == numbers(7)
    assert (line.count(UPLOAD), line.count(CREATE), len(answers.batch_ids)) == (3, 3, 3)
    assert (answers.status, answers.counts) == ("completed", {"ok": 7})


def test_each_row_ends_with_a_reason(line: Line) -> None:
    """A failed, a lost and a cut row among good ones each end as what they are, and none goes missing."""
    answers = submit("[[echo]]0", "[[fail]] x", "[[lose]] x", "[[cut]][[echo]]abcd", "[[echo]]4").wait(WAIT_S)
    assert ends(answers) == [
        ("ok", None),
        ("failed", "json_validate_failed"),
        ("missing", "no_reply"),
        ("cut", None),
        ("ok", None),
    ]
    assert answers.texts == ["0", None, None, "ab", "4"]
    assert str(answers[2].error) == "no_reply: The batch completed without a reply to this prompt."


# --- the order of writing -----------------------------------------------------------------------------


def test_every_step_is_on_the_ledger_before_it_is_taken(line: Line, tmp_path: Path) -> None:
    """When an upload or a create arrives, its intent is on disk, and its outcome by the next request."""
    seen: list[str] = []

    def look(request: httpx.Request) -> None:
        with closing(sqlite3.connect(tmp_path / "home" / "ledger.sqlite")) as db:
            found = db.execute("SELECT number, state, file_id, batch_id, content FROM shards").fetchall()
        contents = [row[4][:16] for row in found]
        what = f"{request.method} {request.url.path.removeprefix('/openai/v1').rstrip('/')}"
        if what == "POST /files":
            content = re.findall(rb'filename="groq_magic-([0-9a-f]{16})-1-1\.jsonl"', request.content)[0]
            (number,) = [n for n, known in enumerate(contents) if known == content.decode()]
            assert found[number][:4] == (number, "uploading", None, None)
        elif what == "POST /batches":
            file_id = json.loads(request.content)["input_file_id"]
            assert [row[1] for row in found if row[2] == file_id] == ["creating"]
        elif what.startswith("GET /batches"):
            asked = request.url.params.get_list("id") or [what.removeprefix("GET /batches/")]
            assert set(asked) <= {row[3] for row in found if row[1] == "created"}
        seen.append(what.split("/")[1])

    line.seen = look
    assert submit(*echoes(6), shard_rows=2).wait(WAIT_S).texts == numbers(6)
    # three up, three down with a look at their size, and one look at what is there already
    assert [seen.count(what) for what in ("models", "files")] == [1, 10]
    assert seen.count("batches") > 3


def test_files_and_batches_carry_what_finds_them_again(line: Line) -> None:
    """The upload's name and the batch's metadata both hold the hash of what is in the file."""
    sent: list[bytes] = []
    line.seen = lambda request: sent.append(request.content) if request.method == "POST" else None
    answers = submit("hello").wait(WAIT_S)
    tag = f"{shards(answers)[0].content[:16]}-1-1"
    assert f'filename="groq_magic-{tag}.jsonl"'.encode() in sent[0]
    assert json.loads(sent[1])["metadata"] == {"groq_magic": tag}


# --- a create that may have been carried out ----------------------------------------------------------


async def carried_out_and_500(request: httpx.Request, send: Send) -> httpx.Response:
    """The request is carried out, and answered 500."""
    await send(request)
    return httpx.Response(500, json={"error": {"message": "Internal Server Error", "type": "t"}})


async def carried_out_and_garbled(request: httpx.Request, send: Send) -> httpx.Response:
    """The request is carried out, and answered by something else."""
    await send(request)
    return httpx.Response(200, text="<html>gateway</html>")


CARRIED_OUT = {
    "no reply in time": unanswered(httpx.ReadTimeout),
    "reset after it was sent": unanswered(httpx.ReadError),
    "closed without a reply": unanswered(httpx.RemoteProtocolError),
    "500 after accepting": carried_out_and_500,
    "200 that does not parse": carried_out_and_garbled,
}
NOT_SURE = {
    "reset while it was sent": lost(httpx.WriteError),
    "500": refuses(500, "Internal Server Error", "internal_server_error"),
    "502 from a gateway": says(502, "<html>Bad Gateway</html>"),
    "200 that does not parse": GARBAGE,
    "200 without an id": says(200, {"object": "batch"}),
}


@pytest.mark.parametrize("what", CARRIED_OUT)
def test_a_create_that_was_carried_out_unheard_is_found(what: str, line: Line) -> None:
    """Its batch is found by its file in the list, and the answers come from it: one create."""
    line.on(CREATE, CARRIED_OUT[what])
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert (answers.status, answers.texts) == ("completed", numbers(2))
    assert (line.count(UPLOAD), line.count(CREATE), len(answers.batch_ids)) == (1, 1, 1)


@pytest.mark.parametrize("what", NOT_SURE)
def test_a_create_is_repeated_only_when_two_lists_lack_its_batch(what: str, line: Line) -> None:
    """Two complete lists are read, the second after half a minute, before it is asked for again."""
    line.on(CREATE, NOT_SURE[what])
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert (answers.status, answers.texts) == ("completed", numbers(2))
    asked = line.asked[line.asked.index(CREATE) :]
    between = asked[1 : asked.index(CREATE, 1)]
    assert between == [("GET", "/batches")] * 2
    assert (line.count(UPLOAD), line.count(CREATE)) == (1, 2)


def test_the_second_list_comes_half_a_minute_after_the_first(
    line: Line, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that the service shows only later is waited for, whoever presses Check now meanwhile."""
    monkeypatch.setattr(pipeline, "SURE_AFTER_S", 0.3)
    line.on(CREATE, unanswered(httpx.ReadTimeout))
    line.on(LIST, *[says(200, {"object": "list", "data": []})] * 3)
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert (answers.texts, line.count(CREATE)) == (numbers(2), 1)
    assert max(pauses) > 0.2


def test_the_list_is_read_to_its_end(line: Line) -> None:
    """A batch of ours is found behind sixty of others."""
    service = services.current()

    async def fill() -> None:
        other = api.Groq(service)
        path = ledger.current().home / "other.jsonl"
        path.write_text("{}\n", encoding="utf-8")
        file_id = await other.upload(path, "other.jsonl")
        for _ in range(60):
            await other.create_batch(file_id, wire.CHAT, "24h", {"whose": "somebody's"})
        await other.close()

    async def crowded(request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        await fill()
        raise httpx.ReadTimeout("no reply", request=request)

    line.on(CREATE, crowded)
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert len([asked for asked in line.asked if asked == ("GET", "/batches")]) >= 3


NO_LIST = {
    "it is not allowed": refuses(403, "not for you", "permissions"),
    "there is none": says(404, "not found"),
    "it does not come": says(503, "<html>"),
    "it has no end": says(200, {"object": "list", "data": [], "paging": {"next_cursor": "cursor_1"}}),
    "it is none": GARBAGE,
}


@pytest.mark.parametrize("what", NO_LIST)
def test_without_a_list_a_shard_stays_unsure(what: str, line: Line) -> None:
    """It is not created again; a later run, which gets the list, finds its batch."""
    line.on(CREATE, unanswered(httpx.ReadTimeout))
    line.on(LIST, *[NO_LIST[what]] * 50)
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert (answers.status, ends(answers)) == ("unsure", [("missing", "unsure")] * 2)
    assert "it may be running all the same" in " ".join(str(answers[0].error).split())
    assert answers.texts == [None, None]
    line._acts.clear()
    forget()
    again = submit(*echoes(2)).wait(WAIT_S)
    assert (again.job_id, again.texts) == (answers.job_id, numbers(2))
    assert (line.count(UPLOAD), line.count(CREATE)) == (1, 1)


def test_two_batches_over_one_file_become_one(line: Line) -> None:
    """The older one is kept, the other cancelled, and every row is answered once."""
    services.use_sandbox(pace_s=2)

    async def twice(request: httpx.Request, send: Send) -> httpx.Response:
        for _ in range(2):
            await send(httpx.Request("POST", request.url, headers=request.headers, content=request.content))
        raise httpx.ReadTimeout("no reply", request=request)

    line.on(CREATE, twice)
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert (answers.texts, len(answers.batch_ids)) == (numbers(2), 1)
    assert line.count(CANCEL) == 1
    (cancelled,) = [path for method, path in line.asked if path.endswith("/cancel")]
    assert answers.batch_ids[0] < cancelled.split("/")[2]  # ids grow with time


@pytest.mark.parametrize("made", [True, False])
def test_a_create_that_the_process_did_not_survive_is_searched_for(made: bool, line: Line) -> None:
    """What the ledger shows as begun and not answered is found, or created once where it is not there."""
    line.on(CREATE, (unanswered if made else lost)(httpx.ReadError))
    line.on(LIST, *[lost(httpx.ConnectError)] * 1_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.trouble is not None)
    assert [shard.state for shard in shards(answers)] == ["creating"]
    forget()
    line._acts.clear()
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert (line.count(UPLOAD), line.count(CREATE)) == (1, 1 if made else 2)


@pytest.mark.parametrize("made", [True, False])
def test_a_cancel_during_the_search_leaves_nothing_running(made: bool, line: Line) -> None:
    """A batch that is found is cancelled; one that is not there is not created any more."""
    services.use_sandbox(pace_s=5)
    gate = Gate()
    line.on(CREATE, (unanswered if made else lost)(httpx.ReadError))
    line.on(LIST, gate)
    answers = submit(*echoes(2))
    assert gate.arrived.wait(WAIT_S)
    client.cancel(answers).result(WAIT_S)
    gate.opened.set()
    answers.wait(WAIT_S)
    assert ({status for status, _ in ends(answers)}, line.count(CREATE)) == ({"cancelled"}, 1)
    assert line.count(CANCEL) == (1 if made else 0)


def test_an_unsure_shard_does_not_cost_the_others(line: Line) -> None:
    """The other shards' answers come as if nothing had happened."""
    line.on(CREATE, None, unanswered(httpx.ReadTimeout))
    line.on(LIST, *[NO_LIST["there is none"]] * 50)
    answers = submit(*echoes(6), shard_rows=2).wait(WAIT_S)
    assert answers.counts == {"ok": 4, "missing": 2}
    assert line.count(CREATE) == 3


# --- a ledger that was lost -----------------------------------------------------------------------------


def new_machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The same account, and nothing on disk."""
    service = services.current()
    runs.leave().result(WAIT_S)
    ledger.let_go()
    monkeypatch.setenv("GROQ_MAGIC_HOME", str(home))
    services._chosen = service


@pytest.mark.parametrize("given", [True, False])
def test_a_lost_ledger_finds_its_batches(
    given: bool, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a new machine the same prompts are not paid again: files are found by name, batches by file."""
    asked: Any = {f"id {n}": prompt for n, prompt in enumerate(echoes(5))} if given else echoes(5)

    def send() -> Answers:
        return client.send(prompts.from_source(asked), Settings(shard_rows=2), name="answers")

    first, batches = send().wait(WAIT_S), shards(send())
    new_machine(monkeypatch, tmp_path / "other")
    again = send().wait(WAIT_S)
    assert again.job_id != first.job_id
    assert (again.texts, again.batch_ids) == (numbers(5), [shard.batch_id for shard in batches])
    assert (line.count(UPLOAD), line.count(CREATE)) == (3, 3)


def test_another_take_is_not_taken_for_what_was_lost(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other prompts, ids or options are sent."""
    submit(*echoes(2)).wait(WAIT_S)
    new_machine(monkeypatch, tmp_path / "other")
    submit(*echoes(2), options={"seed": 1}).wait(WAIT_S)
    submit(*echoes(3)).wait(WAIT_S)
    assert (line.count(UPLOAD), line.count(CREATE)) == (3, 3)


def test_a_file_without_a_batch_is_not_uploaded_again(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that died between upload and create leaves a file that the next one uses."""
    line.on(CREATE, *[lost(httpx.ConnectError)] * 10_000)
    Seen(submit(*echoes(2))).until(lambda now: now.trouble is not None)
    new_machine(monkeypatch, tmp_path / "other")
    line._acts.clear()
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert line.count(UPLOAD) == 1


@pytest.mark.parametrize("what", sorted(NO_LIST.keys() - {"it has no end"}))
def test_a_service_without_a_list_of_files_is_used_all_the_same(what: str, line: Line) -> None:
    """Where files cannot be listed, they are uploaded."""
    line.on(FILES, *[NO_LIST[what]] * 50)
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)


# --- a create that surely was not carried out ---------------------------------------------------------

NOT_CARRIED_OUT = {
    "no connection": [lost(httpx.ConnectError)],
    "no connection in time": [lost(httpx.ConnectTimeout), lost(httpx.ConnectTimeout)],
    "too many requests": [refuses(429, "Rate limit reached.", "rate_limit_exceeded")],
}


@pytest.mark.parametrize("what", NOT_CARRIED_OUT)
def test_a_create_that_surely_was_not_carried_out_is_tried_again(what: str, line: Line) -> None:
    """It ends well, with one batch, and the trouble was shown meanwhile."""
    line.on(MODELS, gate := Gate())
    line.on(CREATE, *NOT_CARRIED_OUT[what])
    answers = submit(*echoes(2))
    seen = Seen(answers)
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(2)
    assert line.count(CREATE) == len(NOT_CARRIED_OUT[what]) + 1
    assert len(answers.batch_ids) == 1
    assert line.count(UPLOAD) == 1
    assert "Nothing is lost." in (seen.until(lambda now: now.trouble is not None).trouble or "")
    assert seen.snapshots[-1].trouble is None


@pytest.mark.parametrize("what", [CREATE, POLL, UPLOAD, DOWNLOAD, MODELS], ids=lambda what: " ".join(what))
def test_retry_after_is_obeyed(what: tuple[str, str], line: Line, pauses: list[float]) -> None:
    """When the service says how long to wait, that is how long is waited."""
    line.on(what, refuses(429, "Slow down.", "rate_limit_exceeded", retry_after="7.25"))
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert pauses.count(7.25) == 1


# --- uploads, polls, downloads ------------------------------------------------------------------------


@pytest.mark.parametrize("step", [MODELS, UPLOAD], ids=lambda what: " ".join(what))
@pytest.mark.parametrize("what", PASSING)
def test_what_may_be_repeated_is_repeated(what: str, step: tuple[str, str], line: Line) -> None:
    """Two failures of a look or an upload are notes on the way, and the answers come."""
    fault = PASSING[what]
    line.on(MODELS, gate := Gate(fault if step is MODELS else None))
    line.on(step, fault, fault)
    answers = submit(*echoes(2))
    seen = Seen(answers)
    gate.opened.set()
    answers.wait(WAIT_S)
    assert answers.texts == numbers(2)
    assert line.count(CREATE) == 1
    assert seen.until(lambda now: now.trouble is not None).phase == "sending"
    assert seen.snapshots[-1].trouble is None


@pytest.mark.parametrize(
    "fault", [tears, lost(httpx.ReadError), says(503, "busy")], ids=["torn", "reset", "503"]
)
def test_a_download_that_breaks_off_is_fetched_again(fault: Act, line: Line) -> None:
    """A result file that came in part is never taken for the whole."""
    line.on(DOWNLOAD, fault, fault)
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert answers.texts == numbers(2)
    assert line.count(DOWNLOAD) == 3
    folder = ledger.current().folder(answers.job_id)
    assert not list(folder.glob("*.new"))


@pytest.mark.parametrize("how", ["expired", "cancelled"])
def test_a_batch_that_ended_early_may_name_its_files_later_too(how: str, line: Line) -> None:
    """Counted answers are waited for, also where the batch expired or was cancelled."""
    services.use_sandbox(pace_s=2 if how == "cancelled" else 0)
    answers = submit("[[late]][[echo]]0", "[[expire]]" if how == "expired" else "x", *echoes(10))
    if how == "cancelled":
        Seen(answers).until(lambda now: now.served > 3)
        answers.cancel()
    counts = answers.wait(WAIT_S).counts
    assert counts["ok"] >= 4
    assert counts["ok"] + counts[how] == 12


@pytest.mark.parametrize("status", [401, 403])
def test_a_poll_that_is_not_allowed_ends_with_what_to_do(status: int, line: Line) -> None:
    """A key that may not ask any more leaves the batch as it is; its rows say why, a later run goes on."""
    line.on(POLL, refuses(status, "Not with this key.", "invalid_api_key"))
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert ends(answers) == [("missing", "invalid_api_key")] * 2
    assert f"{answers.batch_ids[0]} runs on, and nothing is lost." in str(answers[0].error)
    assert answers.status == "not collected"
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert line.count(CREATE) == 1


# --- nothing could be sent ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "act", "reason", "uploads"),
    [
        (MODELS, refuses(401, "Invalid API Key", "invalid_api_key"), "does not accept the key from", 0),
        (MODELS, says(200, {"data": [{"id": "other"}]}), r"has no model .* It has: other\.", 0),
        (UPLOAD, refuses(413, "Too large."), "413 .*Too large", 1),
        (CREATE, refuses(400, "Bad window."), "400 .*Bad window", 1),
    ],
)
def test_what_cannot_be_sent_says_why(
    step: tuple[str, str], act: Act, reason: str, uploads: int, line: Line
) -> None:
    """A lasting refusal is a NotSent with the reason, at waiting and at reading, and no batch is made."""
    line.on(step, act)
    answers = submit(*echoes(2))
    with pytest.raises(NotSent, match=reason):
        answers.wait(WAIT_S)
    with pytest.raises(NotSent, match=reason):
        _ = answers.texts
    assert (answers.done, answers.status, answers.batch_ids) == (True, "not sent", [])
    assert line.count(UPLOAD) == uploads
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)


def test_a_service_that_lists_no_models_is_asked_all_the_same(line: Line) -> None:
    """Where there is no `/models`, the prompts are sent."""
    line.on(MODELS, refuses(404, "no such page"))
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)


def test_a_model_that_nobody_has_is_refused_before_anything_is_uploaded(line: Line) -> None:
    """The error names the models that the key may use."""
    with pytest.raises(NotSent, match=r"has no model 'nobody/none' for this key\. It has: .*gpt-oss-20b"):
        submit("hello", model="nobody/none").wait(WAIT_S)
    assert (line.count(UPLOAD), line.count(CREATE)) == (0, 0)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("gpt-oss-20", "gpt-oss-20b"), ("openai/gpt-os-20b", "gpt-oss-20b"), ("GPT-OSS-120B", "gpt-oss-120b")],
)
def test_a_near_miss_of_a_model_is_answered_with_the_one_meant(line: Line, typed: str, meant: str) -> None:
    """Of the models that the key may use, the nearest is named; nothing is sent."""
    said = rf"has no model '{typed}' for this key\. Did you mean openai/{meant}\? It has: "
    with pytest.raises(NotSent, match=said):
        submit("hello", model=typed).wait(WAIT_S)
    assert line.count(UPLOAD) == 0


@pytest.mark.parametrize("first", [0, 1, 2])
def test_one_refused_shard_does_not_cost_the_others(first: int, line: Line) -> None:
    """Where a part was sent its answers are there, and the refused part says why it was not."""
    line.on(CREATE, *[None] * first, refuses(400, "Bad part."))
    answers = submit(*echoes(6), shard_rows=2).wait(WAIT_S)
    assert answers.counts == {"ok": 4, "missing": 2}
    assert [answer.text for answer in answers if answer.status == "ok"] == [
        text for answer, text in zip(answers, numbers(6), strict=True) if answer.status == "ok"
    ]
    assert "Bad part." in str(answers.failed[0].error)
    assert len(answers.texts) == 6


# --- cancelling ---------------------------------------------------------------------------------------


def test_a_cancel_while_sending_sends_nothing_more(line: Line) -> None:
    """Uploads under way are finished, no batch is made of them, and every row is cancelled."""
    gates = [Gate(), Gate(), Gate()]
    line.on(UPLOAD, *gates)
    answers = submit(*echoes(6), shard_rows=2)
    assert all(gate.arrived.wait(WAIT_S) for gate in gates)
    answers.cancel()
    for gate in gates:
        gate.opened.set()
    answers.wait(WAIT_S)
    assert (answers.status, ends(answers)) == ("cancelled", [("cancelled", "not_sent")] * 6)
    assert (line.count(CREATE), line.count(CANCEL)) == (0, 0)


def test_a_cancel_reaches_the_batches_that_are_just_being_made(line: Line) -> None:
    """A create under way is finished and its batch cancelled; what has not begun never begins."""
    services.use_sandbox(pace_s=3.0)
    upload, creates = Gate(), [Gate(), Gate()]
    line.on(UPLOAD, None, None, upload)
    line.on(CREATE, *creates)
    answers = submit(*echoes(6), shard_rows=2)
    assert all(gate.arrived.wait(WAIT_S) for gate in (upload, *creates))
    answers.cancel()
    for gate in (upload, *creates):
        gate.opened.set()
    answers.wait(WAIT_S)
    assert (answers.status, line.count(CREATE), line.count(CANCEL)) == ("cancelled", 2, 2)
    assert set(answers.counts) <= {"ok", "cancelled"}
    assert [code for _, code in ends(answers)].count("not_sent") == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_cancel_that_is_refused_gives_nothing_up(status: int, line: Line) -> None:
    """Whatever the refusal, a batch that ended meanwhile is collected: its answers are paid."""
    line.on(CANCEL, *[refuses(status, "It has ended.")] * 10_000)
    stale = replaced(status="in_progress", output_file_id=None, completed_at=None)
    line.on(POLL, held := Gate(stale))
    answers = submit(*echoes(3))
    assert held.arrived.wait(WAIT_S)
    answers.cancel()
    held.opened.set()
    answers.wait(WAIT_S)
    assert answers.texts == numbers(3)
    assert (line.count(CREATE), line.count(CANCEL), answers.status) == (1, 1, "completed")


def test_a_cancel_that_is_refused_is_asked_for_again(line: Line) -> None:
    """While the batch runs on, the card says why it is not cancelled; each turn tries again."""
    services.use_sandbox(pace_s=3)
    line.on(CANCEL, refuses(403, "Not by you."), refuses(409, "Not now."))
    answers = submit(*echoes(3))
    seen = Seen(answers)
    seen.until(lambda now: bool(now.batch_ids))
    answers.cancel()
    seen.until(lambda now: "Not by you." in (now.trouble or ""))
    answers.wait(WAIT_S)
    assert (answers.status, line.count(CANCEL)) == ("cancelled", 3)


@pytest.mark.parametrize("what", PASSING)
def test_a_cancel_ends_the_trying_again(what: str, line: Line) -> None:
    """Uploads that fail again and again stop at a cancel, and the rows are cancelled rather than missing."""
    line.on(UPLOAD, *[PASSING[what]] * 10_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.trouble is not None)
    answers.cancel()
    answers.wait(WAIT_S)
    assert (answers.status, ends(answers)) == ("cancelled", [("cancelled", "not_sent")] * 2)
    assert line.count(CREATE) == 0


def test_a_rerun_does_not_undo_a_cancel(line: Line) -> None:
    """The same submission after a cancel sends nothing."""
    line.on(UPLOAD, *[PASSING["503"]] * 10_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.trouble is not None)
    answers.cancel()
    answers.wait(WAIT_S)
    uploads = line.count(UPLOAD)
    forget()
    assert ends(submit(*echoes(2)).wait(WAIT_S)) == [("cancelled", "not_sent")] * 2
    assert (line.count(UPLOAD), line.count(CREATE)) == (uploads, 0)


# --- never twice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard_rows", [50_000, 2])
def test_the_same_submission_again_makes_no_second_batch(shard_rows: int, line: Line) -> None:
    """In this process and in the next, the same prompts give the same texts and nothing is asked for."""
    assert submit(*echoes(5), shard_rows=shard_rows).wait(WAIT_S).texts == numbers(5)
    asked = len(line.asked)
    assert submit(*echoes(5), name="other").wait(WAIT_S).texts == numbers(5)
    forget()
    assert submit(*echoes(5)).wait(WAIT_S).texts == numbers(5)
    assert len(line.asked) == asked


def test_two_submissions_at_once_share_one_batch(line: Line) -> None:
    """The same prompts while they are under way fill both, from one batch."""
    line.on(MODELS, gate := Gate())
    one, other = submit(*echoes(3)), submit(*echoes(3), name="other")
    gate.opened.set()
    assert one.wait(WAIT_S).texts == other.wait(WAIT_S).texts == numbers(3)
    assert line.count(CREATE) == 1


@pytest.mark.parametrize("mid_batch", [False, True], ids=["at the end", "mid-batch"])
@pytest.mark.parametrize("by", ["batch id", "job id", "name"])
def test_attach_brings_the_answers_back_in_the_next_process(by: str, mid_batch: bool, line: Line) -> None:
    """By batch id, job id or name, a new process reads what is here and goes on where things were."""
    if mid_batch:
        line.on(POLL, *[EARLIER] * 10_000)
    answers = submit(*echoes(3), name="reviews")
    if mid_batch:
        Seen(answers).until(lambda now: now.status == "in_progress")
    else:
        answers.wait(WAIT_S)
    word = {"batch id": answers.batch_ids[0], "job id": answers.job_id, "name": "reviews"}[by]
    assert answers.done is not mid_batch
    forget()
    line._acts.clear()
    again = client.attach(word).wait(WAIT_S)
    assert (again.texts, again.job_id, again.name) == (numbers(3), answers.job_id, "reviews")
    assert line.count(CREATE) == 1


def test_attach_goes_on_with_the_sandbox_in_use(line: Line) -> None:
    """A job of the sandbox that is in use is carried on there, at that sandbox's pace."""
    line.on(UPLOAD, gate := Gate())
    answers = submit(*echoes(2))
    assert gate.arrived.wait(WAIT_S)
    job = ledger.current().job(answers.job_id)
    assert services.of_job(job) is services.current()
    gate.opened.set()
    answers.wait(WAIT_S)


FOLLOW = """
import sys
from groq_magic import client, runs
answers = client.attach(sys.argv[1])
client.watch(answers, lambda now: print(now.phase, flush=True))
print(answers.wait(30).texts, runs._connections, flush=True)
"""


def test_a_second_process_follows_the_one_that_drives(line: Line) -> None:
    """Another process fills from the ledger alone: it asks the service nothing and needs no key."""
    polls = [Gate()]
    line.on(POLL, *polls)
    answers = submit(*echoes(3))
    assert polls[0].arrived.wait(WAIT_S)
    command = [sys.executable, "-c", FOLLOW, answers.job_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        first = follower.stdout.readline()
        polls[0].opened.set()
        assert answers.wait(WAIT_S).texts == numbers(3)
        rest, complaints = follower.communicate(timeout=WAIT_S)
    assert (first, follower.returncode, complaints) == ("at_groq\n", 0, "")
    assert rest.splitlines()[-1] == f"{numbers(3)} {{}}"


# --- those who watch ----------------------------------------------------------------------------------


def test_the_last_snapshot_is_the_end(line: Line) -> None:
    """When `finished` resolves, those who watch have been told that it is done, with every row counted."""
    line.on(MODELS, gate := Gate())
    answers = submit(*echoes(4), shard_rows=2)
    seen = Seen(answers)
    at_the_end: list[Snapshot] = []
    answers._rows.finished.add_done_callback(lambda _: at_the_end.append(seen.snapshots[-1]))
    gate.opened.set()
    answers.wait(WAIT_S)
    (last,) = at_the_end
    assert (last.done, last.phase, last.status, last.counts) == (True, "done", "completed", {"ok": 4})
    assert (last.left, last.answered, last.shards_sent) == (0, 4, 2)
    phases = [now.phase for now in seen.snapshots]
    assert phases == sorted(phases, key=["sending", "at_groq", "collecting", "done"].index)


def test_no_snapshot_is_done_before_the_end(line: Line) -> None:
    """A refusal is the end once, as what it is: nobody is told "done" and then something else."""
    line.on(MODELS, gate := Gate())
    line.on(CREATE, *[PLAN] * 3)
    answers = submit(*echoes(6), shard_rows=2)
    seen = Seen(answers)
    gate.opened.set()
    with pytest.raises(NotSent):
        answers.wait(WAIT_S)
    assert {now.phase for now in seen.snapshots} == {"sending", "not_sent"}


def test_an_observer_that_raises_does_not_stop_the_batch(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log, once; it is told of the end all the same, and the others of everything."""
    told: list[Snapshot] = []

    def broken(snapshot: Snapshot) -> None:
        told.append(snapshot)
        raise RuntimeError("cannot draw")

    line.on(MODELS, gate := Gate())
    answers = submit(*echoes(2))
    client.watch(answers, broken)
    seen = Seen(answers)
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(2)
    assert told[-1].done
    assert seen.snapshots[-1].done
    warned = [each for each in caplog.records if "could not be drawn" in each.message]
    assert [each.levelname for each in warned if each.levelname == "WARNING"] == ["WARNING"]


def test_check_now_asks_at_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that would be asked about in an hour is asked about now."""
    monkeypatch.setattr(jobs, "ask_again_s", lambda age_s: 3_600.0)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.phase == "at_groq")
    client.check_now(answers)
    assert answers.wait(WAIT_S).texts == numbers(2)


def test_leaving_lets_the_batch_run_on(line: Line) -> None:
    """Who leaves is neither done nor told anything more, and the batch is not cancelled."""
    line.on(POLL, *[EARLIER] * 10_000)
    answers = submit(*echoes(2))
    seen = Seen(answers)
    seen.until(lambda now: now.phase == "at_groq")
    runs.leave().result(WAIT_S)
    told = len(seen.snapshots)
    assert not answers.done
    line._acts.clear()
    assert client.attach(answers.job_id).wait(WAIT_S).texts == numbers(2)
    assert (len(seen.snapshots), line.count(CANCEL), line.count(CREATE)) == (told, 0, 1)


def test_leaving_while_sending_settles_nothing(line: Line) -> None:
    """A process that ends while the service cannot be reached leaves no verdict on the ledger."""
    line.on(MODELS, *[lost(httpx.ConnectError)] * 10_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.trouble is not None)
    runs.leave().result(WAIT_S)
    assert (answers.done, answers.counts) == (False, {"pending": 2})
    assert ledger.current().job(answers.job_id).stopped is None
    line._acts.clear()
    assert client.attach(answers.job_id).wait(WAIT_S).texts == numbers(2)


def test_who_waits_is_told_when_nobody_watches_any_more(line: Line) -> None:
    """After leaving, waiting and cancelling say how to take the batch up again, and do not hang."""
    line.on(POLL, *[EARLIER] * 10_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.phase == "at_groq")
    runs.leave().result(WAIT_S)
    for ask in (lambda: answers.wait(WAIT_S), answers.cancel, lambda: answers.texts):
        with pytest.raises(StillRunning, match="%groq attach"):
            ask()


def test_a_cancel_while_the_models_cannot_be_had_cancels(line: Line) -> None:
    """A cancel before anything was sent ends every row as cancelled, also where the service is down."""
    line.on(MODELS, *[PASSING["503"]] * 10_000)
    answers = submit(*echoes(2))
    Seen(answers).until(lambda now: now.trouble is not None)
    answers.cancel()
    answers.wait(WAIT_S)
    assert ends(answers) == [("cancelled", "not_sent")] * 2


def test_a_call_during_a_request_is_not_forgotten(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cancels while a request is under way need not wait for the pause after it."""
    monkeypatch.setattr(pipeline.Run, "_pause", REAL_PAUSE)  # the one after this create would be an hour
    gate = Gate(then=refuses(429, "later", retry_after="3600"))
    line.on(CREATE, gate)
    answers = submit(*echoes(2))
    assert gate.arrived.wait(WAIT_S)
    client.cancel(answers).result(WAIT_S)
    gate.opened.set()
    assert ends(answers.wait(WAIT_S)) == [("cancelled", "not_sent")] * 2


def test_the_card_says_since_when_nothing_is_sent_again(line: Line) -> None:
    """The same submission again, in this process too, is shown as reused; the first one is not."""
    first = submit(*echoes(2))
    assert Seen(first).until(lambda now: True).reused_from is None
    first.wait(WAIT_S)
    again = Seen(submit(*echoes(2), name="again")).until(lambda now: True)
    assert (again.reused_from, again.name) == (ledger.current().job(first.job_id).created_at, "again")


def test_a_failure_that_a_later_line_mends_is_not_counted(line: Line) -> None:
    """Where both files have a line for a row, the success counts and the failure does not."""
    answers = submit("[[echo]]0", "[[fail]]").wait(WAIT_S)
    assert list(answers._rows.problems) == ["json_validate_failed"]
    line_of_success = ledger.current().result_path(answers.job_id, 0, "output").read_bytes()
    mended = line_of_success.replace(answers[0].custom_id.encode(), answers[1].custom_id.encode())
    later = ledger.current().result_path(answers.job_id, 0, "later")
    later.write_bytes(mended)
    answers._rows.collect(0, later)
    assert (answers[1].status, answers._rows.problems) == ("ok", {})


@pytest.mark.parametrize(
    "instead",
    [says(302, ""), says(200, "<html>log in</html>"), says(200, "")],
    ids=["a redirect", "a page", "nothing"],
)
def test_what_is_not_the_results_is_never_kept_as_them(instead: Act, line: Line) -> None:
    """A download of something else is tried again, given up in this run at the most, and never paid again."""
    line.on(DOWNLOAD, *[instead] * 20)
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert set(answers.counts) == {"missing"}
    line._acts.clear()
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert line.count(CREATE) == 1


def test_a_download_that_brought_a_page_once_is_mended_by_itself(line: Line) -> None:
    """One page in the place of the results costs nothing."""
    line.on(DOWNLOAD, says(200, "<html>log in</html>"))
    assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)


@pytest.mark.parametrize(("said", "waited"), [("-1", 1.0), ("0", 1.0), ("1e9", 600.0)])
def test_retry_after_is_believed_within_reason(
    said: str, waited: float, line: Line, pauses: list[float]
) -> None:
    """However little or much a service asks for, it is asked again after a second to ten minutes."""
    line.on(UPLOAD, refuses(429, "later", retry_after=said))
    assert submit(*echoes(1)).wait(WAIT_S).texts == numbers(1)
    assert waited in pauses


def test_nobody_waits_for_ever_for_an_end_that_cannot_be_shown(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last snapshot cannot be made, whoever waits is let go all the same."""
    gate = Gate()
    line.on(POLL, gate)
    answers = submit(*echoes(1))
    assert gate.arrived.wait(WAIT_S)
    monkeypatch.setattr(View, "snapshot", lambda self: 1 / 0)
    gate.opened.set()
    with pytest.raises(ZeroDivisionError):  # the card's last drawing, on the waiter's own thread
        answers.wait(WAIT_S)
    assert answers.done


def test_a_reply_beyond_reason_is_not_read_to_its_end(line: Line) -> None:
    """A list of models of over 16 MB is no reply; the real one is asked for again."""
    line.on(MODELS, says(200, "[" + " " * 17_000_000))
    assert submit(*echoes(1)).wait(WAIT_S).texts == numbers(1)


def test_the_key_in_a_services_words_is_blacked_out(line: Line) -> None:
    """A service that repeats the key in an error does not get it onto the ledger or the card."""
    keys.keep_secret("sk-no-groq-key")
    line.on(CREATE, refuses(400, "bad key sk-no-groq-key", code="sk-no-groq-key"))
    answers = submit(*echoes(1))
    with pytest.raises(NotSent) as caught:
        answers.wait(WAIT_S)
    shown = (
        f"{caught.value} {answers[0].error} {ledger.current().job(answers.job_id).stopped} {shards(answers)}"
    )
    assert "sk-no-groq-key" not in shown
    assert "gsk_…" in shown


@pytest.mark.parametrize("mark", ["[[truncate-download]]", "[[reset-download]]"])
def test_a_download_that_ends_early_is_fetched_again(line: Line, mark: str) -> None:
    """Half a result file, whole-looking or broken off, costs no answer: it is fetched until it is whole."""
    answers = submit(mark + "[[echo]]0", *echoes(3, first=1)).wait(WAIT_S)
    assert answers.texts == numbers(4)
    assert line.count(DOWNLOAD) == 2


def test_a_size_that_cannot_be_had_now_is_asked_for_again(line: Line) -> None:
    """A service that is busy when the size is asked does not make half a file the whole."""
    line.on(("GET", r"/files/\w+"), refuses(503, "busy"))
    answers = submit("[[truncate-download]][[echo]]0", *echoes(3, first=1)).wait(WAIT_S)
    assert answers.texts == numbers(4)


def test_a_lost_row_is_not_taken_for_a_broken_download(line: Line) -> None:
    """A result file with fewer lines than were counted, but all of its bytes, is fetched once."""
    answers = submit("[[lose]]", *echoes(2)).wait(WAIT_S)
    assert ends(answers) == [("missing", "no_reply"), ("ok", None), ("ok", None)]
    assert line.count(DOWNLOAD) == 1


@pytest.mark.parametrize("mark", ["[[late]]", "[[status]]", "[[nulls]]", "[[double]]", "[[no-error-file]]"])
def test_odd_batches_of_the_sandbox_end_in_answers(line: Line, mark: str) -> None:
    """Late ids, an unknown status, null counts, doubled lines and a missing error file cost no answer."""
    assert submit(mark + "[[echo]]0", *echoes(2, first=1)).wait(WAIT_S).texts == numbers(3)


NO_SIZE = refuses(404, "There is no such file.")


def test_results_with_too_few_lines_are_fetched_again_where_no_size_is_told(line: Line) -> None:
    """Lines are held against the batch's counts: whole lines may be missing from what came."""
    line.on(FILE, *[NO_SIZE] * 10)
    line.on(DOWNLOAD, rewritten(lambda found: found[:2]))
    assert submit(*echoes(4)).wait(WAIT_S).texts == numbers(4)
    assert line.count(DOWNLOAD) == 2


def test_results_that_come_twice_with_too_few_lines_are_all_there_is(line: Line) -> None:
    """What the service lost is missing, with a reason; it is not fetched for ever."""
    line.on(FILE, *[NO_SIZE] * 10)
    line.on(DOWNLOAD, *[rewritten(lambda found: found[:2])] * 10)
    answers = submit(*echoes(4)).wait(WAIT_S)
    assert answers.counts == {"ok": 2, "missing": 2}
    assert line.count(DOWNLOAD) == 2


@pytest.mark.parametrize("told", [True, False])
def test_ids_that_were_never_sent_are_left_out_and_said(
    told: bool, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Every id is held against what was sent; lines of others cost no answer, and where it may help the file
    is fetched once more.
    """
    if not told:
        line.on(FILE, *[NO_SIZE] * 10)
    strange = b'{"custom_id": "somebody-7", "response": {"status_code": 200, "body": {"choices": []}}}'
    line.on(DOWNLOAD, *[rewritten(lambda found: [strange, *found, strange])] * 10)
    answers = submit(*echoes(3)).wait(WAIT_S)
    assert answers.texts == numbers(3)
    assert line.count(DOWNLOAD) == (1 if told else 2)
    assert [record.getMessage() for record in caplog.records] == [
        f"groq_magic: {answers.batch_ids[0]}: 2 lines answer nothing that was sent; left out."
    ]
