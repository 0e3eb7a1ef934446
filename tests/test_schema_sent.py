"""A schema on its way: into the requests, and from the replies back into instances, frames and counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from groq_magic import client
from groq_magic.answers import Answers
from groq_magic.errors import InputError
from groq_magic.schema import schema_of
from groq_magic.settings import response_format
from tests import offline


@dataclass
class Review:
    """A form of a schema."""

    stars: int
    topic: str | None


class Typed(TypedDict):
    """The same as a TypedDict."""

    stars: int
    topic: str | None


class Packed(msgspec.Struct):
    """The same as a Struct."""

    stars: int
    topic: str | None


class Model(pydantic.BaseModel):
    """The same as a Pydantic model, which knows more than a schema can say."""

    stars: int
    topic: str | None

    @pydantic.field_validator("stars")
    @classmethod
    def no_more_than_five(cls, stars: int) -> int:
        """Stars go up to five."""
        if stars > 5:
            raise ValueError("there are five stars")
        return stars


class Mood(Enum):
    """Labels."""

    GOOD = "good"
    BAD = "bad"


AS_DICT = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}, "topic": {"type": ["string", "null"]}},
    "required": ["stars", "topic"],
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[None]:
    """A home of its own, and nothing running afterwards."""
    with offline.home(tmp_path):
        yield


def said(**fields: Any) -> str:
    """A prompt that is answered with exactly this."""
    return "[[echo]]" + json.dumps(fields)


FORMS: list[tuple[object, str, object]] = [
    (Review, said(stars=4, topic="food"), Review(4, "food")),
    (Typed, said(stars=4, topic=None), {"stars": 4, "topic": None}),
    (Packed, said(stars=4, topic="food"), Packed(4, "food")),
    (Model, said(stars=4, topic="food"), Model(stars=4, topic="food")),
    (AS_DICT, said(stars=4, topic="food"), {"stars": 4, "topic": "food"}),
    ("good|bad", said(label="bad"), "bad"),
    (["good", "bad"], said(label="bad"), "bad"),
    (Literal["good", "bad"], said(label="bad"), "bad"),
    (Mood, said(label="bad"), Mood.BAD),
]


@pytest.mark.parametrize(("schema", "prompt", "instance"), FORMS, ids=[str(form[0])[:40] for form in FORMS])
def test_every_form_of_a_schema_is_in_the_request_and_comes_back_as_an_instance(
    schema: object, prompt: str, instance: object
) -> None:
    """The request asks for the schema strictly, `parsed` is an instance, and the text stays as it came."""
    answers = offline.ended(offline.ask([prompt], schema=schema))
    asked = answers._rows.request(0).body["response_format"]
    assert (asked["type"], asked["json_schema"]["strict"]) == ("json_schema", True)
    assert asked["json_schema"]["schema"]["additionalProperties"] is False
    assert answers.parsed == [instance]
    assert type(answers[0].parsed) is type(instance)
    assert answers.texts == [prompt.removeprefix("[[echo]]")]
    assert answers.counts == {"ok": 1}


def test_the_sandbox_answers_with_what_fits() -> None:
    """Without further ado a batch with a schema gives an instance for every prompt."""
    answers = offline.ended(offline.ask(["a", "b", "c"], schema=Review))
    assert [type(each) for each in answers.parsed] == [Review] * 3


MISFITS: list[tuple[object, str, str]] = [
    (Review, said(stars="four", topic=None), "$.stars"),
    (Model, said(stars=6, topic=None), "there are five stars"),
    (AS_DICT, said(topic=None), "stars"),
    ("good|bad", said(label="so-so"), "so-so"),
    (Review, "[[echo]]no JSON at all", "JSON"),
]


@pytest.mark.parametrize(("schema", "prompt", "why"), MISFITS)
def test_a_reply_that_does_not_fit_has_failed_with_the_place_and_its_text(
    schema: object, prompt: str, why: str
) -> None:
    """A misfit is `failed`: the error says where and why, the text is there, nothing is parsed."""
    fits = "good|bad" if schema == "good|bad" else schema
    answers = offline.ended(offline.ask([prompt], schema=fits))
    (answer,) = answers
    assert (answer.status, answer.parsed, answer.text) == ("failed", None, prompt.removeprefix("[[echo]]"))
    assert answer.error is not None
    assert answer.error.code == "schema_mismatch"
    assert why in answer.error.message
    assert (answers.counts, len(answers.failed), answers.parsed) == ({"failed": 1}, 1, [None])
    assert answers.to_dicts()[0]["answer_error"] == str(answer.error)


def test_a_misfit_is_sent_again_by_a_retry_and_by_nothing_else() -> None:
    """A re-run sends nothing, before and after a restart; `retry` sends what does not fit."""
    prompts = [said(stars="four", topic=None), said(stars=4, topic=None)]
    first = offline.ended(offline.ask(prompts, schema=Review))
    sent = first.batch_ids
    again = offline.ask(prompts, schema=Review)
    assert (again.done, again.counts, again.batch_ids) == (True, {"ok": 1, "failed": 1}, sent)
    offline.restart()
    late = offline.ended(offline.ask(prompts, schema=Review))
    assert (late.counts, late.batch_ids) == ({"ok": 1, "failed": 1}, sent)
    offline.ended(late.retry(seed=2))
    assert late.counts == {"ok": 1, "failed": 1}
    assert len(late.batch_ids) == len(sent) + 1


def test_a_batch_that_is_attached_is_held_against_what_its_requests_say() -> None:
    """After a restart, without the class, replies are validated again, and parsed as JSON or labels."""
    offline.ended(
        offline.ask([said(stars=4, topic=None), said(stars="x", topic=None)], schema=Review, name="r")
    )
    offline.ended(offline.ask([said(label="bad"), said(label="odd")], schema=Mood, name="m"))
    offline.restart()
    reviews, moods = (offline.ended(client.attach(name)) for name in ("r", "m"))
    assert (reviews.parsed, moods.parsed) == ([{"stars": 4, "topic": None}, None], ["bad", None])
    assert reviews.counts == moods.counts == {"ok": 1, "failed": 1}


def limited(most: int) -> type[pydantic.BaseModel]:
    """One class after another, as a cell that is run again makes them: what they say on the wire is equal."""

    class Limited(pydantic.BaseModel):
        stars: int

        @pydantic.field_validator("stars")
        @classmethod
        def bounded(cls, stars: int) -> int:
            """Raises ValueError for too many."""
            if stars > most:
                raise ValueError(f"{stars} are too many")
            return stars

    return Limited


def test_a_class_that_changed_judges_what_is_here_anew() -> None:
    """The same prompts under a class that knows more are not sent again; what does not fit now has failed."""
    prompts = [said(stars=4), said(stars=5)]
    loose = offline.ended(offline.ask(prompts, schema=limited(9)))
    assert loose.counts == {"ok": 2}
    strict = offline.ended(offline.ask(prompts, schema=limited(4)))
    assert (strict.counts, strict.batch_ids) == ({"ok": 1, "failed": 1}, loose.batch_ids)
    assert strict[1].error is not None
    assert "5 are too many" in strict[1].error.message
    assert offline.ended(offline.ask(prompts, schema=limited(9))).counts == {"ok": 2}


def test_whoever_borrows_a_reply_judges_it_for_itself() -> None:
    """A reply that did not fit one submission's class is judged anew by the next one that reuses it."""
    strict = offline.ended(offline.ask([said(stars=5)], schema=limited(4)))
    again = offline.ended(offline.ask([said(stars=5), said(stars=1)], schema=limited(3)))
    assert (strict.counts, again.counts) == ({"failed": 1}, {"failed": 1, "ok": 1})
    assert again[0].error is not None
    assert "5 are too many" in again[0].error.message
    loose = offline.ended(offline.ask([said(stars=1), said(stars=5)], schema=limited(9)))
    assert (loose.counts, len(loose.batch_ids)) == ({"ok": 2}, 2)


