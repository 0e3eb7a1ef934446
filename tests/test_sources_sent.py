"""From every kind of source to its answers: what is sent, what is skipped, which columns come back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groq_magic import client, ledger, runs, shards
from groq_magic.answers import Answers
from groq_magic.card import picture, words
from groq_magic.errors import InputError, StillRunning
from groq_magic.job import SEVERAL_MODELS
from tests.line import EARLIER, POLL, WAIT_S, Line, ends, forget, last, line, pauses, sent

__all__ = ["line", "pauses"]  # fixtures

CHAT, HEAR = "/v1/chat/completions", "/v1/audio/transcriptions"


def submit(source: object, **how: Any) -> list[str | None]:
    """The texts that a source comes to."""
    return ask(source, **how).texts


def ask(source: object, **how: Any) -> Answers:
    """The answers that a source comes to, at their end."""
    return client.submit(source, **how).wait(WAIT_S)


def echoing(custom_id: str, said: str, **body: object) -> dict[str, object]:
    """A whole request line whose reply is what is said."""
    messages = [{"role": "user", "content": f"[[echo]]{said}"}]
    whole = {"model": "openai/gpt-oss-20b", "messages": messages, **body}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": whole}


# --- texts ---------------------------------------------------------------------------------------------

ODD = (
    "\u2028 \u2029 \x85 \x00 \\ \\n {{ x }} {% if %} {# #} } { $x \u202e\u05d0 "
    "\U0001f469\u200d\U0001f467 e\u0301 \r\n\t\ufeff \x1b[31m %s"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(TEXT | st.just(ODD), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_comes_back_other_than_it_went_in(line: Line, texts: list[str]) -> None:
    """Whatever a text holds, the sandbox's echo of it is the same text."""
    said = [text for text in texts if "[[" not in text and text.strip()] or ["x"]
    assert submit(said, template="[[echo]]{{ item }}") == said
    assert submit([f"[[echo]]{text}" for text in said]) == said


# --- skipped rows ----------------------------------------------------------------------------------------

HOLES: dict[str, list[object]] = {"say": ["a", None, "c", None], "id": ["w", "x", "y", "z"]}
ECHO = "[[echo]]{{ say }}"


def test_rows_that_miss_a_value_are_answers_too(line: Line) -> None:
    """Each has its place, its status and its reason; the others are sent."""
    asked = sent(line)
    answers = ask(pd.DataFrame(HOLES, index=[7, 8, 9, 9]), template=ECHO, missing="skip")
    assert asked == [2]
    assert answers.texts == ["a", None, "c", None]
    assert ends(answers) == [("ok", None), ("skipped", "skipped")] * 2
    error = answers[1].error
    assert error is not None
    assert error.message == "`say` is missing in this row, so nothing was asked about it."
    assert answers.counts == {"ok": 2, "skipped": 2}
    assert (answers[1].prompt, answers[1].custom_id, answers[1].text) == (None, "", None)
    assert list(answers.failed) == []
    assert answers.status == "completed"
    frame = answers.to_pandas()
    assert list(frame.index) == [7, 8, 9, 9]
    assert frame["answer_status"].tolist() == ["ok", "skipped", "ok", "skipped"]
    assert frame["answer"].fillna("-").tolist() == ["a", "-", "c", "-"]
    assert "2 skipped" in repr(answers)
    assert answers._repr_mimebundle_()["text/plain"].count("skipped: `say`") == 2


def test_the_card_counts_what_was_skipped(line: Line) -> None:
    """Its bar is full although rows were skipped, and the first prompt is one that was sent."""
    answers = ask([None, "[[echo]]a"], missing="skip")
    assert "0 are" not in words.text(last(ask([None, "[[echo]]a"], missing="skip")))
    seen = last(answers)
    assert (seen.skipped, seen.prompts, seen.left) == (1, 2, 0)
    assert '<progress max="1" value="1"' in picture.static(seen)
    assert "1 answered · 1 skipped" in words.line(seen)
    assert seen.first_prompt == "[[echo]]a"
    assert seen.first_answers == ((1, "[[echo]]a", "a"),)


