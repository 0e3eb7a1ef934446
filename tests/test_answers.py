"""What a user holds: a sequence of answers, their states, texts, tables, and how they look."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groq_magic import client, prompts
from groq_magic.answers import Answer, Answers
from groq_magic.errors import NotSent, StillRunning
from groq_magic.settings import DEFAULT_MODEL, Settings
from tests import markup, offline
from tests.markup import HOSTILE

NEVER_S = 3600.0  # a batch at this pace does not end while a test looks
MIXED = {
    "a": "[[echo]]first",
    "b": "[[fail]] this one",
    "c": "[[lose]] this one",
    "d": "[[cut]] this one",
    "e": "[[echo]]last",
}
TEXTS = ["first", None, None, "Sandbox reply, no model was asked: “", "last"]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One home for the whole file: the ledger tells its batches apart."""
    with offline.home(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def mixed() -> Answers:
    """Five prompts, two of which have no answer."""
    return offline.ended(offline.ask(MIXED, name="mixed"))


@pytest.fixture(scope="module")
def pending() -> Answers:
    """Two prompts that are never answered."""
    return offline.ask(["Wait for me", "And for me"], pace_s=NEVER_S, name="pending")


@pytest.fixture(scope="module")
def unsent() -> Answers:
    """Two prompts to a model that does not exist."""
    return offline.ended(offline.ask(["No one", "hears this"], model="no-such-model", name="unsent"))


def when(answers: Answers, happens: Callable[[Any], bool]) -> None:
    """Returns once the batch has been seen in that state."""
    seen = threading.Event()
    client.watch(answers, lambda snapshot: seen.set() if happens(snapshot) else None)
    while not seen.wait(0.05):
        client.check_now(answers)


# --- a sequence -----------------------------------------------------------------------------------------


def test_answers_are_a_sequence_in_the_prompts_order(mixed: Answers) -> None:
    """There is one Answer for every prompt, in order, by index from either end, and by iteration."""
    assert len(mixed) == 5
    assert [answer.index for answer in mixed] == [0, 1, 2, 3, 4]
    assert [answer.prompt for answer in mixed] == list(MIXED.values())
    assert mixed[-1].index == 4
    assert [answer.index for answer in reversed(mixed)] == [4, 3, 2, 1, 0]
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            mixed[beyond]


def test_an_answer_is_found_in_its_answers(mixed: Answers) -> None:
    """The same row is the same Answer, so `in` and `index` find it."""
    assert mixed[2] in mixed
    assert mixed.index(mixed[2]) == 2
    assert mixed[0] not in mixed[1:]


@pytest.mark.parametrize(
    ("cut", "rows"),
    [
        (lambda a: a[1:4], [1, 2, 3]),
        (lambda a: a[1:4][1:], [2, 3]),
        (lambda a: a[::-1], [4, 3, 2, 1, 0]),
        (lambda a: a[::2][::-1][:2], [4, 2]),
        (lambda a: a[5:], []),
        (lambda a: a.failed, [1, 2]),
        (lambda a: a.failed[1:], [2]),
        (lambda a: a.cut, [3]),
        (lambda a: a[:2].failed, [1]),
    ],
)
def test_a_slice_is_answers_over_the_same_rows(
    mixed: Answers, cut: Callable[[Answers], Answers], rows: list[int]
) -> None:
    """Slices, also of slices, are Answers whose every view agrees on the rows that were picked."""
    part = cut(mixed)
    assert isinstance(part, Answers)
    assert len(part) == len(rows)
    assert [answer.index for answer in part] == rows
    assert part.texts == [TEXTS[row] for row in rows]
    assert sum(part.counts.values()) == len(rows)
    assert [row["id"] for row in part.to_dicts()] == ["abcde"[row] for row in rows]
    assert list(part.to_pandas()["prompt"]) == [list(MIXED.values())[row] for row in rows]


def test_an_id_is_a_key(mixed: Answers) -> None:
    """`answers["id"]` is the answer of that id; an id not sent, or not in the slice, is a KeyError."""
    assert mixed["e"].text == "last"
    assert mixed["e"].custom_id == "e"
    assert mixed[3:]["e"].index == 4
    with pytest.raises(KeyError, match="nobody"):
        mixed["nobody"]
    with pytest.raises(KeyError, match="'e'"):
        mixed[:3]["e"]


def test_ids_of_ours_are_keys_too(pending: Answers) -> None:
    """Without ids of the user's own, the id that was sent finds its answer, also before it came."""
    assert pending[pending[1].custom_id].index == 1
    assert pending[0].custom_id != pending[1].custom_id


# --- states ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "finish", "code", "said"),
    [
        ("a", "ok", "stop", None, None),
        ("b", "failed", None, "json_validate_failed", "Failed to validate JSON"),
        ("c", "missing", None, "no_reply", "completed without a reply"),
        ("d", "cut", "length", None, None),
    ],
)
def test_each_answer_has_its_status_and_reason(
    mixed: Answers, key: str, status: str, finish: str | None, code: str | None, said: str | None
) -> None:
    """An answer says how it ended; where there is no text, its error has a code and a message."""
    answer = mixed[key]
    assert (answer.status, answer.finish_reason) == (status, finish)
    assert (answer.text is None) == (answer.error is not None) == (code is not None)
    if answer.error is not None:
        assert answer.error.code == code
        assert said in answer.error.message
        assert answer.usage is None
    else:
        assert answer.usage.completion_tokens > 0
        assert answer.model == f"sandbox/{DEFAULT_MODEL}"
        assert answer.raw["custom_id"] == key
        assert "No model is asked" in answer.reasoning


