"""Blocks: what is plain is looked at a few hundred items at a time, and nobody can tell."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groq_magic import shards
from groq_magic.errors import InputError
from groq_magic.prompts import Prompts, Skipped, blocks, from_source
from groq_magic.shards import Cut, Form

TEXTS = [f'text {n} of %d "é"\n{"x" * (n % 40)}' for n in range(700)]
FORM = Form("m%s", system="100% brief", options={"stop": "%b"})
EDGES = [0, 1, blocks.AT_ONCE - 1, blocks.AT_ONCE, 2 * blocks.AT_ONCE, 699]


class Own(str):
    """A text of a type that is looked at one by one."""


def cut(items: Sequence[Any], folder: Path, ids: Sequence[str] | None = None, **how: Any) -> list[Cut]:
    """The prompts, cut into a new folder."""
    folder.mkdir()
    return shards.cut(Prompts(items, len(items), ids), FORM, folder, **how)


def seen(cuts: list[Cut]) -> list[object]:
    """All there is to know of shards but where they are."""
    return [
        (each.path.read_bytes(), each.first_row, list(each.rows), each.size, each.fingerprints, each.content)
        for each in cuts
    ]


def refusal(source: object, folder: Path, **options: Any) -> str:
    """The line that a source is refused with while it is cut."""
    with pytest.raises(InputError) as caught:
        shards.cut(from_source(source, named="df", **options), FORM, folder)
    return caught.value.message


@pytest.mark.parametrize("max_bytes", [9_000, 60_000, shards.MAX_BYTES])
@pytest.mark.parametrize("max_lines", [700, 300])
@pytest.mark.parametrize("named", [False, True])
def test_a_text_is_written_as_it_would_be_alone(
    named: bool, max_lines: int, max_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text among a block of them has the line, fingerprint and file it would have alone."""
    monkeypatch.setattr(shards, "MAX_BYTES", max_bytes)
    ids = [f'%d é"\\{n}' for n in range(700)] if named else None
    together = cut(TEXTS, tmp_path / "together", ids, max_lines=max_lines)
    alone = cut([*map(Own, TEXTS)], tmp_path / "alone", ids, max_lines=max_lines)
    assert seen(together) == seen(alone)
    assert sum(each.lines for each in together) == 700


@pytest.mark.parametrize("kind", [str, Own])
def test_a_file_under_given_ids_is_known_by_them(kind: type[str], tmp_path: Path) -> None:
    """What a file is known by when it is cut is what anybody finds who reads it later."""
    (found,) = cut([*map(kind, TEXTS)], tmp_path / "cut", [f'é"{n}' for n in range(700)])
    assert found.content == shards.content_of(found.fingerprints, found.path, "")


def test_rows_that_are_skipped_leave_gaps_in_a_block(tmp_path: Path) -> None:
    """Texts before, between and after skipped rows keep the numbers of their rows."""
    items: list[Any] = [*TEXTS]
    gone = {0, 1, 255, 256, 400, 699}
    for n in gone:
        items[n] = Skipped("text")
    cuts = cut(items, tmp_path / "cut", max_lines=250)
    assert [row for each in cuts for row in each.rows] == [n for n in range(700) if n not in gone]


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])), st.integers(), st.booleans(), st.floats(), st.dates(),
    st.datetimes(), st.times(), st.decimals(), st.binary(max_size=3), st.lists(st.integers(), max_size=2),
    st.sampled_from([Own("own"), Own(), len, object, 10**5_000, None]),
)  # fmt: skip
BARE = "{{ b }}% {{ a }}%s{{ row['a'] }} {{ vars.v }}\r\n"


def outcome(template: str, rows: object) -> object:
    """The prompts of a template, or the line that it is refused with."""
    try:
        return list(from_source(rows, template=template, missing="skip", variables={"v": "9 %"}).items)
    except InputError as exc:
        return exc.message


@settings(deadline=None)
@example([(float("nan"), 1)])
@example([(10**5_000, "a"), (1, "b")])
@example([(Own("own"), "a"), ("b", Own())])
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_a_template_of_bare_names_is_filled_as_jinja_fills_it(cells: list[tuple[object, object]]) -> None:
    """Whatever the values are: the same texts, or the same refusal, as with a statement that does nothing."""
    rows = [{"a": a, "b": b} for a, b in cells]
    assert outcome(BARE, rows) == outcome("{% if 0 %}{% endif %}" + BARE, rows)


def test_a_text_of_every_simple_type_is_inserted() -> None:
    """Texts, numbers, booleans, dates: what `str` says of them, a name used twice and in any order."""
    simple = ["a", 1, True, 1.5, float("inf"), date(2026, 1, 2), datetime(2026, 1, 2, 3)]
    rows = [{"a": value, "b": n} for n, value in enumerate(simple)]
    found = list(from_source(rows, template="{{ b }}%{{ a }} {{ a }}").items)
    assert found == [f"{n}%{value} {value}" for n, value in enumerate(simple)]


