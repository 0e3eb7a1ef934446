"""Sources: everything that prompts come from, with and without a template, and what is said to the rest."""

import subprocess
import sys
from collections import OrderedDict, deque
from enum import StrEnum
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.prompts import from_source
from groq_magic.prompts.refusals import ACCEPTED

TALK = [{"role": "user", "content": "hi"}]
COLUMNS = {"prompt": ["hi", "bye"], "lang": ["en", "de"]}


class Word(StrEnum):
    """Texts of a subclass of str."""

    HI = "hi"


def read(source: object, **options: object) -> list[object]:
    """The prompts of a source."""
    prompts = from_source(source, **{"named": "df", **options})
    items = list(prompts.items)
    assert prompts.count == len(items)
    return items


def refusal(source: object, **options: object) -> str:
    """The line that a source is refused with, at once or while it is read."""
    with pytest.raises(InputError) as caught:
        read(source, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("source", "template", "prompts"),
    [
        (["hi", "bye"], None, ["hi", "bye"]),
        (("hi", "bye"), "Say {{ item }} {{ index }}", ["Say hi 0", "Say bye 1"]),
        (deque(["hi"]), None, ["hi"]),
        ([Word.HI, np.str_("bye")], None, ["hi", "bye"]),
        (["{{ not a template }}"], None, ["{{ not a template }}"]),
        ({"a": "hi", "b": "bye"}, None, ["hi", "bye"]),
        (OrderedDict(a="hi"), "{{ id }}: {{ item }}", ["a: hi"]),
        ([TALK, tuple(TALK)], None, [TALK, TALK]),
        ({"a": TALK}, None, [TALK]),
        ([{"prompt": "hi"}], None, ["hi"]),
        ([{"messages": TALK}], None, [TALK]),
        ([{"text": "hi"}, OrderedDict(text="bye")], "Say {{ text }}", ["Say hi", "Say bye"]),
        ([{"text": "hi"}, {"text": "bye", "more": 1}], "{{ text }}", ["hi", "bye"]),
        ([{"role": "user", "content": "hi"}], "{{ content }}", ["hi"]),
        (pd.Series(["hi", "bye"], index=[7, 9]), None, ["hi", "bye"]),
        (pl.Series(["hi", "bye"]), "{{ item }}!", ["hi!", "bye!"]),
        (pa.chunked_array([["hi"], ["bye"]]), None, ["hi", "bye"]),
        *[
            (make(COLUMNS), template, prompts)
            for make in (pd.DataFrame, pl.DataFrame, pa.table)
            for template, prompts in [
                (None, ["hi", "bye"]),
                ("{{ prompt }} {{ lang }}", ["hi en", "bye de"]),
                ("{{ row }}", ["{'prompt': 'hi', 'lang': 'en'}", "{'prompt': 'bye', 'lang': 'de'}"]),
            ]
        ],
        (pd.DataFrame({"messages": [TALK]}), None, [TALK]),
        (pd.DataFrame({"messages": [np.array(TALK)]}), None, [TALK]),
        (pl.DataFrame({"messages": [[*TALK, {"role": "assistant", "content": "x", "reasoning": "r"}]]}), None,
         [[*TALK, {"role": "assistant", "content": "x", "reasoning": "r"}]]),
        (pa.table({"messages": [TALK]}), None, [TALK]),
        (pd.DataFrame({0: ["hi"]}), "{{ row[0] }}", ["hi"]),
        (pd.DataFrame({"a": ["x", "y"]}, index=[5, 5]), "{{ a }}{{ index }}", ["x0", "y1"]),
    ],
)  # fmt: skip
def test_every_kind_of_source_gives_its_prompts_in_order(source, template, prompts):
    """Lists, dicts, conversations, rows, Series and tables are read as they stand, or fill a template."""
    assert read(source, template=template) == prompts


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_table_is_kept_by_reference_with_its_ids(make):
    """The user's frame is handed on itself, and an id column becomes the ids."""
    frame = make(COLUMNS)
    prompts = from_source(frame, id_column="lang")
    assert prompts.frame is frame
    assert prompts.ids == ["en", "de"]


def test_more_rows_than_a_batch_keep_their_order():
    """Batches are an inner matter: all rows come, once and in order."""
    frame = pl.DataFrame({"n": range(25_001)})
    assert read(frame, template="{{ n }}") == [str(n) for n in range(25_001)]


def test_keys_of_a_dict_are_the_ids():
    """A dict's keys become the ids of its prompts."""
    assert from_source({"a": "hi", "b": "bye"}).ids == ["a", "b"]
    assert from_source([{"prompt": "x", "k": "a"}], id_column="k").ids == ["a"]
    assert from_source(["hi"]).ids is None


