"""Replies of any kind, and JSON Schemas of the user's own: what is read, and what is a Misfit."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import subprocess
import sys
from typing import Annotated, Any

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groq_magic.sandbox.shaped import VARIETY, OddSchema, fitting, strict_fault
from groq_magic.schema import Misfit, judging, of_wire, schema_of
from tests.shapes import (
    INT,
    NULL,
    NUMBER,
    STR,
    Breaks,
    Checked,
    Model,
    Mood,
    Review,
    Share,
    label,
    misfit,
    or_null,
    own,
    ref,
    request,
    thing,
)

OWN = own(rating=INT, inner=own(count=INT) | {"required": []})
JUDGES = {
    "labels": Mood,
    "a dataclass": Review,
    "a Pydantic model": Model,
    "floats": Share,
    "a JSON Schema": OWN,
}
REPLIES = {
    "no JSON": "Positive!",
    "nothing": "",
    "JSON in words": 'Sure: {"label": "positive"}',
    "two objects": "{} {}",
    "a list": "[]",
    "null": "null",
    "a NaN": '{"label": NaN, "rating": NaN, "fullName": "x"}',
    "an infinity": '{"label": -Infinity, "rating": -Infinity, "fullName": "x"}',
    "half a character": '{"label": "\ud800", "rating": "\ud800"}',
    "half a character as an escape": '{"label": "\\ud800", "rating": "\\ud800"}',
    "a number of 5,000 digits": '{"label": 1, "rating": ' + "9" * 5_000 + "}",
    "a number beyond all": '{"label": 1, "rating": 1e999}',
    "a wall of brackets": "[" * 100_000,
    "a deep value": '{"label": 1, "rating": ' + "[" * 900 + "]" * 900 + "}",
    "a key": '{"label": "gsk_abc\\u001b[31m\\ndef", "rating": "gsk_abc\\u001b[31m\\ndef"}',
    "ten million characters": '{"label": "' + "x" * 10**7 + '", "rating": "' + "x" * 10**7 + '"}',
}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("judge", JUDGES)
def test_no_reply_raises_anything_but_a_misfit(judge: str, reply: str) -> None:
    """Whatever a text is, it is refused on one short line without control characters and keys."""
    schema = schema_of(JUDGES[judge])
    for reader in (schema, of_wire(request(schema))):
        said = misfit(reader, REPLIES[reply])
        assert said.isprintable()
        assert len(said) < 400
        assert "gsk_abc" not in said


def test_what_is_wrong_with_a_text_is_said_plainly() -> None:
    """No name of an exception of Python's stands where there are words for it."""
    schema = schema_of(OWN)
    assert misfit(schema, "[" * 100_000) == "$: it is nested too deeply"
    assert misfit(schema, "{} {}") == "$: it is no JSON: trailing characters (byte 4)"
    assert misfit(schema, '"\ud800"') == "$: it holds half a character (a lone surrogate)"


@pytest.mark.parametrize("reply", REPLIES)
def test_values_are_those_of_an_object_or_a_misfit(reply: str) -> None:
    """For frames a text is an object's values, unjudged, or a Misfit."""
    schema = schema_of(OWN)
    read = []
    with contextlib.suppress(Misfit):
        read = list(schema.values(REPLIES[reply]))
    assert read in ([], ["rating"])
    assert schema.values('{"inner": {}, "more": 1, "rating": "x"}') == {"rating": "x", "inner": {}}


@pytest.mark.parametrize("judge", JUDGES)
def test_of_a_name_that_comes_twice_the_last_counts(judge: str) -> None:
    """All judges read a doubled name alike, as JSON readers do."""
    schema = schema_of(JUDGES[judge])
    text = '{"label": "positive", "label": "negative", "rating": 1, "rating": 2, '
    text += '"mood": "positive", "fullName": "x", "inner": {}}'
    read = schema.parse(text)
    found = read if isinstance(read, dict) else vars(read)
    assert read is Mood.BAD if judge == "labels" else found["rating"] == 2
    assert schema.values(text)[schema.fields[0]] in (2, "negative")