def test_counts_and_tokens_cover_all_answers(mixed: Answers) -> None:
    """`counts` has each status that occurs, and `usage` the tokens of the answered prompts."""
    assert mixed.counts == {"ok": 2, "cut": 1, "failed": 1, "missing": 1}
    answered = [answer.usage for answer in mixed if answer.usage is not None]
    assert mixed.usage.prompt_tokens == sum(used.prompt_tokens for used in answered) > 0
    assert mixed.usage.total_tokens == sum(used.total_tokens for used in answered)
    assert (mixed.done, mixed.status, len(mixed.batch_ids)) == (True, "completed", 1)


def test_an_expired_batch_keeps_what_was_answered() -> None:
    """Rows that the window cut off are `expired` with a reason, and those answered before keep their text."""
    half = offline.ended(offline.ask([f"[[expire]] half {n}" for n in range(4)], name="half"))
    assert half.status == "expired"
    assert half.counts == {"ok": 2, "expired": 2}
    assert {answer.error.code for answer in half.failed} == {"batch_expired"}
    assert sum(text is not None for text in half.texts) == 2


def test_a_cancelled_batch_says_so_row_by_row() -> None:
    """After a cancel each row without an answer is `cancelled` with a reason, sent or not yet sent."""
    sent = offline.ask(["Cancel me at Groq", "And me"], pace_s=10, name="sent")
    when(sent, lambda snapshot: snapshot.batch_ids)
    sent.cancel()
    unsent = offline.ask(["Cancel me at once", "And me at once"], pace_s=10, name="unsent_yet")
    unsent.cancel()
    for answers in (sent, unsent):
        offline.ended(answers)
        assert answers.counts == {"cancelled": 2}
        assert answers.status == "cancelled"
        assert "ancelled before" in answers[0].error.message
        assert answers.texts == [None, None]


def test_nothing_is_read_before_it_came(pending: Answers) -> None:
    """A pending text, or the whole before its end, raises StillRunning that names what to type."""
    assert (pending[0].status, pending[0].error, pending.done) == ("pending", None, False)
    too_early = [
        lambda: pending[0].text,
        lambda: pending[1].usage,
        lambda: pending.texts,
        lambda: pending[:1].texts,
        pending.to_dicts,
        pending.to_pandas,
        pending.to_polars,
        pending.to_arrow,
        lambda: pending.wait(0.01),
    ]
    for read in too_early:
        with pytest.raises(StillRunning) as caught:
            read()
        assert "`pending.wait()` or `%groq wait pending`" in caught.value.message
        assert "0 of 2 answered" in caught.value.message


