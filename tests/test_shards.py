import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from groq_magic import shards
from groq_magic.errors import InputError
from groq_magic.prompts import Prompt, Prompts
from groq_magic.shards import Cut, Form

MODEL = "openai/gpt-oss-20b"
FORM = Form(MODEL)


def cut(
    items: Sequence[Prompt],
    folder: Path,
    *,
    ids: Sequence[str] | None = None,
    form: Form = FORM,
    max_lines: int = shards.MAX_LINES,
) -> list[Cut]:
    """The prompts, cut into a new folder."""
    folder.mkdir()
    return shards.cut(Prompts(items, len(items), ids), form, folder, max_lines)


def texts(count: int) -> list[str]:
    """So many different prompts."""
    return [f"prompt {n}" for n in range(count)]


def lines_of(found: Cut) -> list[dict[str, Any]]:
    """The lines of a shard, decoded strictly."""
    content = found.path.read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def test_every_line_is_as_documented(tmp_path: Path) -> None:
    """A line has custom_id, method, url and body, in that order; the body has what was asked and no more."""
    form = Form(MODEL, system="Be brief.", options={"temperature": 0.0, "top_p": 1.0})
    (found,) = cut(["Say hi"], tmp_path / "cut", form=form)
    (line,) = lines_of(found)
    assert list(line) == ["custom_id", "method", "url", "body"]
    assert line == {
        "custom_id": f"{form.key}-0-0",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": MODEL,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi"}],
            "temperature": 0.0,
            "top_p": 1.0,
        },
    }


AWKWARD = [
    "\u2028\u2029\u0085",
    'a "b" \\ c',
    "\n\r\t\x00\x1f",
    "🌍 e\u0301",
    "</script>",
    "}" * 9,
    "%b %s {}",
]


def test_awkward_texts_arrive_as_they_are(tmp_path: Path) -> None:
    """Line breaks, quotes, control characters and other scripts: one line each, and the same text in it."""
    (found,) = cut(AWKWARD, tmp_path / "cut")
    assert [line["body"]["messages"][0]["content"] for line in lines_of(found)] == AWKWARD


def test_no_shard_has_more_lines_than_allowed(tmp_path: Path) -> None:
    """Seven prompts at three a file are files of three, three and one, in order and without a gap."""
    found = cut(texts(7), tmp_path / "cut", max_lines=3)
    assert [(one.number, one.first_row, one.lines) for one in found] == [(0, 0, 3), (1, 3, 3), (2, 6, 1)]
    asked = [line["body"]["messages"][0]["content"] for one in found for line in lines_of(one)]
    assert asked == texts(7)


@pytest.mark.parametrize(("count", "lines"), [(3, [3]), (6, [3, 3])])
def test_a_full_last_shard_is_followed_by_none(count: int, lines: list[int], tmp_path: Path) -> None:
    """Where the prompts fill their files exactly, there is no empty file."""
    found = cut(texts(count), tmp_path / "cut", max_lines=3)
    assert [one.lines for one in found] == lines
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [one.path.name for one in found]