@pytest.mark.parametrize(
    ("cls", "rating", "said"),
    [
        (Breaks, 10, "$: too high"),
        (Breaks, 1, "$: Mute"),
        (Checked, 10, "$.rating: Value error, too high"),
        (Checked, 0, "$: ZeroDivisionError: integer division or modulo by zero"),
    ],
)
def test_what_the_users_own_code_raises_is_a_misfit(cls: type, rating: int, said: str) -> None:
    """A validator or a __post_init__ may raise anything, also what cannot say what it is."""
    assert misfit(schema_of(cls), json.dumps({"rating": rating, "unsaid": 1})) == said


def test_a_misfit_says_where_and_why_and_can_be_kept() -> None:
    """Its parts are there for a frame, and it comes whole out of a pickle."""
    with pytest.raises(Misfit) as caught:
        schema_of(Review).parse('{"rating": "x"}')
    found = pickle.loads(pickle.dumps(caught.value))
    assert (found.path, found.why) == ("$.rating", "Expected `int`, got `str`")
    assert isinstance(found, ValueError)


def test_kinds_that_only_the_users_code_tells_apart_are_asked_for() -> None:
    """Pydantic tells its kinds apart by itself, in ways that no schema can say."""
    large = pydantic.create_model("Large", rating=(float, ...))
    either = Annotated[
        Annotated[Share, pydantic.Tag("s")] | Annotated[large, pydantic.Tag("l")],
        pydantic.Discriminator(lambda given: "l" if given["rating"] > 1 else "s"),
    ]
    schema = schema_of(pydantic.create_model("Either", held=(list[either], ...)))
    assert schema.json_schema["properties"]["held"]["items"] == {"anyOf": [ref("Share"), ref("Large")]}
    held = schema.parse('{"held": [{"rating": 1}, {"rating": 2}]}').held
    assert [type(one) for one in held] == [Share, large]


# --- JSON Schemas of the user's own ------------------------------------------------------------------