def test_ids_of_skipped_rows_find_them(line: Line) -> None:
    """A row with an id of its own is found by it, sent or not."""
    answers = ask(pl.DataFrame(HOLES), template=ECHO, missing="skip", id="id")
    assert [answers[name].status for name in "wxyz"] == ["ok", "skipped"] * 2
    assert [answer.custom_id for answer in answers] == ["w", "x", "y", "z"]


def test_a_batch_with_skipped_rows_is_the_same_after_a_restart(line: Line) -> None:
    """The ledger keeps which rows were skipped, and why; a re-run sends nothing."""
    first = ask(pl.DataFrame(HOLES), template=ECHO, missing="skip")
    forget()
    asked = sent(line)
    again = ask(pl.DataFrame(HOLES), template=ECHO, missing="skip")
    assert again.job_id == first.job_id
    assert client.attach(first.job_id).wait(WAIT_S).texts == again.texts == ["a", None, "c", None]
    assert asked == []
    assert str(again[3].error).startswith("skipped: `say` is missing")


def test_skipped_rows_of_another_submission_are_not_taken_for_these(line: Line) -> None:
    """Which rows are skipped, under which ids and for what reason: all of it tells submissions apart."""
    ask({"a": "[[echo]]1", "b": None}, missing="skip")
    asked = sent(line)
    other = ask({"a": "[[echo]]1", "c": None}, missing="skip")
    assert [answer.custom_id for answer in other] == ["a", "c"]
    template = "[[echo]]{{ x }}{{ y }}"
    one = ask([{"x": "1", "y": ""}, {"x": None, "y": "2"}], template=template, missing="skip")
    two = ask([{"x": "1", "y": ""}, {"x": "2", "y": None}], template=template, missing="skip")
    assert (str(one[1].error)[:13], str(two[1].error)[:13]) == ("skipped: `x` ", "skipped: `y` ")
    assert asked == []


def test_rows_that_are_filled_later_are_sent_alone(line: Line) -> None:
    """Filling the holes of a table sends what was skipped, and nothing else."""
    ask(pl.DataFrame(HOLES), template=ECHO, missing="skip")
    asked = sent(line)
    filled = pl.DataFrame(HOLES).with_columns(pl.col("say").fill_null("new"))
    assert submit(filled, template=ECHO) == ["a", "new", "c", "new"]
    assert asked == [2]


def test_the_same_prompts_with_other_rows_skipped_are_another_submission(line: Line) -> None:
    """Which rows were skipped belongs to what a submission is known by; their answers are shared."""
    one = ask(["[[echo]]a", None, "[[echo]]b"], missing="skip")
    asked = sent(line)
    other = ask(["[[echo]]a", "[[echo]]b", None], missing="skip")
    assert (one.texts, other.texts) == (["a", None, "b"], ["a", "b", None])
    assert one.job_id != other.job_id
    assert asked == []


def test_skipped_rows_have_samples_and_equals(line: Line) -> None:
    """With several samples each is skipped; equal rows share beside them; a retry leaves them be."""
    answers = ask(["[[echo]]a", None, "[[echo]]a"], missing="skip", samples=2, unique=True)
    assert answers.texts == ["a", "a", None, None, "a", "a"]
    assert [answer.index for answer in answers if answer.status == "skipped"] == [1, 1]
    assert answers.retry().wait(WAIT_S).texts == ["a", "a", None, None, "a", "a"]


def test_rows_to_skip_may_fill_whole_files(line: Line) -> None:
    """Skipped rows stand before, between and after the files of a submission."""
    rows = [None, None, "[[echo]]a", "[[echo]]b", None, "[[echo]]c", None, "[[echo]]d", "[[echo]]e", None]
    said = [row.removeprefix("[[echo]]") if row else None for row in rows]
    asked = sent(line)
    how = client.Settings(shard_rows=2)
    answers = client.send(client.prompts.from_source(rows, missing="skip"), how, name="answers").wait(WAIT_S)
    assert answers.texts == said
    assert asked == [2, 2, 1]


def test_a_source_all_of_whose_rows_would_be_skipped_is_refused(line: Line) -> None:
    """There would be nothing to send."""
    with pytest.raises(InputError, match=r"^Every row misses a value that is used, so all would be skipped"):
        client.submit([{"say": None}], template=ECHO, missing="skip")


# --- streams --------------------------------------------------------------------------------------------


