"""Templates over the rows of a source: what is text, what is a name, and what goes wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.prompts import Skipped, from_source

ROWS = [
    {"text": "good", "Review Text": "A", "items": 1, "vars": "v"},
    {"text": "bad", "Review Text": "B", "items": 2, "vars": "w"},
]
SENDABLE = st.text(st.characters(exclude_categories=["Cs"]))


def fill(template: str, rows: object = ROWS, **options: object) -> list[object]:
    """The prompts that a template makes."""
    return list(from_source(rows, template=template, named="df", **options).items)


def refusal(template: str, rows: object = ROWS, **options: object) -> str:
    """The line that a template is refused with."""
    with pytest.raises(InputError) as caught:
        fill(template, rows, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("template", "prompts"),
    [
        ("Classify: {{ text }}", ["Classify: good", "Classify: bad"]),
        ('{{ row["Review Text"] }}', ["A", "B"]),
        ("{{ row.items }}{{ items }}{{ row['items'] }}", ["111", "222"]),
        ("{{ vars }}", ["v", "w"]),
        ("{{ index }}:{{ text | upper }}", ["0:GOOD", "1:BAD"]),
        ("{% for k in row.keys() %}{{ k }}={{ row[k] }};{% endfor %}", [
            "text=good;Review Text=A;items=1;vars=v;",
            "text=bad;Review Text=B;items=2;vars=w;",
        ]),
        ("{% if text == 'bad' %}X{% set y = 1 %}{% else %}Y{% set y = 2 %}{% endif %}{{ y }}", ["Y2", "X1"]),
        ("{% set text = text | upper %}{{ text }}", ["GOOD", "BAD"]),
        ("{% for row in [text] %}{{ row }}{% endfor %}", ["good", "bad"]),
        ("{% for c in text %}{{ loop.index }}{% endfor %}", ["1234", "123"]),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(text) }}", ["<good>", "<bad>"]),
        ("{{ text }} {x} $text \\n {# kept #} # --- \n%% line\n", None),
        ("{{ text }}\r\nnext\rlast\r\n", None),
        ("{{ text\r\n }}{{ 'a\r\nb' }}", ["gooda\r\nb", "bada\r\nb"]),
        ("{% set s = namespace(n=0) %}{% for i in range(4) %}{% set s.n=i %}{% endfor %}{{s.n}}{{ text }}",
         ["3good", "3bad"]),
        ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}{{ text }}{% endcall %}",
         ["[good]", "[bad]"]),
        ("{{ text }}<b>&", ["good<b>&", "bad<b>&"]),
        ("{% raw %}{{ x }}{% endraw %}{{ text }}", ["{{ x }}good", "{{ x }}bad"]),
    ],
)  # fmt: skip
def test_a_template_is_filled_for_each_row(template, prompts):
    """Columns, row, index and Jinja's own words work; all that is no mark comes out as it went in."""
    expected = prompts or [template.replace("{{ text }}", row["text"]) for row in ROWS]
    assert fill(template) == expected


def test_notebook_variables_go_by_vars():
    """With a source, a variable of the notebook is `vars.x`, containers too."""
    variables = {"tone": "kind", "labels": ["a", "b"], "items": "all"}
    rows = [{"text": "good"}]
    filled = fill(
        "{{ vars.tone }} {{ vars['labels'] | join('|') }} {{ vars.items }} {{ text }}",
        rows,
        variables=variables,
    )
    assert filled == ["kind a|b all good"]


def test_a_column_wins_over_every_other_name():
    """A column called like one of Jinja's or our own names is the column."""
    rows = [{"range": "a", "dict": "b", "index": "c", "row": "d", "loop": "e", "self": "f"}]
    assert fill("{{ range }}{{ dict }}{{ index }}{{ row }}{{ loop }}", rows) == ["abcde"]
    rows = [{"self": "f", "range": "a"}]
    assert fill("{{ row.self }}{{ row['range'] }}", rows) == ["fa"]


def test_what_a_row_sets_does_not_reach_the_next():
    """A `{% set %}` in one row is undefined again in the next."""
    template = "{% if index == 0 %}{% set seen = 'x' %}{% endif %}{{ seen is defined }}{{ text }}"
    assert fill(template) == ["Truegood", "Falsebad"]


class Opaque:
    """An object that has no text but its address."""


NOTHING = (
    "the template uses nothing of the row, so it would send the same prompt for every row; "
    "write what differs: "
)


