"""What a snapshot tells of a batch under way: what can be read already, where each file is, what was cut."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from prompt_toolkit.utils import get_cwidth

from groq_magic import client, ledger, runs, services
from groq_magic import job as jobs
from groq_magic.card import forecast
from groq_magic.card.line import TerminalLine
from groq_magic.view import View
from tests import offline
from tests.line import EARLIER, POLL, UPLOAD, Gate, Line, Seen, echoes, last, line, pauses, submit
from tests.states import RUNNING

__all__ = ["line", "pauses"]  # fixtures


def test_answers_of_the_first_files_are_seen_while_others_are_sent(line: Line) -> None:
    """As soon as the first file has come back, its answers are on the card, and where each file is."""
    gate = Gate()
    line.on(UPLOAD, None, gate)
    answers = submit(*echoes(6), shard_rows=2)
    now = Seen(answers).until(lambda now: now.readable > 0)
    assert (now.readable, now.files[0], "w" in now.files) == (2, "d", True)
    assert now.first_answers == ((0, "[[echo]]0", "0"), (1, "[[echo]]1", "1"))
    gate.opened.set()
    answers.wait(30)
    assert (last(answers).readable, last(answers).files) == (6, "ddd")
    assert [row for row, _, _ in last(answers).first_answers] == [0, 1, 2]


def test_the_order_of_files_is_that_of_the_prompts(line: Line) -> None:
    """What can be read already is what stands at the beginning, without a gap."""
    gate = Gate()
    line.on(UPLOAD, gate)
    answers = submit(*echoes(4), shard_rows=2)
    offline.until(lambda: client.look(answers).counts.get("ok") == 2)
    assert client.look(answers).readable == 0
    gate.opened.set()
    answers.wait(30)


def test_twice_what_was_allowed_is_offered_to_what_was_cut(line: Line) -> None:
    """The card can name a limit for the retry; where none was given, it names none."""
    answers = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(30)
    assert last(answers).more_tokens == 60
    assert last(submit("[[cut]][[echo]]abcd").wait(30)).more_tokens == 0
    assert last(submit("[[echo]]abcd").wait(30)).more_tokens == 0


def test_a_problem_knows_how_its_rows_ended(line: Line) -> None:
    """What to type about a failure depends on whether it failed, expired or never came."""
    answers = submit("[[fail]] x", "[[lose]] y", "[[echo]]z").wait(30)
    found = {problem.status for problem in last(answers).problems}
    assert found == {"failed", "missing"}


# --- how long it may take -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "left", "now"),
    [
        ((), 10, 0.0),
        (((0.0, 0), (1.0, 1), (2.0, 2)), 10, 2.0),  # two steps
        (((0.0, 0), (1.0, 1), (2.0, 2), (3.0, 3)), 0, 3.0),  # nothing is left
    ],
)
def test_of_too_little_nothing_is_forecast(
    history: tuple[tuple[float, int], ...], left: int, now: float
) -> None:
    """Before three steps forward nobody can tell."""
    assert forecast.between(history, left, now) is None


def test_a_forecast_lies_between_the_pace_of_the_whole_and_of_late() -> None:
    """By hand: 40 in 40 s at first, then 10 in 50 s, 30 left: between 54 s and 150 s on."""
    history = (
        *((float(n), n) for n in range(0, 41, 10)),
        *((40.0 + 10 * n, 40 + 2 * n) for n in range(1, 6)),
    )
    near, far = forecast.between(history, 30, 90.0) or (0, 0)
    assert (near, far) == (pytest.approx(90 + 30 / (50 / 90)), pytest.approx(90 + 30 / (10 / 50)))


def test_a_clock_that_was_set_back_forecasts_nothing() -> None:
    """Where time does not go forward there is no pace."""
    steps = [(10.0 * n, n) for n in range(8)]
    assert forecast.between(steps, 7, 60.0) is None
    assert forecast.between([*steps, (5.0, 9)], 7, 80.0) is None


def test_what_was_read_here_says_nothing_of_the_pace(line: Line) -> None:
    """Answers that an earlier batch brings at once do not count as the speed of this one."""
    submit(*echoes(4), name="before").wait(30)
    line.on(POLL, *[EARLIER] * 10_000)
    answers = submit(*echoes(8))
    Seen(answers).until(lambda now: now.phase == "at_groq" and now.checked_at is not None)
    assert client.look(answers).history[0][1] == 4


def test_a_check_that_brings_nothing_new_is_neither_written_nor_told(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of batches are watched without a write or a snapshot for each reply that says the same."""
    services.use_sandbox(pace_s=36_000)
    monkeypatch.setattr(jobs, "ask_again_s", lambda age_s: 0.02)
    answers = submit(*echoes(2))
    seen = Seen(answers)
    seen.until(lambda now: now.checked_at is not None)
    written: list[object] = []
    monkeypatch.setattr(ledger.Ledger, "update_shard", lambda self, shard, **facts: written.append(facts))
    monkeypatch.setattr(View, "_to_tell", lambda self: ())  # it stays the same minute
    offline.until(lambda: line.count(POLL) > 20)
    told, asked = len(seen.snapshots), line.count(POLL)
    offline.until(lambda: line.count(POLL) > asked + 20)
    assert written == []
    assert len(seen.snapshots) == told
    answers.verbs.check_now()
    offline.until(lambda: len(seen.snapshots) > told)


