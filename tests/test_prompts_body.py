"""The body of a cell: how it is split, and how the notebook's variables come into it."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.prompts import from_body

FENCE = "Explain:\n```\nx = 1\n```"


def read(body: str, **options: object) -> list[object]:
    """The prompts of a body."""
    prompts = from_body(body, **options)
    items = list(prompts.items)
    assert prompts.count == len(items)
    assert prompts.ids is None
    assert prompts.frame is None
    return items


def refusal(body: str, **options: object) -> str:
    """The line that a body is refused with."""
    with pytest.raises(InputError) as caught:
        read(body, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("body", "options", "prompts"),
    [
        ("Say hi\nSay bye\n", {}, ["Say hi", "Say bye"]),
        ("\n  \nSay hi  \n\n\tSay bye", {"lines": True}, ["Say hi", "Say bye"]),
        ("  only one, indented:\n", {}, ["only one, indented:"]),
        ("---\nA text:\n\n  indented\n", {}, ["A text:\n\n  indented"]),
        ("\n---\nOne", {}, ["One"]),
        ("one\n---\ntwo\nlines\n---\n\n---\n three\n\n", {}, ["one", "two\nlines", " three"]),
        ("one\n ---  \ntwo", {}, ["one", "two"]),
        ("one\n---", {}, ["one"]),
        ("---\n" + FENCE, {}, [FENCE]),
        ("a: b\nc --- d", {}, ["a: b", "c --- d"]),
        ("a\x0bb\u2028c\nd", {}, ["a\x0bb\u2028c", "d"]),
    ],
)
def test_a_body_is_split_into_lines_or_blocks(body, options, prompts):
    """Each non-blank line is a prompt, and with `---` each block is one, inner text untouched."""
    assert read(body, **options) == prompts


@pytest.mark.parametrize(
    ("body", "many"),
    [
        ("Do this\n  indented", 2),
        (FENCE, 4),
        ("Classify:\nred\n\nblue", 3),
        ("a\n```\nb", 3),
        ("a\n\tb\nc", 3),
    ],
)
def test_a_body_that_looks_like_one_text_is_questioned(body, many):
    """One text over several lines is never cut into prompts unasked; the question holds the real count."""
    asked = f"one prompt or {many}? `---` on the first line for one, `--lines` for {many}"
    assert refusal(body) == asked
    assert len(read(body, lines=True)) == many
    assert len(read("---\n" + body)) == 1


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        ("", {}, "the body holds no prompt: write one on each line"),
        (" \n\t\n", {}, "the body holds no prompt: write one on each line"),
        ("---\n---\n", {}, "the body holds no prompt: write one on each line"),
        (
            "a\n---\nb",
            {"lines": True},
            "the body has `---` lines, which part it into blocks, and `--lines` too: keep one of them",
        ),
        (
            "a\n{{ tonne }}",
            {"variables": {"tone": "kind"}},
            "the body, line 2: no variable `tonne` in the notebook, did you mean `tone`?; "
            "columns need `--from`, plain braces `--raw`",
        ),
        (
            "{{ reviews }}",
            {"variables": {"reviews": ["a", "b"]}},
            "the body, line 1: `reviews` is a list (2 items), not a text, number or date; "
            "one prompt for each of them? `--from reviews`",
        ),
        (
            "{{ f }}",
            {"variables": {"f": len}},
            "the body, line 1: `f` is a builtin_function_or_method, not a text, number or date",
        ),
        ("{{ x }}", {"variables": {"x": None}}, "the body, line 1: `x` is missing (None): give it a value"),
        (
            "{{ vars.x }}",
            {"variables": {"x": 1}},
            "the body, line 1: without a source, variables go by their names: `{{ x }}`, not vars.x",
        ),
        (
            "hi\n{{ x }}",
            {"variables": {"x": " "}},
            "the prompt on line 2 is an empty prompt: fill it or leave it out",
        ),
        (
            "---\nhi\n{% if %}",
            {},
            "the body, line 3: Expected an expression, got 'end of statement block'; "
            "`--raw` sends `{{` and `{%` as plain text",
        ),
        (
            "{{ x | shout }}",
            {"variables": {"x": "a"}},
            "the body, line 1: No filter named 'shout'; `--raw` sends `{{` and `{%` as plain text",
        ),
        (
            "{% include 'x' %}",
            {},
            "the body, line 1: `{% include %}` has no files to read here: put the text in itself",
        ),
        ("a \ud800", {}, "the body holds half a character (a lone surrogate), which cannot be sent"),
        ("hi", {"system": " "}, "the system message is empty: write it or leave it out"),
        ("hi", {"system": 3}, "the system message is an int: it must be a text"),
    ],
)
def test_a_body_that_cannot_be_sent_is_refused_in_one_line(body, options, said):
    """Each error says what, where and what to type, in one line."""
    assert refusal(body, **options) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("kind", "kind"),
        (3, "3"),
        (2.5, "2.5"),
        (True, "True"),
        (date(2026, 1, 2), "2026-01-02"),
        (Decimal("1.10"), "1.10"),
    ],
)
def test_scalars_of_the_notebook_are_inserted_by_name(value, text):
    """Texts, numbers, booleans and dates come in as Python writes them."""
    assert read("Be {{ tone }}!\nplain", variables={"tone": value}) == [f"Be {text}!", "plain"]


def test_a_body_is_split_before_its_templates_are_filled():
    """A value with newlines or rules stays inside its prompt."""
    assert read("A {{ x }}\nB", variables={"x": "1\n---\n2"}) == ["A 1\n---\n2", "B"]


def test_raw_leaves_every_mark_as_text():
    """With raw, neither body nor system message is a template."""
    prompts = from_body("{{ x }} {% y", raw=True, system="{{ z }}")
    assert list(prompts.items) == ["{{ x }} {% y"]
    assert prompts.system == "{{ z }}"


def test_a_system_template_is_filled_once():
    """In a body the system message takes the notebook's scalars and is one for all."""
    prompts = from_body("a\nb", variables={"tone": "kind"}, system="Be {{ tone }}")
    assert prompts.system == "Be kind"
    assert list(prompts.items) == ["a", "b"]


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: t.strip() and "---" not in t))
def test_any_block_comes_through_unchanged(text):
    """Raw text under a rule is what is sent, but for blank lines around it."""
    lines = text.split("\n")
    while not lines[0].strip():
        lines.pop(0)
    while not lines[-1].strip():
        lines.pop()
    assert read("---\n" + text, raw=True) == ["\n".join(lines)]


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip))
def test_values_with_marks_are_never_rendered_again(value):
    """Whatever a variable holds is inserted as it is."""
    assert read("{{ x }}", variables={"x": value + "{{ x }}{% if %}{#"}) == [value + "{{ x }}{% if %}{#"]