def test_an_interrupt_at_the_last_moment_leaves_nothing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A submission that was just put down and that nobody holds is taken back."""

    def stop(*args: object, **how: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(client, "_met", stop)
        with pytest.raises(KeyboardInterrupt):
            client.submit(["[[echo]]a"])
    assert ledger.current().jobs() == []
    assert submit(["[[echo]]a"]) == ["a"]


def test_an_interrupt_while_reading_leaves_nothing(line: Line) -> None:
    """Nothing is put down, nothing is sent, no file stays, and the generator cannot go on half-way."""

    def rows() -> Iterator[str]:
        for n in range(5_000):
            if n == 3_500:
                raise KeyboardInterrupt
            yield f"[[echo]]{n}"

    reading = rows()
    with pytest.raises(KeyboardInterrupt):
        client.submit(reading)
    assert ledger.current().jobs() == []
    assert list((ledger.current().home / "jobs").iterdir()) == []
    assert line.asked == []
    with pytest.raises(InputError, match="it can be read only once, so make it anew"):
        client.submit(reading)


def test_a_stream_that_fails_while_it_is_cut_cannot_go_on(line: Line) -> None:
    """What was read of it is not sent later without what came before."""
    rows = ("" if n == 1_200 else f"[[echo]]{n}" for n in range(5_000))
    with pytest.raises(InputError, match=r"^row 1,200 of the source is an empty prompt") as caught:
        client.submit(rows)
    with pytest.raises(InputError, match="make it anew"):
        client.submit(rows)
    assert caught.value.__traceback__ is not None  # it is still held, as IPython holds it


def test_a_generator_is_the_same_submission_as_its_list(line: Line) -> None:
    """How prompts come makes no difference to what they are known by, nor to how they are cut."""
    rows = [f"[[echo]]{n}" for n in range(shards.SCOUT_FROM)]
    asked = sent(line)
    answers = ask(rows)
    assert ask(iter(rows)).job_id == answers.job_id
    assert asked == [shards.SCOUT_LINES, shards.SCOUT_FROM - shards.SCOUT_LINES]


def test_a_generator_of_unknown_length_begins_with_a_small_file(line: Line) -> None:
    """It may be long, so the first answers come early; a list of the same is the same submission."""
    rows = [f"[[echo]]{n}" for n in range(shards.SCOUT_LINES + 1)]
    asked = sent(line)
    answers = ask(iter(rows))
    assert asked == [shards.SCOUT_LINES, 1]
    assert ask(rows).job_id == answers.job_id


def test_a_stream_has_ids_and_samples(line: Line) -> None:
    """Ids are read with their rows, and stand for the first sample of each."""
    rows = ({"prompt": f"[[echo]]{n}", "id": f"n{n}"} for n in range(1_500))
    answers = ask(rows, id="id", samples=2)
    assert (answers["n1400"].text, answers["n1400~2"].sample) == ("1400", 2)
    clash = ({"prompt": "x", "id": name} for name in ("a", "a~2"))
    with pytest.raises(InputError, match=r"^The id 'a~2' would be that of a sample of another row"):
        client.submit(clash, id="id", samples=2)


# --- columns beside the answers ---------------------------------------------------------------------------

ROWS = [{"say": "a", "n": 1}, {"say": "b", "n": 2, "more": [1]}]
COLUMNS = ["say", "n", "more", "answer"]


@pytest.mark.parametrize("make", [list, pl.LazyFrame])
def test_rows_and_queries_give_their_columns_back(line: Line, make: Any) -> None:
    """A list of rows and a lazy frame stand beside their answers as a table does."""
    answers = ask(make(ROWS), template=ECHO)
    assert answers.to_pandas().columns.tolist()[:4] == COLUMNS
    assert answers.to_polars().columns[:4] == COLUMNS
    assert answers.to_arrow().column_names[:4] == COLUMNS
    assert [row["answer"] for row in answers.to_dicts()] == ["a", "b"]
    assert answers[1:].to_dicts()[0]["n"] == 2


@pytest.mark.parametrize("make", [list, iter, pl.DataFrame, pd.DataFrame, pl.LazyFrame])
def test_images_are_the_same_request_from_every_source(line: Line, make: Any) -> None:
    """Frames fill what a part lacks; that is neither sent nor paid for twice."""
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
    talk = [{"role": "user", "content": [{"type": "text", "text": "[[echo]]a cat"}, picture]}]
    first = ask([talk])
    asked = sent(line)
    assert ask(make([{"messages": talk}])).texts == first.texts
    assert asked == []


def test_rows_without_the_same_keys_name_their_columns_alike(line: Line) -> None:
    """A column of the source that some rows lack is never taken for ours in them."""
    answers = ask([{"say": "a"}, {"say": "b", "answer": "old"}], template=ECHO)
    assert [row["answer_answer"] for row in answers.to_dicts()] == ["a", "b"]
    assert "answer" not in answers.to_dicts()[0]


def test_a_series_comes_back_beside_its_answers(line: Line) -> None:
    """Under its name, with its index: its answers are not taken for another row's."""
    said = ["[[echo]]a", "[[echo]]b"]
    for series in (pd.Series(said, name="say"), pl.Series("say", said)):
        assert ask(series).to_pandas().columns.tolist()[:2] == ["say", "answer"]
    kept = pd.Series(["[[echo]]x", "[[echo]]y"], index=[7, 9])
    assert ask(kept).to_pandas()["answer"].to_dict() == {7: "x", 9: "y"}
    assert ask(kept).to_dicts()[0]["item"] == "[[echo]]x"