def test_what_is_all_borrowed_is_held_against_the_lenders_requests() -> None:
    """An attached batch that has all its answers from another one parses them by that one's schema."""
    prompts = [said(stars=4, topic=None), said(stars="x", topic=None)]
    offline.ended(offline.ask(prompts, schema=Review))
    offline.ended(offline.ask(prompts[::-1], schema=Review, name="turned"))
    offline.restart()
    turned = offline.ended(client.attach("turned"))
    assert turned.parsed == [None, {"stars": 4, "topic": None}]


def test_request_lines_are_held_against_no_schema_of_another_line() -> None:
    """Lines that each ask for a schema of their own are answers as they come, and nothing is parsed."""
    lines = [
        {
            "custom_id": name,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "openai/gpt-oss-20b",
                "messages": [{"role": "user", "content": said(**{name: 1})}],
                "response_format": schema_of(shape).response_format(),
            },
        }
        for name, shape in (("stars", Review), ("label", "a|b"))
    ]
    answers = offline.ended(offline.ask(lines))
    assert (answers.counts, answers[0].parsed) == ({"ok": 2}, None)


def test_a_model_that_may_not_keep_to_a_schema_is_not_asked_to_be_strict() -> None:
    """What Groq lists as best-effort gets the schema without `strict`; a model unknown here gets it with."""
    asked = {
        model: (response_format(schema_of("a|b"), model) or {})["json_schema"]["strict"]
        for model in ("openai/gpt-oss-20b", "openai/gpt-oss-safeguard-20b", "a-new-one")
    }
    assert list(asked.values()) == [True, False, True]
    assert response_format(None, "a-new-one") is None


