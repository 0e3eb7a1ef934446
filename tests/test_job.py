import pytest

from groq_magic import job as jobs
from groq_magic.job import Job, Shard, Snapshot

JOB = Job(
    job_id="job",
    created_at=1_780_000_000.0,
    service="https://api.groq.com",
    base_url="https://api.groq.com",
    key_fingerprint="00000000",
    notebook="book",
    name="answers",
    model="openai/gpt-oss-20b",
    endpoint="/v1/chat/completions",
    window="24h",
    prompts=4,
    content="00",
)
STOPPED = Job(**{**JOB.__dict__, "stopped": "No."})


def shard(state: str, status: str | None = None, *, number: int = 0, batch_id: str | None = None) -> Shard:
    """A shard in this state, its batch in that status."""
    return Shard("job", number, state, 2 * number, 2, 100, "ours-", "c", batch_id=batch_id, status=status)


STEPS = {
    "cut": "upload",
    "uploading": "upload",
    "uploaded": "create",
    "creating": "search",
    "created": "watch",
    "direct": "ask",
    "ended": "collect",
    "unsure": "rest",
    "saved": "rest",
    "withdrawn": "rest",
    "refused": "rest",
    "collected": "rest",
    "cancelled": "rest",
}


@pytest.mark.parametrize("state", STEPS)
def test_the_state_on_the_ledger_decides_the_next_step(state: str) -> None:
    """Each state leads to one step, and a create that was begun is never simply done again."""
    assert jobs.next_step(shard(state)) == STEPS[state]


def test_no_state_is_without_a_step_and_none_is_untested() -> None:
    """The table here and the one in the code have the same states."""
    assert jobs._STEPS.keys() == STEPS.keys()


@pytest.mark.parametrize(
    ("job", "states", "settled", "phase"),
    [
        (JOB, ["cut"], set(), "sending"),
        (JOB, ["uploading", "created"], set(), "sending"),
        (JOB, ["uploaded", "collected"], {1}, "sending"),
        (JOB, ["creating"], set(), "sending"),
        (JOB, ["direct", "collected"], {1}, "sending"),
        (JOB, ["direct", "collected"], {0, 1}, "done"),
        (JOB, ["created", "created"], set(), "at_groq"),
        (JOB, ["created", "ended"], set(), "at_groq"),
        (JOB, ["created", "collected"], {1}, "at_groq"),
        (JOB, ["ended"], set(), "collecting"),
        (JOB, ["collected"], set(), "collecting"),
        (JOB, ["unsure"], set(), "collecting"),
        (JOB, ["collected", "unsure"], {0, 1}, "done"),
        (JOB, ["created"], {0}, "done"),
        (JOB, ["cancelled", "refused"], {0, 1}, "done"),
        (STOPPED, ["refused"], {0}, "not_sent"),
        (STOPPED, ["cut"], set(), "not_sent"),
    ],
)
def test_the_phase_follows_from_the_shards(
    job: Job, states: list[str], settled: set[int], phase: str
) -> None:
    """The shard that is furthest behind decides, and the end is where all rows have theirs."""
    shards = [shard(state, number=number) for number, state in enumerate(states)]
    assert jobs.phase(job, shards, settled) == phase


@pytest.mark.parametrize(
    ("state", "batch_id", "direct"),
    [
        ("direct", None, True),
        ("collected", None, True),
        ("collected", "batch_1", False),
        ("created", "batch_1", False),
        ("cut", None, False),
        ("cancelled", None, False),
        ("withdrawn", None, False),
    ],
)
def test_what_was_asked_one_by_one_is_known_by_its_shard(
    state: str, batch_id: str | None, direct: bool
) -> None:
    """A shard that is asked, or that has its answers without a batch, went through the ordinary endpoint."""
    assert shard(state, batch_id=batch_id).direct is direct


def test_a_job_begins_the_way_its_window_says() -> None:
    """A job of `--now` has shards to be asked, every other one shards to be sent."""
    assert (JOB.unsent, Job(**{**JOB.__dict__, "window": jobs.NOW}).unsent) == ("cut", "direct")


def test_a_job_of_which_something_was_sent_is_not_unsent() -> None:
    """Where one batch was made, the job has an end like any other, whatever stopped the rest."""
    shards = [shard("collected", "completed", batch_id="batch_1"), shard("refused", number=1)]
    assert jobs.phase(STOPPED, shards, {0, 1}) == "done"