def test_columns_may_be_numbers(line: Line) -> None:
    """Keys that are no texts become columns, with their values."""
    answers = ask([{1: "a"}], template="[[echo]]{{ row[1] }}")
    assert answers.to_arrow()["1"].to_pylist() == answers.to_polars()["1"].to_list() == ["a"]


def test_rows_are_out_of_reach_of_what_is_done_to_the_list(line: Line) -> None:
    """Sorting or emptying the list afterwards changes no answers."""
    rows = list(ROWS)
    answers = ask(rows, template=ECHO)
    rows.clear()
    assert [row["n"] for row in answers.to_dicts()] == [1, 2]


def test_rows_of_mixed_types_become_tables_where_they_can(line: Line) -> None:
    """Values of several types in a column are texts in Polars; Arrow says in one line that it cannot."""
    rows = [{"say": "a", "n": 1}, {"say": "b", "n": "two"}]
    answers = ask(rows, template=ECHO)
    assert answers.to_pandas()["n"].tolist() == [1, "two"]
    assert answers.to_polars()["n"].to_list() == ["1", "two"]
    with pytest.raises(InputError, match=r"^The rows hold values that Arrow cannot hold in one column: "):
        answers.to_arrow()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_columns_of_a_file_stand_beside_the_answers(line: Line, tmp_path: Path, suffix: str) -> None:
    """They are read again from the file, which must be the same."""
    path = tmp_path / f"rows{suffix}"
    frame = pl.DataFrame({"say": ["a", "b", None], "n": [1, 2, 3]})
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[suffix](path)
    answers = ask(path, template=ECHO, missing="skip")
    assert answers.to_pandas()[["say", "answer"]].iloc[:2].to_numpy().tolist() == [["a", "a"], ["b", "b"]]
    assert answers.to_polars()["answer"].to_list() == ["a", "b", None]
    assert answers.to_arrow()["say"].to_pylist() == ["a", "b", None]
    assert answers[1:2].to_dicts()[0]["say"] == "b"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError, match="has changed since its rows were sent"):
        answers.to_polars()
    assert answers.texts == ["a", "b", None]


def test_a_stream_leaves_ids_and_prompts(line: Line) -> None:
    """What was not kept cannot come back: the prompts do."""
    frame = ask(iter(ROWS), template=ECHO).to_pandas()
    assert frame.columns.tolist()[:3] == ["id", "prompt", "answer"]
    assert frame["prompt"].tolist() == ["[[echo]]a", "[[echo]]b"]


# --- one batch after the other ----------------------------------------------------------------------------