def test_what_can_be_seen_of_a_pending_batch_is_seen(pending: Answers) -> None:
    """A batch under way has its prompts, counts, repr, table and partial frames, and none of them waits."""
    assert pending.counts == {"pending": 2}
    assert repr(pending[0]) == "<Answer 0 pending>"
    assert repr(pending).startswith("<Answers 'pending': 2 prompts, ")
    assert repr(pending).endswith(": 2 pending>")
    assert "Wait for me" in markup.read(pending._repr_mimebundle_()["text/html"]).text
    nothing = {"answer": None, "answer_status": "pending", "answer_error": None, "answer_finish": None}
    assert pending.to_dicts(partial=True)[0] == {
        "id": pending[0].custom_id,
        "prompt": "Wait for me",
        **nothing,
        "prompt_tokens": None,
        "completion_tokens": None,
    }
    assert list(pending.to_pandas(partial=True)["answer_status"]) == ["pending", "pending"]
    assert pending.to_polars(partial=True)["answer"].to_list() == [None, None]
    assert pending.to_arrow(partial=True).num_rows == 2


def test_rows_of_a_finished_file_are_readable_while_others_wait() -> None:
    """With one of two files collected, its rows can be read, and partial frames hold what is there."""
    asked = prompts.from_source(["[[expire]] quick", "[[echo]]quick too", "[[slow]] later", "later too"])
    offline.sandbox(pace_s=2)  # the first file ends after 1 s, the second after 6 s
    answers = client.send(asked, Settings(shard_rows=2), name="two_files")
    when(answers, lambda snapshot: {"ok", "expired"} <= snapshot.counts.keys())
    assert answers.counts == {"ok": 1, "expired": 1, "pending": 2}
    early, late = answers[:2], answers[2:]
    assert sorted(answer.status for answer in early) == ["expired", "ok"]
    assert [text is None for text in early.texts] == [answer.error is not None for answer in early]
    assert sorted(early.to_pandas()["answer_status"]) == ["expired", "ok"]
    with pytest.raises(StillRunning, match=r"row 2"):
        _ = late[0].text
    with pytest.raises(StillRunning):
        _ = answers.texts
    partial = answers.to_pandas(partial=True)
    assert list(partial["answer_status"][2:]) == ["pending", "pending"]
    assert partial["answer"].notna().sum() == 1
    answers.cancel()


def test_texts_have_none_exactly_where_there_is_no_text(mixed: Answers) -> None:
    """At the end `texts` is the answers' texts in order, with None for each row that has an error."""
    assert mixed.texts == TEXTS
    assert mixed.texts == [answer.text for answer in mixed]


def test_an_empty_answer_is_a_text() -> None:
    """A model that answers with nothing has answered: the text is empty, not None."""
    (answer,) = offline.ended(offline.ask(["[[echo]]"]))
    assert (answer.status, answer.text, answer.error) == ("ok", "", None)


def test_waiting_returns_the_answers_themselves(mixed: Answers) -> None:
    """`wait()` and `await` give back the same object, with and without a running event loop."""

    async def awaited(answers: Answers) -> Answers:
        return await answers

    assert mixed.wait() is mixed
    assert mixed.wait(0) is mixed
    assert asyncio.run(awaited(mixed)) is mixed
    fresh = offline.ask(["Await me"], pace_s=0)
    assert asyncio.run(awaited(fresh)) is fresh
    assert fresh.status == "completed"


def test_giving_up_an_await_leaves_the_batch_alone(pending: Answers) -> None:
    """A cancelled `await` stops only the waiting: it can be awaited again and nothing is cancelled."""

    async def impatient() -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await pending

    asyncio.run(impatient())
    assert pending.counts == {"pending": 2}
    assert pending.status != "cancelled"


def test_what_could_not_be_sent_raises_its_reason(unsent: Answers) -> None:
    """Where nothing was sent, waiting, texts, frames and each text raise NotSent with the reason."""

    async def awaited() -> None:
        await unsent

    reads = [
        unsent.wait,
        lambda: asyncio.run(awaited()),
        lambda: unsent.texts,
        lambda: unsent[:1].texts,
        lambda: unsent[0].text,
        lambda: unsent[1].usage,
        unsent.to_dicts,
        unsent.to_pandas,
        unsent.to_polars,
        unsent.to_arrow,
        lambda: unsent.to_pandas(partial=True),
    ]
    for read in reads:
        with pytest.raises(NotSent, match="no model 'no-such-model' for this key"):
            read()
    assert (unsent.done, unsent.status, unsent.batch_ids) == (True, "not sent", [])
    assert "no-such-model" in unsent[0].error.message
    assert "no-such-model" in unsent._repr_mimebundle_()["text/plain"]


# --- how they look --------------------------------------------------------------------------------------