@pytest.mark.parametrize("ids", [None, [f"id-{n}" for n in range(9)]], ids=["our ids", "given ids"])
def test_no_shard_has_more_bytes_than_allowed(
    ids: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that would make a file too large begins the next one; no prompt and no id is lost or moved."""
    monkeypatch.setattr(shards, "MAX_BYTES", 500)
    found = cut(texts(9), tmp_path / "cut", ids=ids)
    assert len(found) > 1
    assert all(one.size == one.path.stat().st_size <= 500 for one in found)
    assert all(one.size + found[0].size / found[0].lines > 500 for one in found[:-1])
    lines = [line for one in found for line in lines_of(one)]
    assert [line["body"]["messages"][0]["content"] for line in lines] == texts(9)
    assert ids is None or [line["custom_id"] for line in lines] == ids


def test_a_line_may_fill_a_file_to_the_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself is allowed, and one byte less is refused."""
    (found,) = cut(["Say hi"], tmp_path / "any")
    monkeypatch.setattr(shards, "MAX_BYTES", found.size)
    assert cut(["Say hi"], tmp_path / "full")[0].size == found.size
    monkeypatch.setattr(shards, "MAX_BYTES", found.size - 1)
    with pytest.raises(InputError, match="Row 0 alone"):
        cut(["Say hi"], tmp_path / "over")


def test_a_row_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row above the limit of a whole file is an error that says which."""
    monkeypatch.setattr(shards, "MAX_BYTES", 500)
    with pytest.raises(InputError, match=r"Row 2 alone .* Shorten it or split it"):
        cut(["a", "b", "c" * 500, "d"], tmp_path / "cut")


@pytest.mark.parametrize(
    ("count", "max_lines", "lines"),
    [
        (4_999, 50_000, [4_999]),
        (5_000, 50_000, [1_000, 4_000]),
        (7_500, 3_000, [1_000, 3_000, 3_000, 500]),
        (5_000, 2_500, [1_000, 2_500, 1_500]),
        (5_000, 900, [900, 900, 900, 900, 900, 500]),
    ],
)
def test_from_5000_prompts_on_a_scout_of_1000_goes_first(
    count: int, max_lines: int, lines: list[int], tmp_path: Path
) -> None:
    """A large submission begins with a small file, unless files are smaller anyway."""
    assert [one.lines for one in cut(texts(count), tmp_path / "cut", max_lines=max_lines)] == lines


def test_our_ids_say_shard_and_line(tmp_path: Path) -> None:
    """Without ids of the user's each line is known by what all share, shard and its line in that shard."""
    found = cut(texts(3), tmp_path / "cut", max_lines=2)
    assert [[line["custom_id"] for line in lines_of(one)] for one in found] == [
        [f"{FORM.key}-0-0", f"{FORM.key}-0-1"],
        [f"{FORM.key}-1-0"],
    ]
    assert all(one.prefix for one in found)


def test_a_file_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    """The same prompts have the same files on every machine; another prompt, order or id is another file."""
    once = [one.content for one in cut(texts(3), tmp_path / "a", max_lines=2)]
    assert [one.content for one in cut(texts(3), tmp_path / "b", max_lines=2)] == once
    others = [
        cut(["prompt 1", "prompt 0"], tmp_path / "order")[0],
        cut(texts(1), tmp_path / "fewer")[0],
        cut(texts(2), tmp_path / "options", form=Form(MODEL, options={"seed": 1}))[0],
        cut(texts(2), tmp_path / "ids", ids=["a", "b"])[0],
        cut(texts(2), tmp_path / "other ids", ids=["a", "c"])[0],
    ]
    assert len({once[0], *(one.content for one in others)}) == 6


def test_given_ids_go_on_the_wire_as_they_are(tmp_path: Path) -> None:
    """The user's ids stand in the file unchanged, and the shards know that they are theirs."""
    ids = ["review 1", 'quo"te', "世界", "job-0-0"]
    found = cut(texts(4), tmp_path / "cut", ids=ids, max_lines=3)
    assert [line["custom_id"] for one in found for line in lines_of(one)] == ids
    assert not any(one.prefix for one in found)


def test_there_are_sixteen_bytes_of_fingerprint_for_each_line(tmp_path: Path) -> None:
    """Each shard holds its lines' fingerprints in order, equal ones for equal prompts."""
    (found,) = cut(["a", "b", "a"], tmp_path / "cut")
    first, second, third = (found.fingerprints[n : n + 16] for n in (0, 16, 32))
    assert len(found.fingerprints) == 48
    assert first == third != second


# --- what cannot be sent ------------------------------------------------------------------------------

HALF = "half \ud83d"


@pytest.mark.parametrize("prompt", [HALF, [{"role": "user", "content": HALF}]], ids=["text", "conversation"])
def test_half_a_character_is_named(prompt: Prompt, tmp_path: Path) -> None:
    """A lone surrogate is an error that says in which row."""
    with pytest.raises(InputError, match="row 1 holds half a character"):
        cut(["fine", prompt], tmp_path / "cut")


def test_what_json_cannot_hold_is_named(tmp_path: Path) -> None:
    """A value in a conversation that is no JSON is an error that says in which row."""
    with pytest.raises(InputError, match="Row 1 cannot be written as JSON"):
        cut(["fine", [{"role": "user", "content": [{"type": object()}]}]], tmp_path / "cut")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_never_sent_as_null(number: float) -> None:
    """NaN and infinity, in an option at any depth, are refused and not changed."""
    for options, where in (
        ({"top_p": number}, "['top_p']"),
        ({"a": {"b": [1, (number,)]}}, "['a']['b'][1][0]"),
    ):
        with pytest.raises(InputError) as caught:
            Form(MODEL, options=options)
        said = f"options{where} is {number}, which JSON does not have: None is its null."
        assert caught.value.message == f"An option cannot be written as JSON: {said}"


def test_null_itself_is_sent(tmp_path: Path) -> None:
    """None in an option or a conversation is null on the wire, as the user wrote it."""
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]}
    (found,) = cut([[message]], tmp_path / "cut", form=Form(MODEL, options={"stop": None}))
    (line,) = lines_of(found)
    assert line["body"] == {"model": MODEL, "messages": [message], "stop": None}


@pytest.mark.parametrize("value", [object(), HALF, {1: "number as key"}, b"base64", {"a", "b"}])
def test_an_option_that_json_cannot_hold_is_refused(value: object) -> None:
    """An option is checked before anything is cut."""
    for how in ({"options": {"extra": value}}, {"system": value}):
        with pytest.raises(InputError, match="An option cannot be written as JSON"):
            Form(MODEL, **how)  # type: ignore[arg-type]  # on purpose


# --- the whole submission -------------------------------------------------------------------------------


def content(folder: Path, **how: Any) -> str:
    """The content hash of a submission."""
    return shards.content_hash(cut(how.pop("items", ["a", "b", "c"]), folder, **how))


@pytest.mark.parametrize(
    "other",
    [
        {"items": ["a", "c", "b"]},
        {"items": ["a", "b"]},
        {"items": ["a", "b", "c", "c"]},
        {"ids": ["1", "2", "3"]},
        {"form": Form(MODEL, options={"seed": 1})},
        {"form": Form(MODEL, system="Be brief.")},
        {"form": Form("llama-3.1-8b-instant")},
    ],
    ids=["order", "fewer", "more", "ids", "options", "system", "model"],
)
def test_another_submission_has_another_content_hash(other: dict[str, Any], tmp_path: Path) -> None:
    """Order, count, ids, options, system message and model each make another submission."""
    assert content(tmp_path / "one") != content(tmp_path / "other", **other)


def test_other_ids_make_another_submission(tmp_path: Path) -> None:
    """The same prompts under other ids of the user's are not the same submission."""
    one = content(tmp_path / "one", ids=["1", "2", "3"])
    assert one != content(tmp_path / "other", ids=["1", "2", "4"])
    assert one == content(tmp_path / "same", ids=["1", "2", "3"])


@pytest.mark.parametrize("ids", [None, ["1", "2", "3"]], ids=["our ids", "given ids"])
def test_how_it_is_cut_makes_no_other_submission(ids: list[str] | None, tmp_path: Path) -> None:
    """The same prompts in smaller files, by another job, are the same submission: not paid twice."""
    assert content(tmp_path / "one", ids=ids) == content(tmp_path / "other", ids=ids, max_lines=1)