def test_the_answers_of_one_batch_are_the_rows_of_the_next(line: Line) -> None:
    """Their columns fill the template; rows without an answer can be skipped; all columns come back."""
    first = ask([{"say": "a"}, {"say": None}, {"say": "c"}], template=ECHO, missing="skip")
    with pytest.raises(InputError, match=r"^column `answer` of the source has 1 missing value \(row 1\)"):
        client.submit(first, template="[[echo]]{{ answer }}!")
    second = ask(first, template="[[echo]]{{ say }}{{ answer }}!", missing="skip")
    assert second.texts == ["aa!", None, "cc!"]
    assert [row["answer_answer"] for row in second.to_dicts()] == ["aa!", None, "cc!"]
    third = ask(second[:1], template="[[echo]]{{ answer_answer }}?")
    assert third.texts == ["aa!?"]


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda rows: pl.DataFrame(rows).to_arrow(), list]
)
def test_tables_stay_what_they_are_from_batch_to_batch(line: Line, make: Any) -> None:
    """Types and the index come through a chain of batches; missing counts stay whole numbers."""
    first = ask(make([{"say": "a", "n": 1}, {"say": None, "n": 2}]), template=ECHO, missing="skip")
    second = ask(first, template="[[echo]]{{ say }}!", missing="skip")
    assert type(second._frame) is type(make([{"say": "a", "n": 1}]))
    assert [row["n"] for row in second.to_dicts()] == [1, 2]
    assert [row["prompt_tokens"] for row in second.to_polars().to_dicts()][1] is None
    indexed = pd.DataFrame({"say": ["a", "b"]}, index=["x", "y"])
    assert ask(ask(indexed, template=ECHO)[1:], template=ECHO).to_pandas().index.tolist() == ["y"]


def test_answers_that_are_not_there_yet_are_no_source(line: Line) -> None:
    """A batch under way says how far it is and what to type."""
    line.on(POLL, *[EARLIER] * 10_000)
    first = client.submit(["[[echo]]a"], name="first")
    with pytest.raises(StillRunning, match=r"%groq wait first"):
        client.submit(first, template="{{ answer }}")
    line._acts.clear()
    first.wait(WAIT_S)


# --- whole request lines ------------------------------------------------------------------------------------

MIXED = [
    echoing("a", "one"),
    echoing("b", "two", model="openai/gpt-oss-120b", temperature=0.5),
    {"custom_id": "c", "method": "POST", "url": HEAR,
     "body": {"model": "whisper-large-v3", "url": "https://example.org/talk.mp3"}},
]  # fmt: skip


def test_request_lines_are_sent_as_they_are(line: Line) -> None:
    """Several models and audio tasks go into one file, each under its own id."""
    asked = sent(line)
    answers = ask(MIXED)
    assert asked == [3]
    assert answers.texts[:2] == ["one", "two"]
    assert (answers["c"].text or "").endswith("https://example.org/talk.mp3")
    assert answers["c"].prompt == "https://example.org/talk.mp3"
    requests = [answers._rows.request(row) for row in range(3)]
    assert [(each.custom_id, each.url, each.body) for each in requests] == [
        (each["custom_id"], each["url"], each["body"]) for each in MIXED
    ]
    assert ledger.current().job(answers.job_id).model == SEVERAL_MODELS


def test_a_model_replaces_that_of_request_lines(line: Line) -> None:
    """All lines ask the model that was given."""
    answers = ask(MIXED[:2], model="openai/gpt-oss-120b")
    assert [answer.model for answer in answers] == ["sandbox/openai/gpt-oss-120b"] * 2
    assert ledger.current().job(answers.job_id).model == "openai/gpt-oss-120b"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"template": "{{ item }}"}, "leave out the template"),
        ({"system": "Be brief"}, "leave out the system message"),
        ({"id": "custom_id"}, "leave out the id column"),
        ({"temperature": 0.5}, "leave out temperature"),
        ({"max_tokens": 5}, "leave out max_completion_tokens"),
        ({"extra": {"top_p": 0.5}}, "leave out top_p"),
    ],
)
def test_other_options_conflict_with_request_lines(line: Line, how: dict[str, Any], said: str) -> None:
    """What a line says already is not said twice."""
    with pytest.raises(InputError) as caught:
        client.submit(MIXED, **how)
    assert caught.value.message == f"the source holds whole request lines, which are sent as they are: {said}"


def test_more_request_lines_send_only_the_new_ones(line: Line) -> None:
    """Lines of several models are known again, row by row."""
    ask(MIXED)
    asked = sent(line)
    answers = ask([*MIXED, echoing("d", "four")])
    assert answers.texts[:2] == ["one", "two"]
    assert answers["d"].text == "four"
    assert asked == [1]