def test_answers_that_were_not_sent_stay_so_when_the_prompts_are_sent_again(unsent: Answers) -> None:
    """The reason stays readable on the older object while a later run of the same cell tries again."""
    again = offline.ask(["No one", "hears this"], model="no-such-model", name="unsent")
    assert again is not unsent
    for answers in (unsent, offline.ended(again), unsent):
        assert repr(answers) == "<Answers 'unsent': 2 prompts, not sent: 2 missing>"
        with pytest.raises(NotSent, match="no-such-model"):
            answers.wait()


def test_repr_reads_as_a_status_line(mixed: Answers, unsent: Answers) -> None:
    """`repr` of the whole, of a slice and of an answer says how it stands, on one line."""
    assert repr(mixed) == ("<Answers 'mixed': 5 prompts, completed: 2 ok, 1 cut, 1 failed, 1 missing>")
    assert repr(mixed[:1]) == "<Answers 'mixed': 1 prompt, completed: 1 ok>"
    assert repr(unsent) == "<Answers 'unsent': 2 prompts, not sent: 2 missing>"
    assert repr(mixed["a"]) == "<Answer 0 ok: first>"
    assert repr(mixed["b"]) == (
        "<Answer 1 failed: json_validate_failed: Failed to validate JSON. Please adjust your prompt.>"
    )
    assert repr(mixed["d"]) == "<Answer 3 cut: Sandbox reply, no model was asked: “>"


def test_the_table_shows_failures_first(mixed: Answers) -> None:
    """As text and as HTML, the rows without an answer come before the others, each with its reason."""
    shown = mixed._repr_mimebundle_()
    lines = shown["text/plain"].splitlines()
    assert lines[0] == repr(mixed)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["1", "failed"],
        ["2", "missing"],
        ["0", "ok"],
        ["3", "cut"],
        ["4", "ok"],
    ]
    assert "json_validate_failed: Failed to validate JSON" in lines[1]
    text = markup.read(shown["text/html"]).text
    assert text.startswith(repr(mixed))
    assert text.index("[[fail]] this one") < text.index("[[lose]] this one") < text.index("first")


def test_a_long_table_is_cut_and_says_how_many_more() -> None:
    """Of many answers twenty are shown, failures among them wherever they stand, and the rest is counted."""
    many = offline.ended(offline.ask([f"[[echo]]{n}" for n in range(24)] + ["[[fail]] the last"]))
    shown = many._repr_mimebundle_()
    assert len(shown["text/plain"].splitlines()) == 1 + 20 + 1
    assert shown["text/plain"].splitlines()[1].split()[:2] == ["24", "failed"]
    assert shown["text/plain"].endswith("5 more")
    page = markup.read(shown["text/html"])
    assert len(page.all("tr")) == 1 + 20
    assert "5 more" in page.text


def test_nothing_from_outside_gets_into_the_page(unsent: Answers) -> None:
    """Markup in a prompt, an answer, an error, an id, a name or a model stays text in the table."""
    asked = {f"<b>{HOSTILE}": f"[[echo]]{HOSTILE}", "fails": f"[[fail]] {HOSTILE}"}
    ends = [
        offline.ended(offline.ask(asked, name=HOSTILE)),
        offline.ended(offline.ask([HOSTILE], model=HOSTILE, name=HOSTILE)),
    ]
    assert [answers.status for answers in ends] == ["completed", "not sent"]
    for answers in ends:
        page = markup.read(answers._repr_mimebundle_()["text/html"])
        assert page.tags <= {"p", "code", "table", "thead", "tbody", "tr", "th", "td"}
        assert page.attributes <= {"class", "style"}
        assert page.open == []
        assert page.text.count("<script>alert(1)</script>") >= 2


# --- tables ---------------------------------------------------------------------------------------------

REVIEWS = {"text": ["good", "bad", "fine"], "answer": ["x", "y", "z"], "n": [1, 2, 3]}
TEMPLATE = "[[echo]]{{ text }}{% if n == 2 %}[[fail]]{% endif %}"
ADDED = [
    "answer_answer",
    "answer_status",
    "answer_error",
    "answer_finish",
    "prompt_tokens",
    "completion_tokens",
]


def review(frame: object, **options: object) -> Answers:
    """The reviews asked about, at their end; the second one fails."""
    template = "{% if n == 2 %}[[fail]]{% endif %}[[echo]]{{ text }}"
    return offline.ended(offline.ask(frame, template=template, **options))