def test_a_job_that_takes_long_to_look_at_is_told_of_seldom(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its watchers hear of many changes together, and of the end at once."""
    monkeypatch.setattr("groq_magic.view._QUICK_S", -1.0)
    monkeypatch.setattr("groq_magic.view._REST", 1e9)
    answers = submit(*echoes(12), shard_rows=2)
    seen = Seen(answers)
    seen.until(lambda now: now.done)
    assert len(seen.snapshots) <= 4


def test_only_what_is_under_way_expires(line: Line) -> None:
    """A file that has come back expires no more, whatever its window was."""
    gate = Gate()
    line.on(UPLOAD, None, gate)
    answers = submit(*echoes(4), shard_rows=2)
    Seen(answers).until(lambda now: now.readable == 2)
    assert client.look(answers).expires_at is None
    gate.opened.set()
    answers.wait(30)


def test_a_silence_moves_the_far_end() -> None:
    """While nothing more comes, the far end of the forecast goes further away."""
    history = tuple((10.0 * n, n) for n in range(8))
    ends = [(forecast.between(history, 7, now) or (0, 0))[1] - now for now in (70.0, 100.0, 400.0)]
    assert all(sooner < later for sooner, later in pairwise(ends))


def test_a_long_history_keeps_its_beginning(line: Line) -> None:
    """However many steps there were, the curve shows the whole way in a bounded number of points."""
    answers = submit("[[echo]]x").wait(30)
    run = runs.held(answers.job_id)
    view: View = run.view if run else pytest.fail("the run is held until the kernel ends")
    view._history = [(float(n), n) for n in range(60)]
    view.changed()
    assert len(view._history) <= 60
    assert view._history[0] == (0.0, 0)


# --- in a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["answers", "答え" * 20])
def test_a_redrawn_line_is_no_wider_than_the_terminal(
    name: str, line: Line, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that wrapped could not be redrawn in place; signs of double width count twice."""
    monkeypatch.setenv("COLUMNS", "40")
    answers = submit("[[echo]]x", name=name).wait(30)
    shown = TerminalLine(answers)
    shown(replace(RUNNING, name=name))
    shown.redraw()
    (drawn,) = capsys.readouterr().out.split("\r\x1b[K")[1:]
    assert 30 < get_cwidth(drawn) <= 39
    assert drawn.endswith("…")


def test_the_redrawn_line_ends_with_all_there_is_to_say(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever waits is left with the end, said once, however late the last look before it was."""
    answers = submit("[[echo]]x", name="answers").wait(30)
    shown = TerminalLine(answers)
    client.watch(answers, shown)
    shown(RUNNING)
    answers.wait(30)
    answers.wait(30)
    out = capsys.readouterr().out
    assert out.count("All") + out.count("Answered.") == 1
    assert out.endswith("\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_an_output_of_few_letters_is_given_what_it_can_show(
    encoding: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal that cannot encode our signs gets question marks, and the cell goes on."""
    narrow = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", narrow)
    answers = submit("[[echo]]naïve →", name="answers")
    shown = TerminalLine(answers)
    client.watch(answers, shown)
    shown.begin()
    answers.wait(30)
    narrow.flush()
    assert b"answers" in narrow.buffer.getvalue()  # type: ignore[attr-defined]