@pytest.mark.parametrize("lines", [MIXED[:1], MIXED])
def test_request_lines_and_prompts_know_each_other(line: Line, lines: list[dict[str, object]]) -> None:
    """The same request is paid for once, however it was written."""
    ask(lines)
    asked = sent(line)
    assert submit(["[[echo]]one"]) == ["one"]
    assert asked == []


def test_prompts_serve_request_lines(line: Line) -> None:
    """What was asked as a prompt is not asked again as a line."""
    ask(["[[echo]]one"])
    asked = sent(line)
    assert ask(MIXED).texts[:2] == ["one", "two"]
    assert asked == [2]


def test_a_known_request_is_found_under_its_own_model(line: Line) -> None:
    """Among lines of several models each is known by its own, with its own options."""
    ask(MIXED)
    asked = sent(line)
    assert submit(["[[echo]]two"], model="openai/gpt-oss-120b", temperature=0.5) == ["two"]
    assert asked == []


def test_what_was_left_of_other_lines_is_known_too(line: Line) -> None:
    """Where some of a submission was asked before, the rest is known by what it is."""
    ask(MIXED[:1])
    lines = client.prompts.from_source(MIXED[:2])
    client.send(lines, client.Settings(shard_rows=1), name="answers").wait(WAIT_S)
    asked = sent(line)
    assert submit(["[[echo]]two"], model="openai/gpt-oss-120b", temperature=0.5) == ["two"]
    assert asked == []


DOCS = "https://console.groq.com/docs/batch"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"customid": "x"}, f"a request line has custom_id, method, url, body, and no 'customid' ({DOCS})"),
        ({"method": "GET"}, f"the method is 'GET'; a batch takes POST alone ({DOCS})"),
        ({"url": "/v1/embeddings"}, "the url is '/v1/embeddings': one of /v1/chat/completions, "
         f"/v1/audio/transcriptions, /v1/audio/translations ({DOCS})"),
        ({"url": None}, "the url is None: one of /v1/chat/completions, /v1/audio/transcriptions, "
         f"/v1/audio/translations ({DOCS})"),
        ({"body": "x"}, f"the body is a str, not a dict of Groq's fields ({DOCS})"),
        ({"body": {"model": "m", "messages": [], "top_p": float("nan")}},
         "body['top_p'] is nan, which JSON does not have: None is its null"),
    ],
)  # fmt: skip
def test_a_line_that_no_batch_could_hold_is_refused(change: dict[str, Any], said: str) -> None:
    """Each fault is named with its row, before anything is sent."""
    with pytest.raises(InputError) as caught:
        client.submit([echoing("a", "one"), echoing("b", "two") | change])
    assert caught.value.message == f"row 1 of the source: {said}"


def test_request_lines_come_from_files_and_are_retried(line: Line, tmp_path: Path) -> None:
    """A JSONL file that was made for the Batch API is a source as it is; a retry asks its endpoint again."""
    path = tmp_path / "batch.jsonl"
    lines = [*MIXED, echoing("bad", "x")]
    lines[3]["body"]["messages"][0]["content"] = "[[fail]]"  # type: ignore[index]
    pd.DataFrame(lines).to_json(path, orient="records", lines=True)
    answers = ask(path)
    assert answers.texts[:2] == ["one", "two"]
    assert ends(answers)[3] == ("failed", "json_validate_failed")
    asked = sent(line)
    assert ends(answers.retry(temperature=0.1).wait(WAIT_S))[3] == ("failed", "json_validate_failed")
    assert asked == [1]


def test_what_would_be_sent_of_request_lines_can_be_seen(line: Line) -> None:
    """A dry run shows the first line, audio too, and how many rows would be skipped."""
    plan = client.plan(client.prompts.from_source(MIXED[2:]), client.Settings())
    assert (plan.prompts, plan.model) == (1, "whisper-large-v3")
    assert plan.first == f"[{HEAR}] https://example.org/talk.mp3"
    holes = client.prompts.from_source(["x", None], missing="skip")
    plan = client.plan(holes, client.Settings())
    assert (plan.prompts, plan.skipped, plan.first) == (1, 1, "[user] x")
    assert runs._runs == {}
