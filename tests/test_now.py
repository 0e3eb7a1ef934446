"""`--now`: each prompt asked by itself, within the limits; what came is never asked again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import filelock
import httpx
import pytest

from groq_magic import (
    api,
    client,
    ledger,
    listing,
    now,
    pipeline,
    policy,
    prompts,
    reuse,
    runs,
    services,
    wire,
)
from groq_magic.answers import Answers, Rows, spending
from groq_magic.answers.reading import Source
from groq_magic.errors import ApiError, InputError, NoReply, NotSent, Refused, StillRunning
from groq_magic.keys import Key
from groq_magic.ledger import Ledger
from groq_magic.settings import Settings
from tests import offline
from tests.line import (
    CREATE,
    EARLIER,
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
    last,
    line,
    long_ago,
    lost,
    numbers,
    pauses,
    refuses,
    says,
    sent,
    shards,
    stranded,
    submit,
    unanswered,
)
from tests.sockets import sandbox

__all__ = ["line", "long_ago", "pauses"]  # fixtures

CHAT = ("POST", "/chat/completions")
ROOT = Path(__file__).resolve().parent.parent
LIMITED = refuses(429, "Rate limit reached for model `m`.", "rate_limit_exceeded", retry_after="7")
REVOKED = refuses(401, "Invalid API Key", "invalid_api_key")


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompts are asked in their order."""
    monkeypatch.setattr(now, "AT_ONCE", 1)


@pytest.fixture
def at_once_to_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What came is put down at once."""
    monkeypatch.setattr(now, "PUT_DOWN_S", 0.005)


def result_file(answers: Answers, number: int = 0) -> Path:
    """Where the outcomes of a shard lie."""
    return ledger.current().result_path(answers.job_id, number, "output")


def states(answers: Answers) -> list[str]:
    """The states of the shards."""
    return [shard.state for shard in shards(answers)]


def held(line: Line, after: int) -> Gate:
    """The first prompts are answered; the next one is under way until the gate is opened."""
    gate = Gate()
    line.on(CHAT, *[None] * after, gate)
    return gate


def killed(line: Line, asked: list[str], after: int, **how: Any) -> Answers:
    """`--now` of a process that ended when so many prompts had their outcome, and one was under way."""
    gate = Gate(then=lost(httpx.ConnectError))
    line.on(CHAT, *[None] * after, gate)
    answers = submit(*asked, now=True, name="killed", **how)
    assert gate.arrived.wait(WAIT_S)
    leaving = runs.leave()
    gate.opened.set()
    leaving.result(WAIT_S)
    ledger.let_go()
    line.asked.clear()
    return answers


# --- what is asked, and what is kept --------------------------------------------------------------------


def test_each_prompt_is_asked_by_itself(line: Line) -> None:
    """`--now` gives the same answers as a batch, and uploads and creates nothing."""
    answers = submit(*echoes(20), "[[cut]][[echo]]longer than that", now=True, shard_rows=8).wait(WAIT_S)
    assert answers.texts[:20] == numbers(20)
    assert answers.counts == {"ok": 20, "cut": 1}
    assert answers.usage.prompt_tokens > 0
    assert [line.count(what) for what in (CHAT, UPLOAD, CREATE, POLL)] == [21, 0, 0, 0]
    assert (answers.batch_ids, answers.status, states(answers)) == ([], "completed", ["collected"] * 3)


def test_a_request_is_the_body_as_it_lies_in_the_file(line: Line) -> None:
    """The ordinary endpoint gets the very bytes that the fingerprint was made of."""
    bodies: list[bytes] = []
    line.seen = lambda request: bodies.append(request.content) if request.url.path.endswith("ns") else None
    answers = submit('{"body": "§"}', "[[echo]]x", now=True).wait(WAIT_S)
    path = ledger.current().shard_path(answers.job_id, 0)
    assert sorted(bodies) == sorted(map(reuse.body_of, path.read_bytes().splitlines(keepends=True)))


def test_an_outcome_is_a_line_as_a_batch_has_it(line: Line) -> None:
    """What came is kept as an output line: its id, the custom_id, the whole reply or the whole error."""
    answers = submit("[[echo]]a", "[[fail]]", now=True).wait(WAIT_S)
    written = [json.loads(each) for each in result_file(answers).read_bytes().splitlines()]
    good, bad = sorted(written, key=lambda found: found["response"]["status_code"])
    assert all(each.keys() == {"id", "custom_id", "response", "error"} for each in written)
    assert {each["custom_id"] for each in written} == {answer.custom_id for answer in answers}
    assert good["response"]["body"]["choices"][0]["message"]["content"] == "a"
    assert good["response"]["request_id"].startswith("req_")
    assert bad["response"]["status_code"] == 400
    assert bad["response"]["request_id"].startswith("req_")
    assert bad["response"]["body"]["error"]["code"] == "json_validate_failed"
    assert "failed_generation" in bad["response"]["body"]["error"]


def test_a_reply_on_several_lines_is_one_line_of_the_file(line: Line) -> None:
    """JSON that a gateway has spread over lines is one outcome."""

    async def spread(request: httpx.Request, send: Send) -> httpx.Response:
        reply = await send(request)
        return httpx.Response(200, text=json.dumps(json.loads(await reply.aread()), indent=2))

    line.on(CHAT, spread)
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert answers.texts == ["a"]
    assert result_file(answers).read_bytes().count(b"\n") == 1


def test_a_key_in_an_error_is_not_written_down(line: Line) -> None:
    """A refusal that names a key stands in the file without it."""
    line.on(CHAT, refuses(400, "The key gsk_secretSECRET may not."))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert "gsk_…" in str(answers[0].error)
    assert b"secretSECRET" not in result_file(answers).read_bytes()


@pytest.mark.parametrize(("status", "code"), [(400, "tool_use_failed"), (413, "x"), (422, "x"), (424, "x")])
def test_a_refusal_of_one_prompt_is_its_outcome(status: int, code: str, line: Line) -> None:
    """A row's own 4xx is its failure, asked once, and reused by a re-run as any failure."""
    line.on(CHAT, refuses(status, "No.", code))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert ends(answers) == [("failed", code)]
    forget()
    assert ends(submit("[[echo]]a").wait(WAIT_S)) == [("failed", code)]
    assert (line.count(CHAT), line.count(UPLOAD)) == (1, 0)