UNSENT = "; or leave their rows unsent: `--missing skip`"


def generator():
    """A generator."""
    yield "hi"


async def agenerator():
    """An async generator."""
    yield "hi"


async def coroutine():
    """A coroutine."""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (None, f"`df` is None: there is nothing to send. {ACCEPTED}"),
        ("hi", "`df` is one text: put it in a list: [df]"),
        ("a.csv", "`df` is one text: put it in a list, [df]; as a file it is Path(df)"),
        (b"hi", f"`df` is a bytes, not a list of texts: `.decode()` makes a text. {ACCEPTED}"),
        (7, f"`df` is an int, which holds no prompts. {ACCEPTED}"),
        (sys, f"`df` is a module, which holds no prompts. {ACCEPTED}"),
        (dict, f"`df` is a type, which holds no prompts. {ACCEPTED}"),
        (len, f"`df` is a function that was not called: df(). {ACCEPTED}"),
        (generator, "`df` is a generator that was not called: df()"),
        (agenerator, "`df` is a generator that was not called: df()"),
        (coroutine, f"`df` is a function that was not called: df(). {ACCEPTED}"),
        ({"a": "hi"}.items(), "`df` is the items of a dict: send the dict itself"),
        (StringIO("hi"), "`df` is an open file: name its path, in quotes or as Path(…)"),
        ({"hi"}, "`df` is a set, which has no order: sorted(df)"),
        ([], "`df` is empty: there is nothing to send"),
        ({}, "`df` is empty: there is nothing to send"),
        (pd.DataFrame({"a": []}), "`df` is empty: there is nothing to send"),
        (TALK, "`df` is one conversation: wrap it: [df]"),
        (TALK[0], "`df` is one message: write [[df]] for one conversation"),
        (
            {"a": [1], "b": [2]},
            "`df` is a dict of lists, not of prompts: a table of its columns is `pd.DataFrame(df)`",
        ),
        ({"a": {"b": 1}}, "`df` has no column `prompt` or `messages` (it has: b): write the prompt as a "
         "template: Classify: {{ b }}"),
        (np.array([["hi"]]), "`df` is a ndarray of 2 dimensions: a table of it is `pd.DataFrame(df)`"),
        (np.array([7]), "row 0 of `df` is an int, not a text: `str(x)` makes one"),
        (object(), f"`df` is an object, which cannot be read. {ACCEPTED}"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]),
         "`df` has columns of the same name: `a` is there twice; rename one"),
        ([1, 2], "row 0 of `df` is an int, not a text: `str(x)` makes one"),
        ([object()], f"row 0 of `df` is an object, not a prompt. {ACCEPTED}"),
        ([None], f"row 0 of `df` is None. {ACCEPTED}"),
        ([b"x"], f"row 0 of `df` is a bytes, not a prompt: `.decode()` makes a text. {ACCEPTED}"),
        ({"a": 1}, "row 0 of `df` is an int, not a text: `str(x)` makes one"),
        ({"a": object()}, f"the value of 'a' of `df` is an object, not a prompt. {ACCEPTED}"),
        ([{"messages": TALK, "model": "m"}], "`df` holds bodies of requests: as whole request lines they are "
         '{"custom_id": …, "method": "POST", "url": "/v1/chat/completions", "body": …}; if the model is not '
         "meant, drop the column `model`"),
        (["hi", 3], "row 1 of `df` is an int, not a text: `str(x)` makes one"),
        (["hi", b"x"], "row 1 of `df` is bytes, not a text: `.decode()` makes one"),
        (["hi", None], "`df` has 1 missing value (row 1): fill them"
         f"{UNSENT}"),
        ([float("nan"), "hi", None], "`df` has 2 missing values (rows 0, 2): fill them"
         f"{UNSENT}"),
        ({"a": "hi", "b": None}, "`df` has 1 missing value (row 1): fill them"
         f"{UNSENT}"),
        (["hi", TALK], "row 1 of `df` is a list, not a text, as row 0 is"),
        (["hi", ""], "row 1 of `df` is an empty prompt: fill it or leave it out"),
        (["hi", " \n"], "row 1 of `df` is an empty prompt: fill it or leave it out"),
        ({"a": "hi", 7: "x"},
         "row 1 of `df`: the key 7 is an int; ids are texts: {str(k): v for k, v in df.items()}"),
        ({" ": "hi"}, "row 0 of `df`: the key is empty; each row needs its own"),
        ([{"prompt": "hi"}, "x"], "row 1 of `df` is a str, not a dict as row 0 is"),
        (
            [{"text": "hi"}],
            "`df` has no column `prompt` or `messages` (it has: text): "
            "write the prompt as a template: Classify: {{ text }}",
        ),
        (
            pd.DataFrame({"Review Text": ["x"]}),
            "`df` has no column `prompt` or `messages` (it has: Review Text): "
            "write the prompt as a template: Classify: {{ row['Review Text'] }}",
        ),
        (
            [{"prompt": "hi", "messages": TALK}],
            "`df` has both a column `prompt` and a column `messages`: drop one of them",
        ),
        (
            [{"prompt": "hi"}, {"prompt": None}],
            "column `prompt` of `df` has 1 missing value (row 1): fill them"
            f"{UNSENT}",
        ),
        (
            pd.Series(["a", None, np.nan]),
            "`df` has 2 missing values (rows 1, 2): fill them; "
            f"leave them out: df.dropna(){UNSENT}",
        ),
        (
            pl.Series(["a", None]),
            "`df` has 1 missing value (row 1): fill them; "
            f"leave them out: df.drop_nulls(){UNSENT}",
        ),
        (pd.DataFrame({"prompt": [1]}), "row 0 of `df` is an int, not a text: `str(x)` makes one"),
        ([None, {"prompt": "hi"}], "row 0 of `df` is None, not a dict as later rows are"),
        ([TALK, None], "`df` has 1 missing value (row 1): fill them"
         f"{UNSENT}"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_sent_is_refused_in_one_line(source, said):
    """Each refusal says what it is, where, and what to type next."""
    assert refusal(source) == said


ROLES = (
    "one of system, user, assistant, tool, developer "
    "(https://console.groq.com/docs/api-reference#chat-create)"
)
CALL = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LIST = 'not a list of messages: [{"role": …, "content": …}]'


@pytest.mark.parametrize(
    ("conversation", "said"),
    [
        ("hi", f"row 1 of `df` is a str, {LIST}"),
        ([], "row 1 of `df` is a conversation without messages: fill it or leave it out"),
        (["hi"], 'row 1 of `df`: message 0 is a str, not a dict {"role": …, "content": …}'),
        ([{"content": "hi"}], f"row 1 of `df`: message 0 has no role: {ROLES}"),
        (
            [*TALK, {"role": "bot", "content": "x"}],
            f"row 1 of `df`: message 1 has the role 'bot': {ROLES}",
        ),
        ([{"role": "user"}], "row 1 of `df`: message 0 has no content: a text or a list of parts"),
        (
            [{"role": "user", "content": 3}],
            "row 1 of `df`: message 0 has an int as its content: a text or a list of parts",
        ),
        (
            [{"role": "user", "content": ["x"]}],
            'row 1 of `df`: message 0 has content that is no list of parts: [{"type": "text", "text": …}]',
        ),
    ],
)
def test_a_faulty_conversation_names_row_and_message(conversation, said):
    """What the chat endpoint would not read is found before anything is sent."""
    assert refusal([TALK, conversation]) == said


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "developer", "content": "x"},
        {"role": "tool", "content": "x", "tool_call_id": "x"},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ],
)
def test_messages_of_every_role_pass_unchanged(message):
    """All that Groq documents for messages is let through as it is."""
    assert read([[*TALK, message]]) == [[*TALK, message]]