def test_labels_need_not_be_texts() -> None:
    """Truth values, numbers and None are labels, too: parsed as what they are, counted under JSON's words."""
    prompts = [said(label=label) for label in (True, False, True, None, 2)]
    answers = offline.ended(offline.ask(prompts, schema=Literal[True, False, None, 2]))
    assert answers.parsed == [True, False, True, None, 2]
    assert answers._label_counts() == {"true": 2, "false": 1, "null": 1, "2": 1}


class Leaving(pydantic.BaseModel):
    """A model whose validator would end the process."""

    stars: int

    @pydantic.field_validator("stars")
    @classmethod
    def leave(cls, stars: int) -> int:
        """Raises SystemExit."""
        raise SystemExit(stars)


def test_a_validator_that_ends_the_process_ends_its_reply_alone() -> None:
    """A SystemExit of the user's own is a misfit, and later batches go on."""
    answers = offline.ended(offline.ask([said(stars=4)], schema=Leaving))
    assert answers.counts == {"failed": 1}
    assert "SystemExit" in str(answers[0].error)
    assert offline.ended(offline.ask(["[[echo]]on we go"])).texts == ["on we go"]


def test_who_asked_with_a_stricter_class_has_none_where_it_does_not_fit() -> None:
    """Of Answers over one batch each parses by its own class; `parsed` is None there and raises nothing."""
    prompts = [said(stars=5)]
    strict = offline.ended(offline.ask(prompts, schema=limited(4)))
    loose = offline.ended(offline.ask(prompts, schema=limited(9)))
    assert (strict.parsed, strict[0].parsed) == ([None], None)
    assert loose.parsed[0].stars == 5


def test_an_answer_that_was_cut_off_is_cut_and_not_parsed() -> None:
    """What stopped at max tokens keeps its text and its status, whatever the schema."""
    answers = offline.ended(offline.ask(["[[cut]]" + said(stars=4, topic="food")]))  # no schema, or it fails
    answers._rows.judge(schema_of(Review))
    assert answers.counts == {"cut": 1}
    assert (answers[0].parsed, answers.parsed) == (None, [None])
    assert answers[0].text


def test_equal_prompts_that_are_asked_once_share_their_misfit() -> None:
    """With `unique` the reason of a misfit is that of each row that shares the reply."""
    bad = said(stars="four", topic=None)
    answers = offline.ended(offline.ask([bad, bad, said(stars=1, topic=None)], schema=Review, unique=True))
    assert answers.counts == {"ok": 1, "failed": 2}
    assert answers[0].error == answers[1].error
    labels = offline.ended(offline.ask([said(label="bad")] * 3, schema="good|bad", unique=True))
    assert labels._label_counts() == {"good": 0, "bad": 3}


def test_without_a_schema_there_is_nothing_parsed() -> None:
    """`parsed` of a whole says what to type; of one answer it is None."""
    answers = offline.ended(offline.ask(["a"]))
    assert answers[0].parsed is None
    with pytest.raises(InputError, match="ask for one with --schema"):
        _ = answers.parsed


def test_a_schema_has_an_option_of_its_own() -> None:
    """`extra` with a response_format beside a schema is refused, and so are tools."""
    with pytest.raises(InputError, match="'response_format', which has an option of its own"):
        offline.ask(["a"], schema=Review, extra={"response_format": {"type": "text"}})
    tool = {"type": "function", "function": {"name": "f"}}
    with pytest.raises(InputError, match="A schema and `tools` exclude each other"):
        offline.ask(["a"], schema=Review, extra={"tools": [tool]})


# --- frames ------------------------------------------------------------------------------------------------

REPLIES = [said(stars=4, topic="food"), said(stars=2, topic=None), "[[echo]]?", "[[fail]]"]
ADDED = [
    *("answer_answer", "answer_status", "answer_error", "answer_finish"),
    *("prompt_tokens", "completion_tokens", "stars_answer", "topic"),
]


def framed(source: object) -> Answers:
    """The answers about a table whose names clash with theirs."""
    return offline.ended(offline.ask(source, schema=Review, template="{{ answer }}"))