def test_only_so_many_are_under_way_at_once(line: Line) -> None:
    """Eight prompts are asked at once, whatever the number of files."""
    under_way, most = 0, 0

    async def counted(request: httpx.Request, send: Send) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        return await send(request)

    line.on(CHAT, *[counted] * 60)
    assert submit(*echoes(60), now=True, shard_rows=20).wait(WAIT_S).texts == numbers(60)
    assert most == 8


def test_rows_fill_as_their_answers_come(line: Line, one_at_a_time: None, at_once_to_last: None) -> None:
    """What came is readable while the rest is being asked, and on the card."""
    gate = held(line, after=2)
    answers = submit(*echoes(4), now=True)
    seen = Seen(answers).until(lambda at: at.answered == 2)
    assert (seen.phase, seen.direct, seen.left) == ("sending", True, 2)
    assert [answer.text for answer in answers[:2]] == ["0", "1"]
    with pytest.raises(StillRunning):
        _ = answers.texts
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(4)


def test_a_file_that_grows_is_read_once(tmp_path: Path) -> None:
    """Each reading goes on where the last one ended, no further than told; tokens are those of all of it."""
    body = {"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}
    lines = [wire.result_line(f"p-{n}", 200, "", json.dumps(body).encode()) for n in range(3)]
    path, size = tmp_path / "output", len(lines[0])
    rows = Rows("job", 3, [Source(0, tmp_path / "sent", range(3), "p-")])
    path.write_bytes(lines[0] + lines[1] + lines[2][:-5])
    assert rows.collect(0, path, size) == (2, 3)
    assert rows.counts()["ok"] == 1
    assert rows.collect(0, path, 2 * size) == (4, 6)
    path.write_bytes(b" " * 2 * size + lines[2])  # what was read is not looked at again
    assert rows.collect(0, path) == (6, 9)
    assert rows.collect(0, path) == (6, 9)
    assert rows.counts()["ok"] == 3
    assert len(rows._paths) == 2


def test_the_ledger_is_not_written_for_every_row(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts go to the ledger once a second and at the end, not with each answer."""
    real, written = Ledger.update_shard, []

    def counted(self: Ledger, shard: Any, **facts: object) -> None:
        written.append(facts)
        real(self, shard, **facts)

    monkeypatch.setattr(Ledger, "update_shard", counted)
    monkeypatch.setattr(now, "PUT_DOWN_S", 60.0)
    answers = submit(*echoes(200), "[[fail]]", now=True).wait(WAIT_S)
    assert len(written) <= 5
    (shard,) = shards(answers)
    assert (shard.completed, shard.failed, shard.unanswered, shard.status) == (200, 1, 0, "completed")
    assert (shard.prompt_tokens, shard.completion_tokens) == (
        answers.usage.prompt_tokens,
        answers.usage.completion_tokens,
    )


def test_a_model_that_is_not_there_is_not_asked(line: Line) -> None:
    """A key that may not use the model hears it once, not once for each prompt."""
    with pytest.raises(NotSent, match="has no model 'typo'"):
        submit(*echoes(3), now=True, model="typo").wait(WAIT_S)
    assert line.count(CHAT) == 0


def test_another_endpoint_than_chat_is_refused_before_anything_is_sent(line: Line) -> None:
    """Audio lines are for batches; `--now` names the row and what to leave out."""
    audio = {"model": "whisper-large-v3", "url": "https://example.org/a.wav"}
    chat = {"model": "openai/gpt-oss-20b", "messages": [{"role": "user", "content": "[[echo]]a"}]}
    lines = [
        {"custom_id": "a", "method": "POST", "url": wire.CHAT, "body": chat},
        {"custom_id": "b", "method": "POST", "url": "/v1/audio/transcriptions", "body": audio},
    ]
    with pytest.raises(InputError) as caught:
        client.submit(lines, now=True)
    assert caught.value.message == (
        "Row 1 is for /v1/audio/transcriptions: one by one only /v1/chat/completions is asked. In a batch, "
        "without --now, it can be sent."
    )
    assert client.submit(lines[:1], now=True).wait(WAIT_S).texts == ["a"]


# --- limits ---------------------------------------------------------------------------------------------


def test_a_429_is_waited_for_and_no_failure(line: Line, pauses: list[float]) -> None:
    """However often the limit is hit, everybody waits what Retry-After says, and every row is answered."""
    line.on(CHAT, *[LIMITED] * 50)
    answers = submit(*echoes(10), now=True)
    assert answers.wait(WAIT_S).texts == numbers(10)
    assert (line.count(CHAT), ends(answers)) == (60, [("ok", None)] * 10)
    assert len(pauses) >= 50
    assert all(6 < pause <= 7 for pause in pauses)


def test_all_wait_while_one_was_told_to(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """One 429 holds the next prompts of all back, for as long as it says."""
    waits: list[float] = []
    over, first, second = threading.Event(), Gate(then=LIMITED), Gate()

    async def pause(self: pipeline.Run, seconds: float) -> None:
        waits.append(seconds)
        await asyncio.to_thread(over.wait, WAIT_S)

    monkeypatch.setattr(pipeline.Run, "_pause", pause)
    monkeypatch.setattr(now, "AT_ONCE", 2)
    line.on(CHAT, first, second)
    answers = submit(*echoes(9), now=True)
    assert first.arrived.wait(WAIT_S)
    assert second.arrived.wait(WAIT_S)
    first.opened.set()
    offline.until(lambda: waits)
    second.opened.set()
    offline.until(lambda: len(waits) == 2 or line.count(CHAT) > 2)
    assert waits == [pytest.approx(7, abs=2)] * 2
    assert line.count(CHAT) == 2
    over.set()
    assert answers.wait(WAIT_S).texts == numbers(9)


@pytest.mark.parametrize("used_up", ["tokens", "requests"])
def test_nobody_asks_while_nothing_is_left(
    used_up: str, line: Line, pauses: list[float], one_at_a_time: None
) -> None:
    """After an answer whose headers say that nothing is left, the next prompt waits for the reset."""

    async def last_one(request: httpx.Request, send: Send) -> httpx.Response:
        reply = await send(request)
        headers = {f"x-ratelimit-remaining-{used_up}": "0", f"x-ratelimit-reset-{used_up}": "12.5s"}
        return httpx.Response(200, content=await reply.aread(), headers=headers)

    line.on(CHAT, last_one)
    assert submit(*echoes(2), now=True).wait(WAIT_S).texts == numbers(2)
    assert (pauses, line.count(CHAT)) == ([pytest.approx(12.5, abs=0.5)], 2)


def test_the_button_asks_at_once_while_the_limit_is_waited_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check now ends the wait that a 429 asked for."""
    monkeypatch.setattr(pipeline.Run, "_pause", REAL_PAUSE)
    line.on(CHAT, refuses(429, "Rate limit reached.", retry_after="600"))
    answers = submit("[[echo]]a", now=True)
    Seen(answers).until(lambda at: at.trouble is not None)
    client.check_now(answers).result(WAIT_S)
    assert answers.wait(WAIT_S).texts == ["a"]


TOLD = wire.Told(b"{}", "req", 200, wire.Limits(500_000, 250_000, 499_000, 200_000, None, None, None))


@pytest.mark.parametrize(
    ("limits", "left", "said"),
    [
        ({}, 0, ""),
        ({"limit_tokens": None}, 1_200, ""),
        ({}, 1, "(250,000 tokens a minute, 500,000 requests a day) the other one takes under a minute."),
        ({}, 5_000, "(250,000 tokens a minute, 500,000 requests a day) the other 5,000 take about 4 min."),
        ({"limit_requests": None}, 5_000, "(250,000 tokens a minute) the other 5,000 take about 4 min."),
        ({"remaining_requests": None}, 5_000, "requests a day) the other 5,000 take about 4 min."),
        (
            {"limit_requests": 1_000, "remaining_requests": 200},
            1_200,
            "(250,000 tokens a minute, 1,000 requests a day) the other 1,200 take about 24 h.",
        ),
        ({"limit_tokens": 8_000}, 100_000, "the other 100,000 take about 42 h."),
        ({"limit_tokens": 8_000}, 1_000_000, "the other 1,000,000 take about 17 days."),
    ],
)
def test_the_limits_seen_are_said_as_time(limits: dict[str, Any], left: int, said: str) -> None:
    """Tokens per answer and the limits in the headers make a time; where they are not known, nothing."""
    pace = now.Pace()
    assert pace.said(left) == ""
    pace.heard(replace(TOLD, limits=replace(TOLD.limits, **limits)))
    found = pace.said(left)
    assert found.endswith(said)
    assert found.startswith("At the limits seen (") == bool(said)


def test_the_card_says_how_long_the_rest_takes(
    line: Line, one_at_a_time: None, at_once_to_last: None
) -> None:
    """Once there are answers, the snapshot says what the limits mean for the others; at the end no more."""
    gate = held(line, after=2)
    answers = submit(*echoes(5), now=True)
    seen = Seen(answers).until(lambda at: at.answered == 2 and "the other 3" in at.pace)
    assert seen.pace == (
        "At the limits seen (250,000 tokens a minute, 500,000 requests a day) the other 3 take under a "
        "minute."
    )
    gate.opened.set()
    answers.wait(WAIT_S)
    assert (last(answers).pace, last(answers).direct) == ("", True)


# --- errors, by what they mean --------------------------------------------------------------------------


def refused(status: int, code: str = "") -> Refused:
    """A refusal of this status."""
    return Refused(status, code, "No.")


@pytest.mark.parametrize(
    ("exc", "meant"),
    [
        (NoReply("", maybe_done=False), "unasked"),
        (NoReply("", maybe_done=True), "again"),
        *[(refused(status), "again") for status in (408, 409, 498, 499, 500, 502, 503, 529)],
        (refused(429), "limited"),
        *[(refused(status), "failed") for status in (400, 413, 422, 424)],
        (refused(404, "model_not_found"), "failed"),
        *[(refused(status), "refused") for status in (301, 401, 402, 403, 404, 405)],
    ],
)
def test_an_error_means_one_thing_for_a_prompt(exc: ApiError, meant: str) -> None:
    """Only what no other prompt would escape ends the asking; limits and breakdowns never do."""
    assert policy.of_a_prompt(exc) == meant


def test_pauses_grow_to_a_minute() -> None:
    """1 s after the first failure, doubling, and a minute at most, give or take a tenth."""
    for failures, about in ((1, 1), (2, 2), (3, 4), (7, 60), (5_000, 60)):
        assert policy.pause_s(failures) == pytest.approx(about, rel=0.11)


def test_a_refusal_without_a_word_ends_with_its_number(line: Line) -> None:
    """A redirect says nothing of itself: no colon promises more."""
    line.on(CHAT, says(302, ""))
    with pytest.raises(NotSent, match=r"answered POST /chat/completions with 302\.$"):
        submit("[[echo]]a", now=True).wait(WAIT_S)


@pytest.mark.parametrize("trouble", PASSING)
def test_a_passing_trouble_is_tried_again(trouble: str, line: Line) -> None:
    """No connection, no reply, a breakdown or garbage: the row is asked again, and in the end answered."""
    line.on(CHAT, PASSING[trouble], PASSING[trouble])
    assert submit(*echoes(3), now=True).wait(WAIT_S).texts == numbers(3)
    assert line.count(CHAT) == 5


def test_a_prompt_without_a_reply_is_missing_and_asked_again_by_a_rerun(
    line: Line, one_at_a_time: None, pauses: list[float]
) -> None:
    """After five tries a row ends as missing, with the reason; a re-run asks that row and no other."""
    line.on(CHAT, None, *[refuses(503, "Service Unavailable")] * 5)
    answers = submit(*echoes(3), now=True).wait(WAIT_S)
    assert ends(answers) == [("ok", None), ("missing", "no_reply"), ("ok", None)]
    assert answers[1].error is not None
    assert answers[1].error.message.startswith(
        "No usable reply in 5 tries; the last time: The sandbox answered"
    )
    assert pauses == [pytest.approx(about, rel=0.11) for about in (1, 2, 4, 8)]
    assert line.count(CHAT) == 7
    forget()
    assert submit(*echoes(3), now=True).wait(WAIT_S).texts == numbers(3)
    assert line.count(CHAT) == 8


@pytest.mark.parametrize(
    "body",
    [{"choices": []}, {"choices": None, "usage": {"prompt_tokens": 7}}, {}],
    ids=["empty", "null", "nothing"],
)
def test_a_reply_without_an_answer_is_an_outcome(body: dict[str, Any], line: Line) -> None:
    """It was paid: it is asked once, fails as it would in a batch, and its tokens count."""
    line.on(CHAT, says(200, json.dumps(body)))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert (ends(answers), line.count(CHAT)) == ([("failed", "no_choices")], 1)
    assert answers.usage.prompt_tokens == body.get("usage", {}).get("prompt_tokens", 0)


def test_a_reply_that_is_too_large_is_asked_for_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over any size that an answer has was paid all the same: it fails, and a re-run leaves it so."""
    monkeypatch.setattr(api, "MAX_REPLY_BYTES", 4_000)
    line.on(CHAT, says(200, "x" * 5_000))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert ends(answers) == [("failed", "reply_too_large")]
    assert answers[0].error is not None
    assert answers[0].error.message.startswith("A reply of over ")
    forget()
    assert ends(submit("[[echo]]a", now=True).wait(WAIT_S)) == [("failed", "reply_too_large")]
    assert line.count(CHAT) == 1


def test_a_line_that_is_down_costs_no_row(line: Line) -> None:
    """What never left this machine is tried for as long as it takes: nothing can have been paid."""
    line.on(CHAT, *[lost(httpx.ConnectError)] * 40)
    assert submit(*echoes(2), now=True).wait(WAIT_S).texts == numbers(2)


def test_a_refusal_of_everything_keeps_what_came(line: Line, one_at_a_time: None) -> None:
    """A key is revoked half-way: what came stays, the rest says why, and a re-run asks the rest alone."""
    line.on(CHAT, None, None, *[REVOKED] * 20)
    answers = submit(*echoes(5), now=True).wait(WAIT_S)
    assert ends(answers) == [("ok", None)] * 2 + [("missing", "invalid_api_key")] * 3
    said = answers[4].error
    assert said is not None
    assert said.message.startswith(
        "The sandbox does not accept the key from the sandbox. What was answered is here."
    )
    assert answers.status == "not collected"
    assert line.count(CHAT) == 3
    line._acts.clear()
    assert submit(*echoes(5), now=True).wait(WAIT_S).texts == numbers(5)
    assert line.count(CHAT) == 6


@pytest.mark.parametrize("restart", [False, True])
def test_a_refusal_of_the_first_sends_nothing(restart: bool, line: Line, one_at_a_time: None) -> None:
    """Where nothing came at all the job is not sent; a re-run begins it."""
    line.on(CHAT, REVOKED, REVOKED)
    with pytest.raises(NotSent, match="does not accept the key"):
        submit(*echoes(4), now=True, shard_rows=2).wait(WAIT_S)
    assert line.count(CHAT) == 2
    if restart:
        forget()
    assert submit(*echoes(4), now=True, shard_rows=2).wait(WAIT_S).texts == numbers(4)


def test_a_full_disk_stops_the_asking(
    line: Line, monkeypatch: pytest.MonkeyPatch, one_at_a_time: None, at_once_to_last: None
) -> None:
    """What cannot be kept is not asked for: the rest says why, and a re-run goes on."""
    real, met = os.fsync, threading.Event()

    def full(fd: int) -> None:
        met.set()
        raise OSError(28, "No space left on device")

    gate, next_one = Gate(), Gate()
    line.on(CHAT, None, gate, next_one)
    answers = submit(*echoes(50), now=True)
    assert gate.arrived.wait(WAIT_S)
    monkeypatch.setattr(os, "fsync", full)
    gate.opened.set()
    assert met.wait(WAIT_S)
    next_one.opened.set()
    answers.wait(WAIT_S)
    monkeypatch.setattr(os, "fsync", real)
    asked = line.count(CHAT)
    assert asked < 50
    assert ends(answers)[-1] == ("missing", "stopped")
    assert "No space left" in str(answers[49].error)
    assert submit(*echoes(50), now=True).wait(WAIT_S).texts == numbers(50)
    assert line.count(CHAT) == 50


# --- ends that are none: kills, leaving, cancelling -----------------------------------------------------


def test_what_is_in_the_file_is_never_asked_again(line: Line, one_at_a_time: None) -> None:
    """After a kill a re-run asks what has no outcome; a last line that broke off is no outcome."""
    left = killed(line, echoes(6), after=3)
    path = Ledger().result_path(left.job_id, 0, "output")
    whole = path.read_bytes()
    assert whole.count(b"\n") == 3
    path.write_bytes(whole[:-20])
    answers = submit(*echoes(6), now=True).wait(WAIT_S)
    assert (answers.texts, answers.job_id) == (numbers(6), left.job_id)
    assert line.count(CHAT) == 4
    found = path.read_bytes()
    assert found.startswith(b"".join(whole.splitlines(keepends=True)[:2]))
    assert found.count(b"\n") == 6
    assert all(json.loads(each) for each in found.splitlines())


def test_an_answer_that_came_while_leaving_is_kept(line: Line, one_at_a_time: None) -> None:
    """Whoever stops watching takes in what is in flight, and asks no more."""
    gate = held(line, after=1)
    answers = submit(*echoes(5), now=True)
    assert gate.arrived.wait(WAIT_S)
    leaving = runs.leave()
    gate.opened.set()
    leaving.result(WAIT_S)
    assert (line.count(CHAT), result_file(answers).read_bytes().count(b"\n")) == (2, 2)
    assert submit(*echoes(5), now=True).wait(WAIT_S).texts == numbers(5)
    assert line.count(CHAT) == 5


def test_loading_asks_nothing_and_attaching_goes_on(line: Line, one_at_a_time: None) -> None:
    """What was interrupted waits until its cell is run again or it is attached to."""
    killed(line, echoes(4), after=2)
    assert [entry.status for entry in listing.batches()] == ["sending"]
    assert line.count(CHAT) == 0
    assert client.attach("killed").wait(WAIT_S).texts == numbers(4)
    assert line.count(CHAT) == 2


def test_cancel_stops_asking_and_takes_in_what_is_in_flight(line: Line, one_at_a_time: None) -> None:
    """A cancelled row is not asked, neither now nor by a re-run; what was under way is kept."""
    gate = held(line, after=1)
    answers = submit(*echoes(5), now=True, shard_rows=3)
    assert gate.arrived.wait(WAIT_S)
    answers.cancel()
    gate.opened.set()
    answers.wait(WAIT_S)
    assert ends(answers) == [("ok", None)] * 2 + [("cancelled", "not_sent")] * 3
    assert (answers.status, line.count(CHAT)) == ("cancelled", 2)
    forget()
    again = submit(*echoes(5), now=True).wait(WAIT_S)
    assert (again.counts, line.count(CHAT)) == ({"ok": 2, "cancelled": 3}, 2)


def test_a_cancel_that_comes_too_late_changes_nothing(line: Line, one_at_a_time: None) -> None:
    """While the last prompt is answered nothing is left to cancel: the job has completed."""
    gate = held(line, after=1)
    answers = submit(*echoes(2), now=True)
    assert gate.arrived.wait(WAIT_S)
    answers.cancel()
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(2)
    assert answers.status == "completed"


def test_cancel_ends_the_wait_for_a_limit(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits ten minutes for a limit in order to cancel."""
    monkeypatch.setattr(pipeline.Run, "_pause", REAL_PAUSE)
    line.on(CHAT, *[refuses(429, "Rate limit reached.", retry_after="600")] * 50)
    answers = submit(*echoes(3), now=True)
    Seen(answers).until(lambda at: at.trouble is not None)
    answers.cancel()
    assert answers.wait(WAIT_S).counts == {"cancelled": 3}


SCRIPT = """
import sys
from groq_magic import client, services
services.use_sandbox(sys.argv[1])
client.submit([f"[[echo]]{n}" for n in range(20)], name="answers", now=True, save=sys.argv[2])
"""


def test_a_script_ends_when_all_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does not wait ends with every answer on disk and in its file, and says in a line why it
    stays.
    """
    env = os.environ | {"GROQ_MAGIC_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    with sandbox(tmp_path / "store") as url:
        command = [sys.executable, "-c", SCRIPT, url, str(tmp_path / "answers.csv")]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)
        book = Ledger(tmp_path / "home")
        (job,) = book.jobs()
        assert book.result_path(job.job_id, 0, "output").read_bytes().count(b"\n") == 20
        book.close()
        assert len((tmp_path / "answers.csv").read_bytes().splitlines()) == 21


@pytest.mark.parametrize("again", [False, True])
def test_a_script_ends_when_its_file_is_written(
    again: bool, line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All may be asked, or be here from earlier: a script waits until the answers are in their file, too."""
    if again:
        submit(*echoes(4)).wait(WAIT_S)
    answered, goes_on, real = threading.Event(), threading.Event(), Rows.end_all

    def end_all(rows: Rows) -> None:
        if rows._at_end:
            answered.set()
            assert goes_on.wait(WAIT_S)
        real(rows)

    def sleep(_: float) -> None:
        goes_on.set()
        answers._rows.finished.result(WAIT_S)

    monkeypatch.setattr(Rows, "end_all", end_all)
    monkeypatch.setattr(runs, "time", SimpleNamespace(time=time.time, sleep=sleep))
    monkeypatch.setitem(sys.modules, "IPython", None)
    answers = submit(*echoes(5), now=True, save=tmp_path / "answers.csv")
    assert answered.wait(WAIT_S)
    runs._finish_sending()
    waited = goes_on.is_set()
    goes_on.set()
    answers.wait(WAIT_S)
    assert waited


# --- the two ways know of each other --------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("first", [True, False])
def test_what_went_one_way_is_not_asked_the_other(first: bool, restart: bool, line: Line) -> None:
    """Answers of `--now` serve a batch, and those of a batch serve `--now`; only new rows are asked."""
    uploads = sent(line)
    submit(*echoes(6), now=first).wait(WAIT_S)
    if restart:
        forget()
    again = submit(*echoes(6), now=not first).wait(WAIT_S)
    assert (again.texts, last(again).reused) == (numbers(6), 6)
    assert submit(*echoes(10), now=not first).wait(WAIT_S).texts == numbers(10)
    assert (line.count(CHAT), uploads) == ((6, [4]) if first else (4, [6]))


@pytest.mark.parametrize("restart", [False, True])
def test_prompts_that_a_plan_refuses_are_asked_now(restart: bool, line: Line) -> None:
    """The cell that got 403 for its batch is run with --now: it is the same job, and it asks each prompt."""
    line.on(UPLOAD, *[PLAN] * 10)
    first = submit(*echoes(4), shard_rows=2)
    with pytest.raises(NotSent, match="With --now each prompt is asked by itself, at on-demand price"):
        first.wait(WAIT_S)
    if restart:
        forget()
    answers = submit(*echoes(4), shard_rows=2, now=True).wait(WAIT_S)
    assert (answers.texts, answers.job_id) == (numbers(4), first.job_id)
    assert (line.count(CHAT), line.count(CREATE)) == (4, 0)


def test_a_free_key_asks_now(line: Line) -> None:
    """A key of a plan without batches, which the sandbox refuses a batch, has every answer with --now."""
    chosen = services.current()
    services._chosen = replace(chosen, key=Key("gsk_free_key"))
    with pytest.raises(NotSent, match="its plan has no Batch API"):
        submit(*echoes(3)).wait(WAIT_S)
    assert submit(*echoes(3), now=True).wait(WAIT_S).texts == numbers(3)


def test_what_was_stranded_before_its_upload_is_asked_now(line: Line, long_ago: None) -> None:
    """Prompts that were cut for a batch by a process that ended go the way that is typed now."""
    stranded(line, *echoes(3))
    assert submit(*echoes(3), now=True).wait(WAIT_S).texts == numbers(3)
    assert (line.count(CHAT), line.count(UPLOAD)) == (3, 0)


def test_what_others_asked_meanwhile_is_not_asked_now(line: Line, long_ago: None) -> None:
    """Of what was never sent, the rows that another job has had answered since are taken from there."""
    stranded(line, *echoes(3))
    submit(*echoes(2), name="other").wait(WAIT_S)
    assert submit(*echoes(3), now=True).wait(WAIT_S).texts == numbers(3)
    assert line.count(CHAT) == 1


def test_the_rest_of_what_was_left_goes_by_batch(line: Line, one_at_a_time: None, long_ago: None) -> None:
    """`--now` was left half-way and the cell is run without it: what is not asked yet is a batch."""
    uploads = sent(line)
    left = killed(line, echoes(7), after=3, shard_rows=5)
    answers = submit(*echoes(7), shard_rows=5).wait(WAIT_S)
    assert (answers.texts, answers.job_id) == (numbers(7), left.job_id)
    assert (line.count(CHAT), uploads) == (0, [4])
    assert len(answers.batch_ids) == 1
    forget()
    assert submit(*echoes(7), now=True).wait(WAIT_S).texts == numbers(7)
    assert (line.count(CHAT), uploads) == (0, [4])


def test_what_was_left_before_anything_came_is_a_batch_like_any_other(
    line: Line, one_at_a_time: None, long_ago: None
) -> None:
    """Where `--now` had no answer yet, the cell without it sends the files as they are."""
    left = killed(line, echoes(4), after=0)
    answers = submit(*echoes(4), window="7d").wait(WAIT_S)
    assert (answers.texts, line.count(CHAT), len(answers.batch_ids)) == (numbers(4), 0, 1)
    assert ledger.current().job(left.job_id).window == "7d"
    assert len(ledger.current().jobs()) == 1


def test_what_was_refused_half_way_goes_by_batch_at_once(line: Line, one_at_a_time: None) -> None:
    """The cell that was stopped a moment ago is run without --now: it need not be old to be nobody's."""
    uploads = sent(line)
    line.on(CHAT, None, REVOKED)
    submit(*echoes(4), now=True).wait(WAIT_S)
    assert submit(*echoes(4)).wait(WAIT_S).texts == numbers(4)
    assert (line.count(CHAT), uploads) == (2, [3])


def test_a_batch_that_was_never_begun_keeps_its_window(line: Line, long_ago: None) -> None:
    """Only what was asked one by one takes the window that is typed now; a batch keeps its own."""
    left = stranded(line, *echoes(2))
    assert submit(*echoes(2), window="7d").wait(WAIT_S).texts == numbers(2)
    assert ledger.current().job(left.job_id).window == "24h"


@pytest.mark.parametrize("direct", [False, True])
def test_another_cell_takes_what_came_and_asks_the_rest_once(
    direct: bool, line: Line, one_at_a_time: None, long_ago: None
) -> None:
    """Rows that a job left half-way has no outcome for are the new cell's alone: nobody asks them twice."""
    uploads = sent(line)
    left = killed(line, echoes(6), after=2)
    answers = submit(*echoes(4), name="other", now=direct).wait(WAIT_S)
    assert answers.texts == numbers(4)
    assert (line.count(CHAT), uploads) == ((2, []) if direct else (0, [2]))
    assert client.attach(left.job_id).wait(WAIT_S).counts == {"ok": 2, "missing": 4}
    assert submit(*echoes(6), now=True).wait(WAIT_S).texts == numbers(6)
    assert line.count(CHAT) == (6 if direct else 4)


def test_a_cell_that_has_nothing_to_do_with_it_leaves_it_alone(
    line: Line, one_at_a_time: None, long_ago: None
) -> None:
    """Other prompts for the same model do not end what was interrupted."""
    left = killed(line, echoes(4), after=2)
    submit("[[echo]]other", name="other").wait(WAIT_S)
    assert states(left) == ["direct"]


def test_rows_under_way_in_a_batch_are_awaited(line: Line) -> None:
    """What a running batch asks is not asked at on-demand price besides: `--now` waits for it."""
    line.on(POLL, *[EARLIER] * 10_000)
    first = submit(*echoes(3), name="first")
    Seen(first).until(lambda at: at.phase == "at_groq")
    answers = submit(*echoes(5), now=True)
    Seen(answers).until(lambda at: at.answered == 2 and at.phase == "at_groq")
    assert line.count(CHAT) == 2
    line._acts.clear()
    assert answers.wait(WAIT_S).texts == numbers(5)
    assert line.count(CHAT) == 2


def test_rows_that_expired_are_asked_now(line: Line) -> None:
    """The cell of a batch that expired is run with --now: what has no answer is asked one by one."""
    asked = ["[[echo]]0", "[[expire]][[echo]]1", "[[echo]]2", "[[echo]]3"]
    first = submit(*asked).wait(WAIT_S)
    assert first.counts == {"ok": 2, "expired": 2}
    gate = held(line, after=0)
    answers = submit(*asked, now=True)
    seen = Seen(answers).until(lambda at: at.phase == "sending" and at.direct)
    assert (seen.again, seen.status) == (2, "sending")
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(4)
    assert (line.count(CHAT), line.count(UPLOAD)) == (2, 1)


def test_prompts_that_are_being_asked_are_not_asked_twice(line: Line, one_at_a_time: None) -> None:
    """While `--now` asks, the same cell joins it and another one waits for its rows: none is asked twice."""
    gate = held(line, after=1)
    first = submit(*echoes(4), now=True, name="first")
    assert gate.arrived.wait(WAIT_S)
    joined, other = submit(*echoes(4), name="joined"), submit(*echoes(3), name="other")
    seen = Seen(other).until(lambda at: at.direct)
    assert (seen.phase, seen.status, seen.done) == ("sending", "sending", False)
    gate.opened.set()
    assert [answers.wait(WAIT_S).texts for answers in (first, joined, other)] == [
        numbers(4),
        numbers(4),
        numbers(3),
    ]
    assert joined.job_id == first.job_id
    assert (line.count(CHAT), line.count(UPLOAD)) == (4, 0)


def test_another_process_that_asks_is_followed(line: Line, one_at_a_time: None) -> None:
    """Where somebody else asks, his counts are on the card; when he ends, what he left is asked here."""
    left = killed(line, echoes(5), after=2)
    book = ledger.current()
    book.update_shard(shards(left)[0], completed=3)
    with filelock.FileLock(book.lock_path(left.job_id)):
        answers = client.attach("killed")
        seen = Seen(answers).until(lambda at: at.answered == 3)
        assert (seen.phase, seen.direct) == ("sending", True)
        assert line.count(CHAT) == 0
    assert answers.wait(WAIT_S).texts == numbers(5)
    assert line.count(CHAT) == 3


def test_another_key_goes_on_where_one_was_refused(line: Line, one_at_a_time: None) -> None:
    """A key that is revoked half-way is replaced by the one in use now, and no answer is asked for twice."""
    gate = Gate(then=REVOKED)
    line.on(CHAT, None, None, gate)
    answers = submit(*echoes(5), now=True)
    assert gate.arrived.wait(WAIT_S)
    services._chosen = replace(services.current(), key=Key("gsk_another"))
    submit(*echoes(5), now=True)  # the cell is run again with it
    gate.opened.set()
    assert answers.wait(WAIT_S).texts == numbers(5)
    assert line.count(CHAT) == 6
    assert shards(answers)[0].key_fingerprint == services.current().key_fingerprint


def test_a_retry_keeps_the_way_of_its_job(line: Line) -> None:
    """What failed with --now is asked again one by one."""
    line.on(CHAT, refuses(400, "No."))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    assert answers.retry().wait(WAIT_S).texts == ["a"]
    assert (line.count(CHAT), line.count(UPLOAD)) == (2, 0)


def test_a_retry_that_came_to_nothing_makes_room_for_the_next(line: Line) -> None:
    """A typo in a retry's model is no end: the next retry takes its place."""
    line.on(CHAT, refuses(400, "No."))
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    with pytest.raises(NotSent):
        answers.retry(model="typo").wait(WAIT_S)
    assert answers.retry().wait(WAIT_S).texts == ["a"]


def test_samples_and_equal_prompts_are_asked_as_in_a_batch(line: Line) -> None:
    """Each sample is a request of its own, and with `unique` equal prompts are one."""
    answers = submit(*["[[echo]]a"] * 3, "[[echo]]b", now=True, samples=2, unique=True).wait(WAIT_S)
    assert answers.texts == ["a"] * 6 + ["b"] * 2
    assert line.count(CHAT) == 4


# --- what is said ---------------------------------------------------------------------------------------


def test_a_look_tells_the_price_and_changes_nothing(line: Line, one_at_a_time: None, long_ago: None) -> None:
    """A dry run of --now says how it would be asked; of a job left half-way it counts what is left."""
    left = killed(line, echoes(4), after=1)
    plan = client.plan(prompts.from_source(echoes(4)), Settings(now=True))
    assert (plan.prompts, plan.reused, plan.settings) == (
        3,
        1,
        "each by itself, at on-demand price, twice the batch price",
    )
    plan = client.plan(prompts.from_source(echoes(3)), Settings())
    assert (plan.prompts, plan.reused, plan.settings) == (2, 1, "window '24h'")
    assert states(left) == ["direct"]
    assert line.asked == []


def test_no_batch_price_is_shown_for_what_was_no_batch(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked one by one costs the on-demand price, file by file, in the list and in `cost`."""
    answers = submit("[[echo]]a", now=True).wait(WAIT_S)
    book = ledger.current()
    job, (shard,) = book.job(answers.job_id), book.shards(answers.job_id)
    at_groq = replace(job, service="https://api.groq.com")
    shard = replace(shard, prompt_tokens=1_000_000, completion_tokens=1_000_000)
    batched = replace(shard, batch_id="batch_01")
    assert listing._cost(at_groq, [shard]) == pytest.approx(0.075 + 0.30)
    assert listing._cost(at_groq, [shard, batched]) == pytest.approx(1.5 * (0.075 + 0.30))
    used, would = answers.usage, spending.cost(answers._rows, range(1), free=False)
    assert would is not None
    assert would.paid == pytest.approx((0.075 * used.prompt_tokens + 0.30 * used.completion_tokens) / 1e6)
    assert listing.batches()[0].cost == 0.0


def test_now_has_no_window() -> None:
    """`now` and another window than the usual one cannot both be meant."""
    with pytest.raises(InputError, match="leave one of them out"):
        Settings(window="7d", now=True)


def asked_by_name(call: Callable[..., Answers]) -> Answers:
    """What a call without magics makes of one prompt."""
    return call(["[[echo]]a"], now=True).wait(WAIT_S)


def test_submit_asks_now(line: Line) -> None:
    """`submit(…, now=True)` is `--now`."""
    assert asked_by_name(client.submit).texts == ["a"]
    assert (line.count(CHAT), line.count(MODELS), line.count(UPLOAD)) == (1, 1, 0)


TORN: Act = unanswered(httpx.ReadError)


def test_a_reply_that_is_lost_is_asked_for_again(line: Line) -> None:
    """A request that was carried out and not heard is asked once more: the one thing that is paid twice."""
    line.on(CHAT, TORN)
    assert submit("[[echo]]a", now=True).wait(WAIT_S).texts == ["a"]
    assert line.count(CHAT) == 2