@pytest.mark.parametrize(
    ("phase", "shards", "word"),
    [
        ("sending", [shard("cut")], "sending"),
        ("not_sent", [shard("refused")], "not sent"),
        ("at_groq", [shard("created")], "validating"),
        ("at_groq", [shard("created", "in_progress"), shard("created", "validating")], "validating"),
        ("at_groq", [shard("created", "finalizing"), shard("created", "in_progress")], "in_progress"),
        ("at_groq", [shard("created", "finalizing"), shard("created", "cancelling")], "cancelling"),
        ("at_groq", [shard("collected", "completed"), shard("created", "finalizing")], "finalizing"),
        ("at_groq", [shard("created", "queued"), shard("created", "validating")], "queued"),
        ("at_groq", [shard("unsure"), shard("created", "in_progress")], "in_progress"),
        ("collecting", [shard("ended", "completed")], "finalizing"),
        ("done", [shard("collected", "completed")], "completed"),
        ("done", [shard("collected", "completed"), shard("collected", "expired")], "expired"),
        ("done", [shard("collected", "expired"), shard("collected", "failed")], "failed"),
        ("done", [shard("collected", "failed"), shard("unsure")], "unsure"),
        ("done", [shard("collected", "completed"), shard("cancelled")], "cancelled"),
        ("done", [shard("collected", "completed"), shard("refused")], "not collected"),
        ("done", [shard("collected", "completed"), shard("direct", "in_progress")], "not collected"),
        ("done", [shard("created", "in_progress"), shard("collected", "completed")], "not collected"),
    ],
)
def test_one_word_stands_for_all_batches(phase: str, shards: list[Shard], word: str) -> None:
    """Under way it is the word of the batch furthest from its end; at the end the worst one."""
    assert jobs.status(shards, phase) == word


@pytest.mark.parametrize(
    ("word", "window", "said"),
    [
        ("validating", "24h", "Groq is checking the file."),
        ("expired", "24h", "The 24h window ended first. Only what was answered is charged."),
        ("expired", "7d", "The 7d window ended first. Only what was answered is charged."),
        ("completed", "24h", ""),
        ("queued", "24h", "Groq calls this “queued”."),
        ("{odd}", "24h", "Groq calls this “{odd}”."),
    ],
)
def test_a_word_is_said_in_a_sentence(word: str, window: str, said: str) -> None:
    """Known words are explained with the window in use; an unknown one is shown as Groq's own."""
    assert jobs.meaning(word, window) == said


def test_every_word_that_a_job_ends_with_has_a_meaning() -> None:
    """No ending is left for the reader to guess."""
    assert set(jobs._ENDINGS) <= jobs.MEANING.keys()


@pytest.mark.parametrize(
    ("age_s", "soonest", "latest"),
    [
        *((-5, 0.09, 0.11), (0, 0.09, 0.11), (0.4, 0.45, 0.55), (1, 0.9, 1.1), (20, 0.9, 1.1)),
        *((200, 9, 11), (1_200, 54, 66), (1e9, 54, 66)),
    ],
)
def test_asking_again_waits_from_a_moment_to_a_minute(age_s: float, soonest: float, latest: float) -> None:
    """A second soon, then a twentieth of a batch's age, 60 s at most, give or take a tenth."""
    assert jobs.ask_again_s(age_s, 0.0) == pytest.approx(soonest)
    assert jobs.ask_again_s(age_s, 1.0) == pytest.approx(latest)
    assert soonest <= jobs.ask_again_s(age_s) <= latest


def snapshot(phase: str, counts: dict[str, int], served: int, served_failed: int) -> Snapshot:
    """A snapshot of ten prompts."""
    return Snapshot(
        job_id="job",
        name="answers",
        model="m",
        badge="b",
        sandbox=False,
        prompts=10,
        phase=phase,
        status="in_progress",
        shards=1,
        shards_sent=1,
        counts=counts,
        served=served,
        served_failed=served_failed,
        created_at=1_780_000_000.0,
        now=1_780_000_001.0,
    )


@pytest.mark.parametrize(
    ("phase", "counts", "served", "shown"),
    [
        ("at_groq", {"pending": 10}, (6, 1), (6, 1, 3)),
        ("at_groq", {"pending": 5, "ok": 4, "failed": 1}, (2, 0), (6, 1, 3)),
        ("at_groq", {"pending": 10}, (0, 0), (0, 0, 10)),
        ("at_groq", {"pending": 10}, (11, 3), (10, 3, 0)),
        ("at_groq", {"pending": 7, "ok": 1, "cancelled": 2}, (1, 0), (2, 0, 6)),
        ("done", {"ok": 7, "cut": 1, "failed": 1, "missing": 1}, (9, 1), (8, 1, 0)),
    ],
)
def test_a_snapshot_counts_what_is_known(
    phase: str, counts: dict[str, int], served: tuple[int, int], shown: tuple[int, int, int]
) -> None:
    """Under way the service's counts run ahead of what is here; at the end only what is here counts."""
    now = snapshot(phase, counts, *served)
    assert (now.answered, now.failed, now.left) == shown


@pytest.mark.parametrize(
    ("phase", "done"),
    [("sending", False), ("at_groq", False), ("collecting", False), ("done", True), ("not_sent", True)],
)
def test_a_snapshot_knows_when_nothing_more_will_happen(phase: str, done: bool) -> None:
    """Done and not sent are ends; everything else goes on."""
    assert snapshot(phase, {}, 0, 0).done is done


def test_results_are_to_be_collected_within_thirty_days() -> None:
    """The date shown is 30 days after the job was made."""
    assert snapshot("at_groq", {}, 0, 0).collect_before == 1_780_000_000.0 + 30 * 86_400
