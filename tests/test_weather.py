"""Whatever happens to requests on their way, and at the service: every answer arrives, and is paid, once.

A seed gives a schedule of faults for a proxy (`tests/proxy.py`), prompts with marks, faults armed in the
sandbox, and the moments when the client is left and started again. A failure names its seed and what each
request met. `GROQ_MAGIC_TEST_WEATHER=500` has 500 seeds run instead of 12, at about 2 seconds each.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import api, client, ledger, pipeline, prompts, services
from groq_magic import job as jobs
from groq_magic.answers import Answer, Answers
from groq_magic.errors import StillRunning
from groq_magic.job import Shard
from groq_magic.settings import Settings
from tests import offline
from tests.desk import KEY, create_body, lines_of
from tests.proxy import FAULTS, KINDS, Schedule, proxy
from tests.soak import FAULTS as ARMED
from tests.sockets import arm, batches, content, disarm, forward, sandbox

SEEDS = range(int(os.environ.get("GROQ_MAGIC_TEST_WEATHER", "12")))
# When the cancel comes: at the first batch, or amid a first create that is not answered.
CANCELS = [(seed, "created") for seed in range(max(len(SEEDS), len(FAULTS)))]
CANCELS += [(seed, "creating") for seed, _ in CANCELS if FAULTS[Schedule(seed)("create")].then == "silence"]
SEEDS_A_SANDBOX = 12  # its list of batches grows to several pages, each of which may be lost
PACE_S = 1_000.0  # nothing is answered before the sandbox's clock is turned
LIMIT_S = 0.3  # for how long the client waits for a reply
PATIENCE_S = 1.0  # the same, where a slow machine must not be taken for a fault

# A mark for a row, and what becomes of it.
ROWS = {
    "": ("ok", None),
    "[[double]]": ("ok", None),
    "[[cut]]": ("cut", None),
    "[[fail]]": ("failed", "json_validate_failed"),
    "[[lose]]": ("missing", "no_reply"),
}
UNANSWERED_CREATE = "[[create-500]]"  # in each cell, so that lists are asked for
# Marks for the row's whole batch that change no answer.
OF_THE_BATCH = (
    "[[late]]",
    "[[reset-download]]",
    "[[truncate-download]]",
    "[[slow]]",
    "[[status]]",
    "[[nulls]]",
)

seen: list[Schedule] = []  # the weather of every test so far

Services = Callable[[int], str]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Sandboxes by number; one runs until another is asked for."""
    with contextlib.ExitStack() as running:
        urls: dict[int, str] = {}

        def service(number: int) -> str:
            if number not in urls:
                running.close()
                urls.clear()
                home = tmp_path_factory.mktemp("sandbox")
                urls[number] = running.enter_context(sandbox(home, "--pace", str(PACE_S)))
            return urls[number]

        yield service


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits for as little as can be."""
    pause = pipeline.Run._pause

    async def short(self: pipeline.Run, seconds: float) -> None:
        await pause(self, min(seconds, 0.02))

    monkeypatch.setattr(pipeline.Run, "_pause", short)
    monkeypatch.setattr(pipeline, "SURE_AFTER_S", 0.1)
    monkeypatch.setattr(jobs, "ask_again_s", lambda age_s: 0.1)
    monkeypatch.setattr(api, "_TIMEOUT", httpx.Timeout(LIMIT_S, connect=10))


class Cell:
    """A notebook's cell in the weather of a seed: it can be run, left, and run again in a new kernel."""

    def __init__(self, url: str, line: str, schedule: Schedule, chance: random.Random) -> None:
        self._service, self._line, self._schedule, self._chance = url, line, schedule, chance
        self.known = {batch["id"] for batch in batches(url)}
        self.rows = chance.choice([5, 7, 10])
        self.wanted = {
            f"{mark}{more}[[echo]]seed {schedule.seed}, row {n}": ROWS[mark]
            for n in range(20)
            for mark in chance.choices(list(ROWS), weights=[12, 1, 1, 1, 1])
            for more in [UNANSWERED_CREATE if n == 0 else chance.choice(OF_THE_BATCH) if n % 7 == 1 else ""]
        }
        for fault in chance.sample(ARMED, chance.choice([0, 1, 2, 3])):
            arm(url, **fault)

    def run(self) -> Answers:
        """The answers of a client that was started now."""
        offline.restart()
        services.use_sandbox(self._line)
        asked = prompts.from_source(list(self.wanted))
        self.answers = client.send(asked, Settings(shard_rows=self.rows), name="answers")
        return self.answers

    def shards(self) -> list[Shard]:
        """What the ledger says of them."""
        return ledger.current().shards(self.answers.job_id)

    def until_later(self) -> None:
        """Waits until some more requests have met the weather."""
        count = len(self._schedule.record) + self._chance.randint(1, 20)
        offline.until(lambda: len(self._schedule.record) >= count)

    def ended(self) -> Answers:
        """The answers at their end. Where the client says that the cell is to be run again, it is."""
        while True:
            if not any(shard.state == "unsure" for shard in offline.until(self._arrived)):
                while not self.answers.done:
                    forward(self._service, PACE_S)
                    with contextlib.suppress(StillRunning):
                        self.answers.wait(0.1)
                if all(shard.state in ("collected", "cancelled") for shard in self.shards()):
                    return self.answers
                codes = {answer.error.code for answer in self.answers.failed if answer.error}
                assert "no_results" in codes
            self.run()

    def _arrived(self) -> list[Shard]:
        """All shards, once there is nothing more to be sent; before that, none."""
        shards = self.shards()
        return [] if any(map(self._on_its_way, shards)) else shards

    def _on_its_way(self, shard: Shard) -> bool:
        """Whether a shard's batch, or the cancel of it, has yet to reach the service."""
        step = jobs.next_step(shard)
        if shard.state == "unsure":  # until the run takes it up again, the word is from the run before
            return self.answers[shard.first_row].status == "pending"
        if step == "watch" and ledger.current().job(shard.job_id).cancel_requested_at is not None:
            return shard.status not in jobs.ENDED | {"cancelling"}
        return step in ("upload", "create", "search")

    def made(self) -> list[dict[str, Any]]:
        """The batches that the sandbox made of it, by its own word."""
        disarm(self._service)
        return [batch for batch in batches(self._service) if batch["id"] not in self.known]

    def paid(self) -> collections.Counter[str]:
        """For each prompt, how many batches have an answer or an error for it."""
        found: collections.Counter[str] = collections.Counter()
        for batch in self.made():
            asked = {line["custom_id"]: prompt_in(line) for line in self._lines(batch["input_file_id"])}
            lines = [*self._lines(batch["output_file_id"]), *self._lines(batch["error_file_id"])]
            found.update({asked[line["custom_id"]] for line in lines})
        return found

    def _lines(self, file_id: str | None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in content(self._service, file_id).splitlines()] if file_id else []