def test_a_pandas_frame_gets_a_column_for_each_field_under_its_own_odd_index() -> None:
    """Order, index and types stay; a field's name that is taken gets a suffix; missing values are missing."""
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 1), ("b", None), ("c", 3)], names=["k", None])
    source = pd.DataFrame({"answer": REPLIES, "stars": [1.5, 2.5, None, 4.0]}, index=index)
    frame = framed(source).to_pandas()
    assert list(frame.columns) == ["answer", "stars", *ADDED]
    pd.testing.assert_index_equal(frame.index, index)
    pd.testing.assert_frame_equal(frame[["answer", "stars"]], source)
    assert frame["stars_answer"].tolist() == [4, 2, pd.NA, pd.NA]
    assert str(frame["stars_answer"].dtype) == "Int64"
    assert [value if value == value else None for value in frame["topic"]] == ["food", None, None, None]
    assert frame["answer_status"].tolist() == ["ok", "ok", "failed", "failed"]


def test_a_polars_frame_and_an_arrow_table_get_typed_columns_for_the_fields() -> None:
    """Integers stay integers beside missing values, in both."""
    source = pl.DataFrame({"answer": REPLIES, "stars": [1.5, 2.5, None, 4.0]})
    frame = framed(source).to_polars()
    assert frame.columns == ["answer", "stars", *ADDED]
    assert frame["stars_answer"].to_list() == [4, 2, None, None]
    assert (frame["stars_answer"].dtype, frame["topic"].dtype) == (pl.Int64, pl.String)
    table = framed(source.to_arrow()).to_arrow()
    assert table.column_names == ["answer", "stars", *ADDED]
    assert table["stars_answer"].to_pylist() == [4, 2, None, None]
    assert table.schema.field("stars_answer").type == pa.int64()


def test_fields_of_every_kind_fit_every_library() -> None:
    """Lists and objects stay what they are; what a library cannot hold in one column becomes its JSON."""
    schema = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "sure": {"type": "boolean"},
            "share": {"type": "number"},
            "answer": {"type": "string"},
        },
        "required": ["tags", "either", "sure", "share", "answer"],
    }
    rows = [
        {"tags": ["a", "b"], "either": 1, "sure": True, "share": 1, "answer": "x"},
        {"tags": [], "either": "one", "sure": False, "share": 0.5, "answer": "y"},
    ]
    answers = offline.ended(offline.ask([said(**row) for row in rows], schema=schema))
    names = ["tags", "either", "sure", "share", "answer_answer"]
    dicts = [{name: row[name] for name in names} for row in answers.to_dicts()]
    assert dicts == [{name: row[name.partition("_")[0]] for name in names} for row in rows]
    frame = answers.to_pandas()
    assert frame["tags"].tolist() == [["a", "b"], []]
    assert frame["either"].tolist() == [1, "one"]
    assert [str(frame[name].dtype) for name in ("sure", "share")] == ["boolean", "float64"]
    for table in (answers.to_polars().to_dicts(), answers.to_arrow().to_pylist()):
        assert [row["tags"] for row in table] == [["a", "b"], []]
        assert [row["either"] for row in table] == ["1", '"one"']
        assert [(row["sure"], row["share"]) for row in table] == [(True, 1.0), (False, 0.5)]


def test_fields_are_columns_of_the_next_batch() -> None:
    """The answers of a batch with labels are rows of the next, with the label by name."""
    first = offline.ended(offline.ask([said(label="bad"), said(label="good")], schema="good|bad"))
    second = offline.ended(offline.ask(first, template="[[echo]]It was {{ label }}."))
    assert second.texts == ["It was bad.", "It was good."]


# --- what is seen -------------------------------------------------------------------------------------------


def test_labels_are_shown_as_counts_with_bars() -> None:
    """Text, HTML and the card count the labels, the most frequent first, and show labels as answers."""
    prompts = [said(label="bad")] * 3 + [said(label="good"), said(label="odd")]
    answers = offline.ended(offline.ask(prompts, schema="good|bad|so <b>so</b>"))
    text, html = answers._repr_mimebundle_().values()
    lines = text.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["bad", "█" * 30, "3"],
        ["good", "█" * 10, "1"],
        ["so", "<b>so</b>", "0"],
    ]
    assert '<progress max="3" value="3" aria-label="bad">' in html
    assert "so &lt;b&gt;so&lt;/b&gt;" in html
    assert "<b>so</b>" not in html
    assert repr(answers[0]) == "<Answer 0 ok: bad>"
    now = offline.look(answers)
    assert now.labels == (("good", 1), ("bad", 3), ("so <b>so</b>", 0))
    assert [said for _, _, said in now.first_answers] == ["bad", "bad", "bad"]


def test_a_part_counts_its_own_labels() -> None:
    """A slice shows the labels of its rows alone."""
    answers = offline.ended(offline.ask([said(label="bad")] * 2 + [said(label="good")], schema="good|bad"))
    assert answers[1:]._label_counts() == {"good": 1, "bad": 1}