def check_reviews(rows: list[dict[str, Any]]) -> None:
    """The rows are the reviews, in order, with their answers beside them."""
    assert [list(row) for row in rows] == [[*REVIEWS, *ADDED]] * 3
    assert [row["text"] for row in rows] == REVIEWS["text"]
    assert [row["answer"] for row in rows] == REVIEWS["answer"]
    assert [row["answer_answer"] for row in rows] == ["good", None, "fine"]
    assert [row["answer_status"] for row in rows] == ["ok", "failed", "ok"]
    assert [row["answer_error"] is None for row in rows] == [True, False, True]
    assert [row["answer_finish"] for row in rows] == ["stop", None, "stop"]
    assert [row["prompt_tokens"] is None for row in rows] == [False, True, False]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_every_frame_comes_back_as_every_frame(library: Callable[[Any], Any]) -> None:
    """From each kind of source table each kind of frame has the source's columns, then the answers'."""
    answers = review(library(REVIEWS))
    check_reviews(answers.to_dicts())
    check_reviews(answers.to_polars().to_dicts())
    check_reviews(answers.to_arrow().to_pylist())
    frame = answers.to_pandas()
    check_reviews(frame.astype(object).where(frame.notna(), None).to_dict("records"))


@pytest.mark.parametrize(
    "index",
    [
        ["x", "x", "y"],
        [30, 10, 20],
        pd.date_range("2026-01-01", periods=3, name="day"),
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", "l"]),
    ],
    ids=["repeated", "unsorted", "dates", "two levels"],
)
def test_a_pandas_index_is_kept(index: Any) -> None:
    """Whatever the source's index is, answers stand beside their own rows, and no frame gains a column."""
    frame = pd.DataFrame(REVIEWS, index=index)
    answers = review(frame)
    back = answers.to_pandas()
    pd.testing.assert_index_equal(back.index, frame.index)
    pd.testing.assert_frame_equal(back[list(REVIEWS)], frame)
    assert list(back.columns) == [*REVIEWS, *ADDED]
    assert list(answers.to_polars().columns) == [*REVIEWS, *ADDED]
    assert list(answers.to_arrow().column_names) == [*REVIEWS, *ADDED]
    part = answers[::-2].to_pandas()
    assert list(part["text"]) == ["fine", "good"]
    assert list(part["answer_answer"]) == ["fine", "good"]


def test_the_users_frame_is_not_touched() -> None:
    """The source has the same columns and values as before, and so have frames made from it."""
    frame = pd.DataFrame(REVIEWS)
    answers = review(frame)
    made = answers.to_pandas()
    made["text"] = "overwritten"
    pd.testing.assert_frame_equal(frame, pd.DataFrame(REVIEWS))
    assert list(answers.to_pandas()["text"]) == REVIEWS["text"]


def test_what_is_done_to_the_users_frame_later_does_not_change_the_answers() -> None:
    """Columns and rows dropped or added after the submission leave the answers' frames as they were asked."""
    by_pandas, by_polars = pd.DataFrame(REVIEWS), pl.DataFrame(REVIEWS)
    held = [review(by_pandas), review(by_polars)]
    by_pandas.loc[0, "text"] = "changed"
    by_pandas.loc[3] = ["added", "by", 4]
    by_pandas["more"] = 1
    del by_pandas["n"]
    by_polars.drop_in_place("text")
    for answers in held:
        check_reviews(answers.to_polars().to_dicts())


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, pa.table])
def test_slices_become_frames_of_their_rows(library: Callable[[Any], Any]) -> None:
    """A slice's frames hold just its rows of the source, in its order, and an empty one has all columns."""
    answers = review(library(REVIEWS))
    for part, texts in ((answers[1:], ["bad", "fine"]), (answers[::-1], ["fine", "bad", "good"])):
        assert list(part.to_pandas()["text"]) == texts
        assert part.to_polars()["text"].to_list() == texts
        assert part.to_arrow()["text"].to_pylist() == texts
        assert [row["text"] for row in part.to_dicts()] == texts
    assert list(answers.failed.to_pandas()["text"]) == ["bad"]
    nothing = answers[3:]
    assert list(nothing.to_pandas().columns) == [*REVIEWS, *ADDED]
    assert nothing.to_polars().columns == [*REVIEWS, *ADDED]
    assert nothing.to_arrow().column_names == [*REVIEWS, *ADDED]
    assert nothing.to_dicts() == []