def prompt_in(line: dict[str, Any]) -> str:
    """What a line of an input file asks."""
    asked: str = line["body"]["messages"][-1]["content"]
    return asked


@contextlib.contextmanager
def cell_in_the_weather(seed: int, url: str, folder: Path) -> Iterator[Cell]:
    """A cell in the weather of this seed; an error that leaves the block says what that was."""
    schedule = Schedule(seed)
    seen.append(schedule)
    try:
        with proxy(url, schedule) as line, offline.home(folder / "home"):
            yield Cell(url, line, schedule, random.Random(seed))
    except BaseException as exc:
        exc.add_note(repr(schedule))
        raise
    finally:
        disarm(url)


def outcome(answer: Answer) -> tuple[str, str | None]:
    """Status and error's code."""
    return answer.status, answer.error.code if answer.error else None


def check(cell: Cell) -> None:
    """Every prompt has its own answer or its reason, of one batch; a file's younger batch was cancelled."""
    answers = cell.ended()
    assert {answer.prompt: outcome(answer) for answer in answers} == cell.wanted
    assert [answer.prompt for answer in answers] == list(cell.wanted)
    for answer in answers:
        asked = str(answer.prompt).partition("[[echo]]")[2]
        said = {"ok": asked, "cut": asked[: len(asked) // 2]}.get(answer.status)
        assert answer.text == said
    made = cell.made()
    living = [batch for batch in made if batch["status"] not in ("cancelling", "cancelled")]
    assert sorted(batch["input_file_id"] for batch in living) == sorted(str(s.file_id) for s in cell.shards())
    oldest = {batch["input_file_id"]: batch["id"] for batch in made}  # the newest come first
    assert {batch["id"] for batch in living} == set(oldest.values())
    kept = [asked for asked, end in cell.wanted.items() if end[1] != "no_reply"]
    assert cell.paid() == collections.Counter(kept)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed % 3])
def test_every_answer_arrives_once_in_any_weather(seed: int, shared: Services, tmp_path: Path) -> None:
    """Each prompt has its answer or its reason, of one batch; what was made twice was cancelled unpaid."""
    with cell_in_the_weather(seed, shared(seed // SEEDS_A_SANDBOX), tmp_path) as cell:
        cell.run()
        check(cell)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if not seed % 3])