@pytest.mark.parametrize("at", EDGES)
@pytest.mark.parametrize(
    ("odd", "said"), [(" ", "is an empty prompt"), (3, "is an int"), (None, "1 missing")]
)
def test_the_row_that_is_odd_is_named_wherever_it_stands(
    odd: object, said: str, at: int, tmp_path: Path
) -> None:
    """The first and last of a block and of the source: the row has its own number."""
    found = refusal([*TEXTS[:at], odd, *TEXTS[at + 1 :]], tmp_path)
    assert said in found
    assert f"row {at}" in found


@pytest.mark.parametrize("at", EDGES)
@pytest.mark.parametrize("template", ["{{ a }}", "{{ n }}{{ a }}", "{{ n + 1 }}{{ a }}"])
def test_the_row_that_a_template_fails_at_is_named(template: str, at: int, tmp_path: Path) -> None:
    """With and without Jinja, from the first of a block to the last."""
    rows = [{"a": len if n == at else text, "n": n} for n, text in enumerate(TEXTS)]
    assert f"row {at} of `df`: the template fails: a function" in refusal(rows, tmp_path, template=template)


@pytest.mark.parametrize("later", [" ", 3, b"bytes"])
@pytest.mark.parametrize("template", [None, "{{ item }}"])
def test_the_first_fault_is_the_one_that_is_said(template: str | None, later: object, tmp_path: Path) -> None:
    """Half a character is found later than a blank text, but said first where it stands first."""
    items = [*TEXTS[:5], "\ud800", TEXTS[6], later]
    assert refusal(items, tmp_path, template=template).startswith("row 5 holds half a character")


def test_what_came_before_an_error_is_given_before_it() -> None:
    """A source that breaks off has all its items looked at, and then raises, each time it is asked."""

    def breaking() -> Iterator[int]:
        yield from range(blocks.AT_ONCE + 3)
        raise KeyError("torn")

    found: list[int] = []
    with pytest.raises(KeyError, match="torn"):
        found.extend(n for block in blocks.blocks(breaking()) for n in block)
    assert found == [*range(blocks.AT_ONCE + 3)]


def test_a_full_file_before_an_error_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt that fails is not lost where those before it go to several files."""
    monkeypatch.setattr(shards, "MAX_BYTES", 500)

    def items() -> Iterator[str]:
        yield from TEXTS[:10]
        raise InputError("torn")

    with pytest.raises(InputError, match="torn"):
        shards.cut(Prompts(items(), None), FORM, tmp_path)
    assert b"".join(each.read_bytes() for each in sorted(tmp_path.iterdir())).count(b"\n") == 10


def test_a_source_is_read_a_block_ahead_and_no_further() -> None:
    """Texts are made while they are cut: whoever wants one has no more made than lie in a block."""
    made: list[int] = []
    rows = [{"a": n} for n in range(5 * blocks.AT_ONCE)]

    class Counted(list[dict[str, int]]):
        def __iter__(self) -> Iterator[dict[str, int]]:
            return (made.append(row["a"]) or row for row in super().__iter__())

    prompts = from_source(Counted(rows), template="{{ row.a }}")
    made.clear()
    assert list(islice(prompts.items, 1)) == ["0"]
    assert len(made) <= blocks.AT_ONCE


def test_nan_is_missing_among_plain_numbers() -> None:
    """A float that is none is skipped like None, in whatever block of whatever plain values."""
    rows = [{"a": float("nan") if n in (3, 600) else n / 2} for n in range(700)]
    found = list(from_source(rows, template="{{ a }}", missing="skip").items)
    assert [n for n, each in enumerate(found) if isinstance(each, Skipped)] == [3, 600]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([{"a": 1, "b": 2}, {"b": 4, "a": 3}], ["1 2", "3 4"]),
        ([{"a": 1, "b": 2}, {"a": 3, "c": 4}], ["1 2", "b"]),
        ([{"a": 1, "b": 2}, {"b": 3}], ["1 2", "a"]),
        ([{"a": 1, "b": 2}, {"a": 3, "b": 4, "c": 5}], ["1 2", "3 4"]),
    ],
)
def test_rows_of_other_keys_are_read_by_name(rows: list[dict[str, int]], texts: list[str]) -> None:
    """Keys in another order, another key of the same number, one less, one more."""
    found = from_source(rows, template="{{ a }} {{ b }}", missing="skip").items
    assert [each.missing if isinstance(each, Skipped) else each for each in found] == texts


def test_halves_that_stand_twice_are_found(tmp_path: Path) -> None:
    """Only what several rows ask, in whatever files, is looked at again for who asks it."""
    cuts = cut([*TEXTS, *TEXTS[:2]], tmp_path / "cut", max_lines=300)
    assert shards.asked_twice(cuts) == {*shards.halves(cuts[0])[:2]}
    assert not shards.asked_twice(cuts[:2])


def test_a_key_that_only_a_later_row_has_is_a_column() -> None:
    """A row may bring more than the first one has; those before miss it."""
    first, second = from_source([{"a": 1}, {"a": 2, "c": 3}], template="{{ c }}", missing="skip").items
    assert (first, second) == (Skipped("c"), "3")