def test_lists_become_frames_with_id_and_prompt(mixed: Answers) -> None:
    """Without a source table the first columns are id and prompt, in every kind of frame and when empty."""
    columns = ["id", "prompt", "answer", *ADDED[1:]]
    for part in (mixed, mixed[5:]):
        assert list(part.to_pandas().columns) == columns
        assert part.to_polars().columns == columns
        assert part.to_arrow().column_names == columns
    assert list(mixed.to_pandas()["id"]) == list(MIXED)
    assert mixed.to_polars()["answer"].to_list() == TEXTS
    assert list(mixed.to_dicts()[0]) == columns


def as_a_row(answer: Answer) -> dict[str, Any]:
    """What a table is to say of an answer."""
    usage = answer.usage if answer.status != "pending" else None
    reply = answer if answer.status != "pending" else None
    return {
        "id": answer.custom_id,
        "prompt": answer.prompt,
        "answer": reply and reply.text,
        "answer_status": answer.status,
        "answer_error": str(answer.error) if answer.error else None,
        "answer_finish": reply and reply.finish_reason,
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
    }


def test_a_table_says_what_each_answer_says(mixed: Answers, pending: Answers) -> None:
    """Of plain answers, of others among them, in any order, and of what is not there yet."""
    many = offline.ended(offline.ask([f"[[echo]]{n}" for n in range(150)] + ["[[fail]] one"], name="many"))
    for answers in (mixed, mixed[::-1], mixed[3:], many, many[::-3], many[:0], pending):
        assert answers.to_dicts(partial=True) == [as_a_row(answer) for answer in answers]
    assert many.texts == [answer.text for answer in many]
    assert mixed.failed.texts == [None, None]
    assert [answer.custom_id for answer in mixed[::-1].cut] == ["d"]


def test_a_conversation_is_one_cell_of_a_frame() -> None:
    """The prompt of a conversation is its messages, and in a frame their JSON."""
    talk = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "[[echo]]ho"}]
    answers = offline.ended(offline.ask([talk]))
    assert answers[0].prompt == talk
    assert answers[0].text == "ho"
    assert "[[echo]]ho" in answers.to_pandas()["prompt"][0]
    assert answers.to_dicts()[0]["prompt"] == talk


def test_token_counts_stay_whole_numbers(mixed: Answers) -> None:
    """Token columns are integers in every frame, also where some rows have none."""
    frame = mixed.to_pandas()
    assert {str(frame[name].dtype) for name in ADDED[-2:]} == {"Int64"}
    assert frame["completion_tokens"].isna().tolist() == [False, True, True, False, False]
    assert {mixed.to_polars()[name].dtype for name in ADDED[-2:]} == {pl.Int64}
    assert {mixed.to_arrow()[name].type for name in ADDED[-2:]} == {pa.int64()}
    assert str(mixed[1:2].to_pandas()["prompt_tokens"].dtype) == "Int64"


# --- what goes through ----------------------------------------------------------------------------------

ODD = [
    "\u2028line\u2029",
    "\u202eright to left\u202c",
    "👩‍👩‍👧‍👦",
    "nul\x00nul",
    "\\n\\\\",
    "{{ x }} {# {%",
    "\r\n\t\x85",
]


@settings(max_examples=6, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=50))
@example(ODD)
def test_any_text_comes_back_as_it_was_sent(texts: list[str]) -> None:
    """Whatever characters a prompt and its answer hold, both are read back unchanged."""
    asked = [f"[[echo]]{text}" for text in texts]
    answers = offline.ended(offline.ask(asked, pace_s=0))
    assert answers.texts == texts
    assert [answer.prompt for answer in answers] == asked
    assert answers.to_polars()["answer"].to_list() == texts


def test_the_same_prompts_have_the_same_answers_again(mixed: Answers) -> None:
    """Asked again, or attached to, the answers are there without a further batch."""
    again = offline.ask({key: prompt for key, prompt in MIXED.items() if key != "c"}, name="again")
    assert again.batch_ids == mixed.batch_ids
    attached = client.attach(mixed.batch_ids[0], "attached").wait(10)
    assert attached.texts == TEXTS
    assert again.wait(10).texts == [*TEXTS[:2], *TEXTS[3:]]
    assert attached.name == "attached"
