"""Files as sources: .jsonl, .csv, .parquet and .txt, and what is said to others."""

import csv
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.prompts import Skipped, from_source
from groq_magic.prompts.files import PIECE, File

ROWS = [{"prompt": "hi", "lang": "en"}, {"prompt": "salut, toi", "lang": "fr"}]
TALK = [{"role": "user", "content": "hi"}]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own for each test, to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name: str, **options: object) -> list[object]:
    """The prompts of a file, named as a user would."""
    return list(from_source(Path(name), **{"named": name, **options}).items)


def refusal(name: str, **options: object) -> str:
    """The line that a file is refused with."""
    with pytest.raises(InputError) as caught:
        read(name, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


def jsonl(*values: object) -> bytes:
    """Values as JSON lines."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


@pytest.mark.parametrize(
    ("name", "content", "template", "prompts"),
    [
        ("a.jsonl", jsonl("hi", "bye\u2028bye"), None, ["hi", "bye\u2028bye"]),
        ("a.jsonl", jsonl("hi"), "Say {{ item }}", ["Say hi"]),
        ("a.jsonl", b"\xef\xbb\xbf" + jsonl(*ROWS) + b"\n  \n", None, ["hi", "salut, toi"]),
        ("a.jsonl", jsonl(*ROWS)[:-1], "{{ lang }}: {{ prompt }}", ["en: hi", "fr: salut, toi"]),
        ("a.jsonl", jsonl({"messages": TALK}), None, [TALK]),
        ("a.jsonl", jsonl(TALK), None, [TALK]),
        ("a.csv", b'prompt,lang\nhi,en\n"salut, toi",fr\n', None, ["hi", "salut, toi"]),
        ("a.CSV", b"\xef\xbb\xbfprompt;lang\r\nhi, you;en\r\n\r\n", "{{ prompt }}{{ lang }}", ["hi, youen"]),
        ("a.csv", b'a\tb\nx\t"y\nz"\n', "{{ a }}{{ row['b'] }}", ["xy\nz"]),
        ("a.csv", b",prompt\n0,hi\n", "{{ row['Unnamed: 0'] }} {{ prompt }}", ["0 hi"]),
        ("a.csv", b'\n \n"last, first";prompt\nx;hi\n', None, ["hi"]),
        ("a.csv", b"prompt\n" + b"x" * 200_000, None, ["x" * 200_000]),
        ("a.txt", "hi\r\n\n  bye \u2028 bye\n".encode(), None, ["hi", "bye \u2028 bye"]),
        ("a.txt", b"\xef\xbb\xbfhi", "Say {{ item }} {{ index }}", ["Say hi 0"]),
    ],
)
def test_a_file_gives_its_prompts_in_order(name, content, template, prompts):
    """Texts, conversations and rows are read as they stand, or fill a template."""
    Path(name).write_bytes(content)
    assert read(name, template=template) == prompts


def test_a_parquet_file_gives_its_rows_with_their_types():
    """Numbers stay numbers, and nulls are missing."""
    pq.write_table(pa.table({"n": [1, None, 3], "prompt": ["a", "b", "c"]}), "a.parquet")
    assert read("a.parquet") == ["a", "b", "c"]
    assert read("a.parquet", template="{{ n + 1 }}", missing="skip") == ["2", Skipped("n"), "4"]


def test_an_empty_cell_is_a_missing_value():
    """What a spreadsheet leaves empty is not sent as an empty text."""
    Path("a.csv").write_text('t\nx\n\n""\ny\n')
    assert read("a.csv", template="{{ t }}", missing="skip") == ["x", Skipped("t"), "y"]
    said = "column `t` of `a.csv` has 1 missing value (row 1): fill them; or leave their rows unsent: "
    assert refusal("a.csv", template="{{ t }}") == said + "`--missing skip`"


def test_a_long_file_is_read_in_pieces_and_numbered_through():
    """Rows count from the beginning of the file, wherever the pieces end."""
    Path("a.jsonl").write_bytes(jsonl(*({"n": n} for n in range(2 * PIECE + 1))))
    assert read("a.jsonl", template="{{ n - index }}") == ["0"] * (2 * PIECE + 1)
    pq.write_table(pa.table({"n": range(2 * PIECE + 1)}), "a.parquet")
    assert read("a.parquet", template="{{ n - index }}") == ["0"] * (2 * PIECE + 1)
    with Path("a.jsonl").open("ab") as file:
        file.write(b'{"n": \n')
    assert refusal("a.jsonl", template="{{ n }}").startswith("line 2,002 of `a.jsonl` is no JSON: ")


def test_missing_values_of_a_file_are_counted_to_its_end():
    """A file has an end, so the whole of it is counted."""
    Path("a.jsonl").write_bytes(jsonl(*({"t": None if n % PIECE == 7 else "x"} for n in range(2 * PIECE))))
    said = refusal("a.jsonl", template="{{ t }}")
    assert said.startswith("column `t` of `a.jsonl` has 2 missing values (rows 7, 1,007): ")


def test_the_length_of_a_file_is_no_limit():
    """Only what may be endless is limited."""
    Path("a.txt").write_text("hi\n" * 3_000)
    assert len(read("a.txt", max_prompts=1_000)) == 3_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "`a.jsonl` is empty: there is nothing to send"),
        ("a.jsonl", b"\n\n", "`a.jsonl` gives nothing to send: it is empty"),
        ("a.csv", b"prompt,lang\n", "`a.csv` gives nothing to send: it is empty"),
        ("a.txt", b" \n", "`a.txt` gives nothing to send: it is empty"),
        ("a.jsonl", b'"hi"\nnot json\n', "line 2 of `a.jsonl` is no JSON: JSON is malformed: "),
        ("a.jsonl", b'"hi"\n"\xff"\n', "line 2 of `a.jsonl` is no JSON: "),
        ("a.jsonl", b'"\\ud800"\n', "line 1 of `a.jsonl` is no JSON: "),
        ("a.jsonl", b"[" * 5_000, "line 1 of `a.jsonl` is no JSON: "),
        ("a.jsonl", b'"hi"\n{"prompt": "x"}\n', "row 1 of `a.jsonl` is a dict, not a text, as row 0 is"),
        ("a.jsonl", b"7\n", "row 0 of `a.jsonl` is an int, not a text: `str(x)` makes one"),
        ("a.csv", b"a,b\nx\n", "line 2 of `a.csv` has 1 cell, the header 2: a cell is missing, or one "
         "that holds ',' or a line end is not quoted"),
        ("a.csv", b"a;b\nx;y;z\n", "line 2 of `a.csv` has 3 cells, the header 2: quote a cell that holds "
         "';'"),
        ("a.csv", b'a,b\nx,"y\n', "line 2 of `a.csv` cannot be read: unexpected end of data"),
        ("a.csv", b"a,a\nx,y\n", "`a.csv` has columns of the same name: `a` is there twice; rename one"),
        ("a.csv", b"prompt\n\xe9t\xe9\n", "`a.csv` is not UTF-8: "),
        ("a.csv", b"text\nhi\n", "`a.csv` has no column `prompt` or `messages` (it has: text): write the "
         "prompt as a template: Classify: {{ text }}"),
        ("a.csv", b"\xff\xfeh\0i\0", "`a.csv` is not UTF-8: invalid start byte; save it "
         "as UTF-8, or read it as it is: "
         "`--from pd.read_csv('a.csv', sep=None, engine='python', encoding='utf-16')`"),
        ("a.parquet", b"PAR1 and no more", "`a.parquet` cannot be read: "),
        ("a.xlsx", b"PK", "`a.xlsx` is none of .jsonl, .csv, .tsv, .parquet, .txt: read it first, for "
         "example `--from pd.read_excel('a.xlsx')`"),
        ("a.md", b"hi", "`a.md` is none of .jsonl, .csv, .tsv, .parquet, .txt: read it first"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_sent_is_refused_in_one_line(name, content, said):
    """What it is, which line, and what to type."""
    Path(name).write_bytes(content)
    assert refusal(name).startswith(said)


def test_a_file_that_is_not_there_is_refused_with_the_nearest(folder):
    """A misspelt name gets the one that is there; an expression in quotes is told to lose them."""
    Path("reviews.csv").write_text("prompt\nhi\n")
    assert refusal("review.csv") == f"no file `review.csv` in {folder}, did you mean `reviews.csv`?"
    assert refusal("none/review.csv") == f"no file `none/review.csv` in {folder}/none"
    assert refusal("df[df.n > 1]") == (
        f"no file `df[df.n > 1]` in {folder}; a Python expression stands without quotes: --from df[df.n > 1]"
    )
    assert refusal("review") == f"no file `review` in {folder}, did you mean `reviews.csv`?"
    assert refusal("Say hi") == f"no file `Say hi` in {folder}; a text goes into a list: --from ['Say hi']"
    (folder / "rows.csv").mkdir()
    assert refusal("rows.csv") == "`rows.csv` is a folder: name one file in it"


def test_a_file_that_changes_while_it_is_read_is_refused():
    """Half of it is not taken for the whole."""
    Path("a.csv").write_text("prompt\n" + "hi\n" * 5 * PIECE)
    items = iter(from_source(Path("a.csv"), named="a.csv").items)
    next(items)
    Path("a.csv").write_text("prompt\n" + "hi\n" * 6 * PIECE)
    with pytest.raises(InputError, match=r"^`a.csv` changed while it was read: send it again$"):
        list(items)


def test_names_that_no_file_can_have_are_refused():
    """A prompt in quotes, or a home that is not there, is no file."""
    assert refusal("Say hi " * 60).startswith("no file `Say hi Say hi")
    assert refusal("~nosuchuser/x.csv") == "no file `~nosuchuser/x.csv`: Could not determine home directory."


def test_a_table_of_very_many_columns_is_read():
    """Looking for columns of one name takes no longer than reading them."""
    Path("a.csv").write_text(",".join(f"c{n}" for n in range(50_000)) + "\n" + "x," * 49_999 + "x\n")
    assert read("a.csv", template="{{ c49999 }}") == ["x"]


def test_the_columns_of_a_file_can_be_read_again():
    """A file is not held in memory: its columns are read once more, if it is still the same."""
    Path("a.csv").write_text("prompt,n\nhi,1\nbye,\n")
    prompts = from_source(Path("a.csv"))
    assert list(prompts.items) == ["hi", "bye"]
    assert isinstance(prompts.frame, File)
    assert prompts.frame.again() == [[{"prompt": "hi", "n": "1"}, {"prompt": "bye", "n": None}]]
    Path("a.csv").write_text("prompt,n\nhi,1\n")
    with pytest.raises(InputError, match=r"^`a.csv` has changed since its rows were sent"):
        prompts.frame.again()
    assert from_source(Path("a.csv").rename("b.csv")).frame is not None
    Path("a.txt").write_text("hi")
    assert from_source(Path("a.txt")).frame is None


SAYABLE = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)


@given(st.lists(SAYABLE, min_size=1))
@settings(max_examples=50)
def test_any_text_comes_out_of_a_file_as_it_went_in(texts):
    """Whatever a text holds, quotes, separators or odd line ends, a file gives it back."""
    Path("a.jsonl").write_bytes(jsonl(*texts))
    assert read("a.jsonl") == texts
    pd.DataFrame({"prompt": texts}).to_parquet("a.parquet")
    assert read("a.parquet") == texts
    with Path("a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["n", "prompt"], *([1, text] for text in texts)])
    assert read("a.csv") == texts