@pytest.mark.parametrize(
    ("frame", "used", "said"),
    [
        (
            pd.DataFrame({"t": ["a", None, np.nan, pd.NA]}),
            "t",
            "3 missing values (rows 1, 2, 3): {}df.dropna(subset=['t'])",
        ),
        (
            pd.DataFrame({"t": [pd.Timestamp(0), pd.NaT]}),
            "t",
            "1 missing value (row 1): {}df.dropna(subset=['t'])",
        ),
        (
            pd.DataFrame({"t": [None] * 9}),
            "t",
            "9 missing values (rows 0, 1, 2, 3, 4, …): {}df.dropna(subset=['t'])",
        ),
        (
            pd.DataFrame({"t": [1, None]}, dtype="Float64"),
            "t",
            "1 missing value (row 1): {}df.dropna(subset=['t'])",
        ),
        (
            pl.DataFrame({"t": [1.0, float("nan"), None]}),
            "t",
            "2 missing values (rows 1, 2): {}df.drop_nulls('t')",
        ),
        (
            pa.table({"t": ["a", None]}),
            "t",
            '1 missing value (row 1): {}df.filter(pc.is_valid(pc.field("t")))',
        ),
        (
            [{"t": 1}, {"t": pd.NaT}, {}],
            "t",
            "2 missing values (rows 1, 2): fill them",
        ),
        (
            [{"t": None, "u": 1}],
            "row",
            "1 missing value (row 0): fill them",
        ),
    ],
)
def test_missing_values_in_a_used_column_are_counted_before_rendering(frame, used, said):
    """None, NaN, NaT and NA are refused with count and first rows, before the first prompt is made."""
    with pytest.raises(InputError) as caught:
        from_source(frame, template=f"{{{{ {used} }}}}", named="df")
    assert (
        caught.value.message
        == "column `t` of `df` has " + said.format("fill them; leave them out: ") + UNSENT
    )