KIND = {"a": own(kind={"const": "a"}, x=INT), "b": own(kind={"const": "b"}, x=INT)}
SHAPED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one word for each": (
        own(
            a={"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "date"},
            b={"type": "number", "minimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.5},
            c={"type": "array", "items": INT, "minItems": 1, "maxItems": 2, "uniqueItems": True},
        ),
        thing(
            a={"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "format": "date"},
            b={"type": "number", "minimum": 0, "exclusiveMaximum": 1, "multipleOf": 0.5},
            c={"type": "array", "items": INT, "minItems": 1, "maxItems": 2},
        ),
    ),
    "words that ask nothing": (
        own(a={**INT, "default": 1, "examples": [1], "$comment": "x", "x-own": {}, "title": "What it is"}),
        thing(a={"title": "What it is", **INT}),
    ),
    "a title that repeats a name": (own(first_name={**STR, "title": "First Name"}), thing(first_name=STR)),
    "words for another type": (own(a={**INT, "minLength": 3}), thing(a=INT)),
    "no type but what implies one": (
        {"properties": {"a": {"items": {"properties": {"b": INT}, "required": ["b"]}}}, "required": ["a"]},
        thing(a={"type": "array", "items": thing(b=INT)}),
    ),
    "a const": (
        own(a={"const": 1}, b={"const": None}),
        thing(a={**INT, "enum": [1]}, b={**NULL, "enum": [None]}),
    ),
    "labels without a type": (
        own(a={"enum": ["x", 1, 0.5, None, True]}),
        thing(
            a={
                "type": ["string", "integer", "number", "null", "boolean"],
                "enum": ["x", 1, 0.5, None, True],
            }
        ),
    ),
    "labels of which one is of another type": (
        own(a={"enum": ["x", None], "type": "string"}),
        thing(a={**STR, "enum": ["x"]}),
    ),
    "several types": (own(a={"type": ["string", "null"]}), thing(a={"type": ["string", "null"]})),
    "an object or nothing": (
        own(a={"type": ["object", "null"], "properties": {"b": INT}, "required": ["b"]}),
        thing(a=or_null(thing(b=INT))),
    ),
    "a oneOf of types": (own(a={"oneOf": [INT, STR]}), thing(a={"anyOf": [INT, STR]})),
    "a oneOf of kinds": (
        own(a={"oneOf": [KIND["a"], ref("b")], "discriminator": {"propertyName": "kind"}})
        | {"$defs": {"b": KIND["b"]}},
        thing(a={"anyOf": [thing(kind={**STR, "enum": ["a"]}, x=INT), ref("b")]})
        | {"$defs": {"b": thing(kind={**STR, "enum": ["b"]}, x=INT)}},
    ),
    "a oneOf of fields": (
        own(a={"oneOf": [own(b=INT), own(c=INT)]}),
        thing(a={"anyOf": [thing(b=INT), thing(c=INT)]}),
    ),
    "an allOf": (
        own(
            a={
                "description": "both",
                "allOf": [
                    own(b={"type": "number", "minimum": 1}),
                    own(b={"type": "integer", "minimum": 2}, c={"enum": ["x", "y"]}),
                    own(c={"enum": ["y", "z"]}),
                    True,
                ],
            }
        ),
        thing(
            a={
                "description": "both",
                **thing(b={"type": "integer", "minimum": 2}, c={**STR, "enum": ["y"]}),
            }
        ),
    ),
    "an allOf of one reference": (
        own(a={"allOf": [ref("b")], "description": "what", "default": 1}) | {"$defs": {"b": INT}},
        thing(a={"description": "what", "anyOf": [ref("b")]}) | {"$defs": {"b": INT}},
    ),
    "a reference and more": (
        own(a={"$ref": "#/$defs/b", "minimum": 3}) | {"$defs": {"b": INT}},
        thing(a={"type": "integer", "minimum": 3}),
    ),
    "an anyOf beside what all share": (
        own(a={"type": "object", "properties": {"b": INT, "c": INT}, "anyOf": [{"required": ["b", "c"]}]}),
        thing(a={"anyOf": [thing(b=INT, c=INT)]}),
    ),
    "a reference to a reference": (
        own(a=ref("b")) | {"$defs": {"b": ref("c"), "c": INT}},
        thing(a=ref("c")) | {"$defs": {"c": INT}},
    ),
    "a name with odd signs": (
        own(a={"$ref": "#/$defs/x~1y~0z"}) | {"$defs": {"x/y~z": INT}},
        thing(a={"$ref": "#/$defs/x~1y~0z"}) | {"$defs": {"x/y~z": INT}},
    ),
    "the root in itself": (
        own(a={"type": "array", "items": {"$ref": "#"}}),
        thing(a={"type": "array", "items": {"$ref": "#"}}),
    ),
    "the root as a reference": (ref("b") | {"$defs": {"b": own(a=INT)}}, thing(a=INT)),
    "fields with the names of words": (
        own(**{"$ref": STR, "properties": INT}),
        thing(**{"$ref": STR, "properties": INT}),
    ),
}


@pytest.mark.parametrize("name", SHAPED)
def test_a_json_schema_is_made_strict(name: str) -> None:
    """Each word stays, is said in strict mode's words, or asks nothing of a reply; replies are read."""
    given_, wire = SHAPED[name]
    before = copy.deepcopy(given_)
    schema = schema_of(given_)
    assert (schema.json_schema, given_) == (wire, before)
    assert strict_fault(wire) == ""
    if name != "one word for each":  # no value has this pattern and this format
        for number in range(VARIETY):
            schema.parse(fitting(wire, number))


MAYBE = {"type": "object", "properties": {"a": INT, "b": {"type": ["integer", "null"]}}}
LEFT_OUT: dict[str, tuple[dict[str, Any], str, object]] = {
    "a field": (MAYBE, '{"a": null, "b": null}', {"b": None}),
    "in a list": (
        own(x={"type": "array", "items": MAYBE}),
        '{"x": [{"a": null}, {"a": 1}]}',
        {"x": [{}, {"a": 1}]},
    ),
    "by a reference": (own(x=ref("m")) | {"$defs": {"m": MAYBE}}, '{"x": {"a": null}}', {"x": {}}),
    "in the root itself": (
        {"type": "object", "properties": {"x": {"$ref": "#"}, "y": INT}},
        '{"x": {"x": null, "y": null}, "y": null}',
        {"x": {}},
    ),
    "in one of two kinds": (
        own(x={"anyOf": [own(k={"const": 1}, a=INT), {**own(k={"const": 2}, a=INT), "required": ["k"]}]}),
        '{"x": {"k": 2, "a": null}}',
        {"x": {"k": 2}},
    ),
    "where null is a label": (
        {"type": "object", "properties": {"a": {"enum": ["x", None]}, "b": {"anyOf": [INT, NULL]}}},
        '{"a": null, "b": null}',
        {"a": None, "b": None},
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_null_for_what_may_be_absent_is_left_out(name: str) -> None:
    """Strict mode asks for all fields; a null that only it allows is gone before the user's schema judges."""
    given_, text, read = LEFT_OUT[name]
    schema = schema_of(given_)
    assert schema.parse(text) == read
    jsonschema.Draft202012Validator(given_).validate(read)
    assert set(schema.json_schema["required"]) == set(given_["properties"])


def test_the_users_own_schema_judges_what_the_wire_cannot_say() -> None:
    """What no decoder holds to, such as unlike items, is judged when the reply is read."""
    schema = schema_of(own(a={"type": "array", "items": INT, "uniqueItems": True}))
    assert misfit(schema, '{"a": [1, 1]}') == "$.a: [1, 1] has non-unique elements"
    long = json.dumps({"a": "x" * 5_000})
    assert misfit(schema, long) == f"$.a: '{'x' * 59}… is not of type 'array'"


def test_a_change_of_the_dict_afterwards_changes_nothing() -> None:
    """A schema is what it was when it was given."""
    mine = own(a=own(b={"type": "integer"}))
    schema = schema_of(mine)
    mine["properties"]["a"]["properties"]["b"]["type"] = "string"
    assert schema.parse('{"a": {"b": 1}}') == {"a": {"b": 1}}
    assert schema.json_schema == thing(a=thing(b=INT))


def test_a_pattern_that_takes_for_ever_is_a_misfit() -> None:
    """A regular expression is given half a second for a text, and no more."""
    schema = schema_of(own(a={"type": "string", "pattern": "^(a|a)*$"}))
    assert schema.parse('{"a": "aaa"}') == {"a": "aaa"}
    assert misfit(schema, '{"a": "aab"}') == "$.a: 'aab' does not match '^(a|a)*$'"
    text = json.dumps({"a": "a" * 40 + "!"})
    assert misfit(schema, text) == "$: to look for '^(a|a)*$' in a text of it takes too long"


def test_references_that_double_end_in_a_misfit(monkeypatch: pytest.MonkeyPatch) -> None:
    """To judge by a schema takes so many steps and no more."""
    monkeypatch.setattr(judging, "_MOST_STEPS", 2_000)
    doubling = {f"a{n}": {"anyOf": [ref(f"a{n + 1}")] * 2} for n in range(40)} | {"a40": INT}
    schema = schema_of(own(x=ref("a0")) | {"$defs": doubling})
    assert schema.parse('{"x": 1}') == {"x": 1}
    assert misfit(schema, '{"x": "y"}') == "$: to judge it by this schema takes too long"


# --- what a stored request tells ---------------------------------------------------------------------


def test_a_request_without_a_strict_schema_tells_none() -> None:
    """Only a json_schema that was asked for strictly, and that is one, is read by."""
    schema = schema_of(Review)
    loose = {"response_format": schema.response_format(strict=False)}
    assert loose["response_format"]["json_schema"]["schema"] == schema.json_schema
    inner = request(schema)["response_format"]["json_schema"]
    formats: list[Any] = [None, 7, {"type": "json_object"}, {"type": "text", "json_schema": inner}]
    odd: list[Any] = [{}, 7, None, {"type": "array"}, {"type": "x"}, own(a={}), own(label=True)]
    odd += [own(a={"$ref": "https://example.org/x"}), {"properties": {"label": 1}}]
    for one in odd:
        for name in ("label", "x"):
            asked = {"name": name, "strict": True, "schema": one}
            formats.append({"type": "json_schema", "json_schema": asked})
    bodies: list[Any] = [{}, None, [], loose, *({"response_format": one} for one in formats)]
    assert [of_wire(body) for body in bodies] == [None] * len(bodies)


def test_a_schema_of_somebody_else_is_read_by() -> None:
    """A request that another program wrote need not be in our words."""
    body = {"response_format": {"type": "json_schema", "json_schema": {"name": "a.b", "strict": True}}}
    body["response_format"]["json_schema"]["schema"] = thing(a={"const": 1}, label={"oneOf": [INT, STR]})
    found = of_wire(body)
    assert (found.name, found.fields, found.labels) == ("a.b", ("a", "label"), None)
    assert found.response_format() == body["response_format"]
    assert misfit(found, '{"a": 2, "label": 1}') == "$.a: 1 was expected"
    assert found.parse('{"a": 1, "label": 1}') == {"a": 1, "label": 1}


@pytest.mark.parametrize("field", [{"enum": ["a"]}, {"enum": ["a", "b"], "description": "what"}])
def test_a_field_called_label_is_a_field_as_any(field: dict[str, Any]) -> None:
    """A schema of one's own may be called label, and have one field that holds one of some texts."""
    schema = schema_of(own(label=field) | {"title": "label"})
    found = of_wire(request(schema))
    assert found == schema
    assert (found.labels, found.parse('{"label": "a"}')) == (None, {"label": "a"})


def test_a_stored_schema_is_made_ready_once() -> None:
    """Row after row of one job is judged by the same validator."""
    body = request(schema_of(OWN))
    assert of_wire(body) is of_wire(copy.deepcopy(body))


# --- what always holds -------------------------------------------------------------------------------


def test_thousands_of_labels_are_chosen_from() -> None:
    """Twenty thousand labels are made and read as two are."""
    labels = [f"label {n}" for n in range(20_000)]
    schema = schema_of(labels)
    assert schema.labels == tuple(labels)
    assert schema.parse('{"label": "label 19999"}') == "label 19999"
    assert of_wire(request(schema)).parse('{"label": "label 7"}') == "label 7"
    said = misfit(schema, '{"label": "x"}')
    assert said.startswith("$.label: 'x' is none of the labels label 0, label 1, ")
    assert said.endswith(", …")


def test_pydantic_is_not_brought_by_us() -> None:
    """Who has no Pydantic misses nothing, and who has it pays for its import himself."""
    code = (
        "import sys\nfrom dataclasses import dataclass\nfrom groq_magic.schema import schema_of\n"
        "@dataclass\nclass A:\n    b: int\n"
        "schema_of(A).parse('{\"b\": 1}'), schema_of('a|b')\n"
        "print({'pydantic', 'jsonschema', 'regex'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_schema_is_taken_as_it_is() -> None:
    """What is a Schema already stays the same one."""
    schema = schema_of(Review)
    assert schema_of(schema) is schema
    assert schema == schema_of(Review)
    assert hash(schema) == hash(schema_of(Review))
    assert schema != schema_of(Model)


NAMES = st.text(min_size=1, max_size=4)
LEAVES = st.sampled_from(
    [
        INT,
        STR,
        NULL,
        NUMBER,
        {"type": "boolean", "title": "T", "default": True},
        {"enum": ["a", "b", None]},
        {"const": 3},
        {"type": ["string", "null"], "maxLength": 3},
        {"type": "integer", "minimum": 3, "maximum": 5},
    ]
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).flatmap(
            lambda named: st.lists(st.sampled_from(sorted(named)), unique=True).map(
                lambda required: {"type": "object", "properties": named, "required": required}
            )
        ),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        inner.map(lambda part: {"allOf": [part], "description": "what"}),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, ANY, min_size=1, max_size=3), st.integers(0, 1_000))
def test_any_schema_is_strict_and_its_replies_fit_the_users_own(named: dict[str, Any], number: int) -> None:
    """What a strict reply becomes fits the user's own schema; made strict again, it stays as it is."""
    mine = {"type": "object", "properties": named}
    schema = schema_of(mine)
    assert strict_fault(schema.json_schema) == ""
    assert schema_of(dict(schema.json_schema)).json_schema == schema.json_schema
    try:
        text = fitting(schema.json_schema, number)
    except OddSchema:  # it finds no value for every pair of bounds
        return
    jsonschema.Draft202012Validator(mine).validate(schema.parse(text))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, unique=True), st.integers(0, 1_000))
def test_any_labels_are_read_back(labels: list[str], number: int) -> None:
    """Whatever signs labels are of, a reply is one of them, and a stored request tells the same ones."""
    schema = schema_of(labels)
    assert schema.json_schema == label("string", *labels)
    chosen = schema.parse(fitting(schema.json_schema, number))
    assert chosen in labels
    assert of_wire(request(schema)) == schema