@pytest.mark.parametrize(
    ("template", "options", "said"),
    [
        (
            "Say {text} and {Review Text}",
            {},
            "the template uses nothing of the row: single braces are text, write `{{ text }}`",
        ),
        ("Say hi", {}, NOTHING + "Classify: {{ vars }}"),
        ("Say {{ 1 + 1 }} {% set text = 1 %}{{ text }}", {}, NOTHING + "Classify: {{ vars }}"),
        (
            "{{ text }}",
            {"raw": True},
            "the template uses nothing of the row (`--raw` makes its marks plain text), so it would send "
            "the same prompt for every row; write what differs: Classify: {{ vars }}",
        ),
        (
            "\n{{ txt }}",
            {},
            "the template, line 2: `txt` is unknown, did you mean `text`?; "
            "`df` has: text, Review Text, items, vars, row, index",
        ),
        (
            "{{ row.txt }}",
            {},
            "the template, line 1: `txt` is unknown, did you mean `text`?; "
            "`df` has: text, Review Text, items, vars, row, index",
        ),
        (
            "{{ TEXT }}",
            {},
            "the template, line 1: `TEXT` is unknown, did you mean `text`?; "
            "`df` has: text, Review Text, items, vars, row, index",
        ),
        (
            "a\n{{ Review Text }}",
            {},
            "the template, line 2: the name of a column that is no single word goes in quotes: "
            "`{{ row['Review Text'] }}`",
        ),
        (
            "{% if Review Text == 'x' %}{{ text }}{% endif %}",
            {},
            "the template, line 1: the name of a column that is no single word goes in quotes: "
            "`{{ row['Review Text'] }}`",
        ),
        (
            "{{ Review }}",
            {},
            "the template, line 1: `Review` is unknown, did you mean `row['Review Text']`?; "
            "`df` has: text, Review Text, items, vars, row, index",
        ),
        (
            "{{ row['Review Text'] }",
            {},
            "the template, line 1: unexpected '}'; `--raw` sends `{{` and `{%` as plain text",
        ),
        (
            "{{ tone }}",
            {"variables": {"tone": "kind"}},
            "the template, line 1: `tone` is a variable of the notebook: write `vars.tone`",
        ),
        (
            "{{ text }\n}",
            {},
            "the template, line 1: unexpected '}'; `--raw` sends `{{` and `{%` as plain text",
        ),
        (
            "a\n{% endif %}{{ text }}",
            {},
            "the template, line 2: Encountered unknown tag 'endif'; "
            "`--raw` sends `{{` and `{%` as plain text",
        ),
        (
            "{% import 'x' as y %}{{ text }}",
            {},
            "the template, line 1: `{% import %}` has no files to read here: put the text in itself",
        ),
        (
            "{% block x %}{{ text }}{% endblock %}",
            {},
            "the template, line 1: `{% block %}` has no files to read here: put the text in itself",
        ),
        (
            "{{ 4 // (index - 1) }}",
            {},
            "row 1 of `df`: the template fails: integer division or modulo by zero; index is 1 (int)",
        ),
        (
            "{{ text.upper }}",
            {},
            "row 0 of `df`: the template fails: a function cannot be inserted: `x.name()` calls it, "
            "`x['name']` reads a key; text is 'good' (str)",
        ),
        (
            "{{ self }}{{ text }}",
            {},
            "the template, line 1: `self` is a word of Jinja; a column is `row['self']`",
        ),
        (
            f"{{{{ {'(' * 3000}text{')' * 3000} }}}}",
            {},
            "the template is nested too deeply: write it flatter",
        ),
        (
            "{{ text.nope }}",
            {},
            "row 0 of `df`: the template fails: 'str object' has no attribute 'nope'; text is 'good' (str)",
        ),
        (
            "{{ text.__class__.__mro__ }}",
            {},
            "row 0 of `df`: the template fails: access to attribute '__class__' of 'str' object is unsafe; "
            "text is 'good' (str)",
        ),
        (
            "{% for i in range(100000) %}{% for j in range(1000) %}{{ text }}{% endfor %}{% endfor %}",
            {},
            "row 0 of `df`: the filled template has over 10,000,000 characters: shorten it",
        ),
        (
            "{{ text * 3000000 }}",
            {},
            "row 0 of `df`: the template fails: `*` would make more than 10,000,000 characters or items; "
            "text is 'good' (str)",
        ),
        (
            "{{ 3 ** 10000000 }}{{ text }}",
            {},
            "row 0 of `df`: the template fails: `**` would make a number of more than 10,000,000 bits; "
            "text is 'good' (str)",
        ),
        (
            "{{ text.center(99999999) }}",
            {},
            "row 0 of `df`: the template fails: `center` would make more than 10,000,000 characters; "
            "text is 'good' (str)",
        ),
        (
            "{{ (text * 2000000) + (text * 2000000) }}",
            {},
            "row 0 of `df`: the filled template has over 10,000,000 characters: shorten it",
        ),
        (
            "{{ text }}{{ index }}{% set x %}{{ range(100001) | list }}{% endset %}",
            {},
            "row 0 of `df`: the template fails: Range too big. The sandbox blocks ranges larger than "
            "MAX_RANGE (100000); text is 'good' (str), index is 0 (int)",
        ),
        ("{{ text[3:] if index }}", {}, "row 0 of `df` is an empty prompt: fill it or leave it out"),
        (" ", {}, "the template is empty: write it or leave it out"),
        (
            "{{ text }}\ud800",
            {},
            "the template holds half a character (a lone surrogate), which cannot be sent",
        ),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_in_one_line(template, options, said):
    """Each error says what, where and what to type: line or row, name, the nearest known one."""
    assert refusal(template, **options) == said


@pytest.mark.parametrize(
    ("template", "variables", "said"),
    [
        ("{{ vars.x }}{{ text }}", {}, "the template, line 1: no variable `x` in the notebook"),
        (
            "{{ vars.tonne }}{{ text }}",
            {"tone": "kind"},
            "the template, line 1: no variable `tonne` in the notebook, did you mean `tone`?",
        ),
        ("{{ vars }}{{ text }}", {}, "the template, line 1: `vars` is used with a name: `{{ vars.x }}`"),
        (
            "{{ vars.x }}{{ text }}",
            {"x": None},
            "the template, line 1: the variable `x` is missing (None): give it a value",
        ),
        (
            "{{ vars.x }}{{ text }}",
            {"x": pytest},
            "the template, line 1: the variable `x` is a module, which is no text to insert",
        ),
        ("{{ vars.x }}", {"x": 1}, NOTHING + "Classify: {{ text }}"),
    ],
)
def test_vars_are_checked_before_the_first_row(template, variables, said):
    """A missing or unfit notebook variable is found when the template is compiled."""
    with pytest.raises(InputError) as caught:
        from_source([{"text": "a"}], template=template, variables=variables)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ d.x }}", "a missing value cannot be inserted: `x or 'none'` gives it a text"),
        ("{{ d.o }}", "an Opaque has no text of its own: insert one of its fields"),
        ("{{ d }}{{ vars.g }}", "the variable `g` is a generator, which is no text to insert"),
        ("{{ d" + "|string" * 5_000 + " }}", "the template is nested too deeply: write it flatter"),
    ],
)
def test_values_without_a_text_are_not_inserted(template, said):
    """None inside a value, an object at some address, a generator that one row would use up."""
    rows, variables = [{"d": {"x": None, "o": Opaque()}}], {"g": (x for x in "ab")}
    with pytest.raises(InputError) as caught:
        list(from_source(rows, template=template, variables=variables).items)
    assert said in caught.value.message