def test_missing_values_in_an_unused_column_do_not_matter():
    """Only columns that the template uses are looked at."""
    assert read(pd.DataFrame({"a": ["x"], "b": [None]}), template="{{ a }}") == ["x"]


@pytest.mark.parametrize(
    ("source", "column", "said"),
    [
        (pd.DataFrame({"prompt": ["a"], "id": [1]}), "id",
         "row 0 of `df`: the id in `id` 1 is an int; ids are texts: df.astype({'id': str})"),
        (pl.DataFrame({"prompt": ["a"], "id": [1]}), "id",
         "row 0 of `df`: the id in `id` 1 is an int; "
         "ids are texts: df.with_columns(pl.col('id').cast(pl.String))"),
        ([{"prompt": "a", "id": 1}], "id",
         "row 0 of `df`: the id in `id` 1 is an int; "
         "ids are texts: [{**row, 'id': str(row['id'])} for row in df]"),
        (pd.DataFrame({"prompt": ["a", "b"], "id": ["x", "x"]}), "id",
         "row 1 of `df`: the id in `id` 'x' is that of row 0 too; ids are unique"),
        (pd.DataFrame({"prompt": ["a"], "id": [""]}), "id",
         "row 0 of `df`: the id in `id` is empty; each row needs its own"),
        (pd.DataFrame({"prompt": ["a"], "ident": ["x"]}), "idents",
         "`df` has no column `idents`, did you mean `ident`?; it has: prompt, ident"),
        (["hi"], "id", "`df` has no columns, so no `id`: ids come from a dict {id: prompt}"),
        (pd.DataFrame({"prompt": ["a"], "id": [None]}), "id",
         "column `id` of `df` has 1 missing value (row 0): "
         "each row needs an id of its own"),
        ([{"prompt": "a", "id": "\ud800"}], "id",
         "row 0 of `df`: the id in `id` holds half a character (a lone surrogate), which cannot be sent"),
        ({"a": "hi", None: "hi"}, None, "row 1 of `df`: the key None is missing; ids are texts: "
         "{str(k): v for k, v in df.items()}"),
    ],
)  # fmt: skip
def test_ids_that_would_not_do_are_refused_with_row_and_value(source, column, said):
    """Ids are unique texts, so that every answer finds its row."""
    assert refusal(source, id_column=column) == said


def test_names_in_errors_neither_act_nor_part_the_line():
    """Escape sequences, line ends and half characters in a column's name are shown as blanks or "?"."""
    said = refusal([{"a\nb\x1b[31m\u2028\ud800": "x"}], template="{{ c }}")
    assert said == "the template, line 1: `c` is unknown; `df` has: a b [31m ?, row, index"


def test_a_template_over_conversations_is_refused():
    """Conversations are sent as they are."""
    said = "`df` holds conversations, which are sent as they are: leave out the template"
    assert refusal([TALK], template="{{ item }}") == said


def test_a_conversation_with_a_system_message_refuses_another():
    """A shared system message goes to conversations without one, and to no others."""
    assert from_source([TALK], system="Be brief").system == "Be brief"
    assert read([TALK], system="Be brief") == [TALK]
    own = [{"role": "system", "content": "x"}, *TALK]
    said = "row 1 of `df` has a system message already: leave out the system option"
    assert refusal([TALK, own], system="Be brief") == said
    assert refusal([TALK, own], system="Be {{ index }}") == said


def test_a_source_without_a_name_is_called_the_source():
    """Python callers who give no name read "the source"."""
    with pytest.raises(InputError, match=r"^the source is one text: put it in a list: \[x\]$"):
        from_source("hi")


def test_plain_lists_bring_neither_jinja_nor_narwhals():
    """What a source does not need is not imported."""
    code = (
        "import sys; from groq_magic.prompts import from_source, from_body\n"
        "list(from_source(['a']).items), list(from_source([{'prompt': 'a'}]).items)\n"
        "list(from_body('a').items)\n"
        "assert not {'jinja2', 'narwhals', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), min_size=1))
def test_any_text_without_a_template_comes_through_unchanged(texts):
    """Without a template every text is sent as it is, marks and all."""
    assert read(texts) == texts
    assert read([{"prompt": text} for text in texts]) == texts
    assert read(pl.DataFrame({"prompt": texts})) == texts