def test_a_run_left_in_bad_weather_goes_on_in_it(seed: int, shared: Services, tmp_path: Path) -> None:
    """A client that is left at any moment and started again loses no answer, and asks for none again."""
    with cell_in_the_weather(seed, shared(seed // SEEDS_A_SANDBOX), tmp_path) as cell:
        cell.run()
        for _ in range(2):
            cell.until_later()
            cell.run()
        check(cell)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(("seed", "state"), CANCELS)
def test_a_cancel_is_carried_out_in_any_weather(
    seed: int, state: str, shared: Services, tmp_path: Path
) -> None:
    """After a cancel amid the sending no batch is left that would be paid, and every row says so."""
    with cell_in_the_weather(seed, shared(-1 - seed // SEEDS_A_SANDBOX), tmp_path) as cell:
        answers = cell.run()
        offline.until(lambda: any(shard.state == state for shard in cell.shards()))
        answers.cancel()
        assert {status for status, _ in map(outcome, cell.ended())} == {"cancelled"}
        assert {batch["status"] for batch in cell.made()} <= {"cancelling", "cancelled"}
        assert cell.paid() == {}


def test_every_fault_met_every_kind_of_request() -> None:
    """The weather was not calm anywhere: the tests above brought each fault to each kind of request."""
    if len(seen) < len(SEEDS) + len(CANCELS) or len(SEEDS) < len(FAULTS):
        pytest.skip("counts what the tests above met, and not all of them were run")
    met = {each for schedule in seen for each in schedule.record}
    assert {(kind, fault) for kind in KINDS for fault in FAULTS} <= met


# --- the proxy itself -----------------------------------------------------------------------------------


def upload(url: str, name: str) -> str:
    """Uploads a file; what the client gets for it, in the words of the proxy's table."""
    begun = False
    how: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": (name, lines_of("one"))}}
    try:
        with to(url) as line, line.stream("POST", "/files", **how) as reply:
            begun = True
            body = reply.read()
    except httpx.ReadTimeout:
        return "silence"
    except (httpx.ReadError, httpx.RemoteProtocolError):
        return "half" if begun else "reset"
    html = reply.headers["content-type"].startswith("text/html") and body.startswith(b"<html>")
    return f"page {reply.status_code}" if html else "reply"


def to(url: str) -> httpx.Client:
    """A client for the service at `url`, or for a proxy before it."""
    key = {"authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=f"{url}/openai/v1", headers=key, timeout=PATIENCE_S, trust_env=False)


def named(url: str, name: str) -> list[str]:
    """The ids of the files of this name that the service has."""
    with to(url) as line:
        return [file["id"] for file in line.get("/files").json()["data"] if file["filename"] == name]


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_the_proxy_does_what_its_table_says(fault: str, shared: Services) -> None:
    """The service gets the request as often as the fault's row says, and the client gets what it says."""
    row = FAULTS.get(fault)
    url, name = shared(-1), f"{fault or 'pass'}.jsonl"
    with proxy(url, lambda kind: fault) as line:
        assert upload(line, name) == (row.then if row else "reply")
    assert len(named(url, name)) == (row.times if row else 1)


def test_a_late_create_is_not_in_the_list_that_comes_first(shared: Services) -> None:
    """What is late is done only after a list has been read without it, and before the next one."""
    url = shared(-1)
    upload(url, "for a late create.jsonl")
    [file_id] = named(url, "for a late create.jsonl")
    with proxy(url, lambda kind: "late" if kind == "create" else "") as through, to(through) as line:
        with pytest.raises(httpx.ReadTimeout):
            line.post("/batches", json=create_body(file_id))
        lists = [line.get("/batches").json()["data"] for _ in range(2)]
    assert [sum(batch["input_file_id"] == file_id for batch in each) for each in lists] == [0, 1]


def test_the_proxy_hides_no_fault_of_the_sandbox(shared: Services) -> None:
    """What the sandbox resets, answers by half or with a page is so for the client, too."""
    url = shared(-1)
    with proxy(url, lambda kind: "") as line:
        for fault, gets in (("reset", "reset"), ("reset_reply", "half"), ("garbage", "page 200")):
            arm(url, fault, on="POST /files")
            assert upload(line, f"{fault}.jsonl") == gets


def test_a_seed_gives_the_same_weather_in_any_order() -> None:
    """What the n-th request of a kind meets depends on the seed, not on requests of other kinds."""
    asked = [kind for kind in KINDS for _ in range(20)]
    mixed = random.Random(1).sample(asked, len(asked))
    first, second, other = Schedule(1), Schedule(1), Schedule(2)
    for kind, another in zip(asked, mixed, strict=True):
        first(kind), second(another), other(kind)
    assert repr(first) == repr(second)
    assert sorted(first.record) != sorted(other.record)