def test_json_in_a_prompt_is_as_it_is():
    """`tojson` writes no HTML, and does not change what stands beside it."""
    rows = [{"d": {"x": "<a & 'b'>", "é": [1]}, "t": "<i>"}]
    made = list(from_source(rows, template="{{ d | tojson + t }}").items)
    assert made == ['{"x": "<a & \'b\'>", "é": [1]}<i>']


def test_a_long_column_is_found_by_its_first_word():
    """Survey tools make whole questions of columns' names."""
    rows = [{"Q1 (What did you like about it?)": "x", "Q2": "y"}]
    with pytest.raises(InputError, match=r"did you mean `row\['Q1 \(What did you like about it\?\)'\]`\?"):
        from_source(rows, template="{{ Q1 }}")


def test_a_template_may_be_the_same_for_all_where_the_system_message_differs():
    """The prompts differ then all the same."""
    rows = [{"lang": "fr"}, {"lang": "de"}]
    made = list(from_source(rows, template="Hello {x}", system="Speak {{ lang }}").items)
    assert made == [
        [{"role": "system", "content": f"Speak {row['lang']}"}, {"role": "user", "content": "Hello {x}"}]
        for row in rows
    ]


def test_a_system_template_makes_message_lists():
    """A system message that differs by row comes in front of each prompt."""
    assert fill("{{ text }}", system="Row {{ index }}") == [
        [{"role": "system", "content": f"Row {n}"}, {"role": "user", "content": row["text"]}]
        for n, row in enumerate(ROWS)
    ]


def test_a_system_template_may_use_another_column_than_the_prompt():
    """Rows with their prompts in a column need no template for that."""
    rows = [{"prompt": "hi", "lang": "fr"}, {"prompt": None, "lang": "de"}]
    found = list(from_source(rows, system="Speak {{ lang }}", missing="skip").items)
    assert found == [
        [{"role": "system", "content": "Speak fr"}, {"role": "user", "content": "hi"}],
        Skipped("prompt"),
    ]


def test_a_system_template_without_the_row_stays_one_message():
    """A system template that uses variables only is filled once and shared."""
    prompts = from_source(["a"], system="Be {{ vars.tone }}", variables={"tone": "kind"})
    assert prompts.system == "Be kind"
    assert list(prompts.items) == ["a"]


def test_a_blank_system_message_names_its_row():
    """A system message that comes out blank is refused, not sent."""
    with pytest.raises(InputError) as caught:
        list(from_source(["a", "b"], system="{{ '' if index else 'x' }}", named="df").items)
    assert (
        caught.value.message
        == "the system message for row 1 of `df` is an empty prompt: fill it or leave it out"
    )


@given(SENDABLE, SENDABLE)
def test_text_around_the_marks_and_values_come_through_unchanged(text, value):
    """A template's own text and the values in it are never touched, whatever they hold but the two marks."""
    around = text.replace("{{", "").replace("{%", "").replace("{", "(")
    value += "{{ item }}{% x"
    assert fill(around + "{{ item }}" + around, [value]) == [around + value + around]
