"""Structured replies: what a JSON Schema asks for is what it gets, exactly."""

import json
import random
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groq_magic.sandbox.shaped import VARIETY, OddSchema, fitting, strict_fault

STRICT = {"additionalProperties": False}


def thing(**properties: Any) -> dict[str, Any]:
    """An object of these properties as strict mode wants it."""
    return {"type": "object", "properties": properties, "required": list(properties), **STRICT}


TAG = thing(sure={"type": "boolean"}, rank={"const": 7})
SCHEMAS: dict[str, Any] = {
    "labels": thing(label={"type": "string", "enum": ["positive", "negative", "neutral"]}),
    "a label": {"enum": ["x", 1, None, {"a": [1]}]},
    "const": thing(kind={"const": "review"}),
    "numbers": thing(
        whole={"type": "integer", "minimum": 1, "maximum": 5},
        above={"type": "integer", "exclusiveMinimum": -9, "exclusiveMaximum": -7},
        share={"type": "number", "minimum": 0, "maximum": 1},
        open={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        below={"type": "number", "maximum": -50},
        sevens={"type": "integer", "multipleOf": 7, "minimum": 20, "maximum": 40},
        quarters={"type": "number", "multipleOf": 0.25, "minimum": 0.3, "maximum": 1},
    ),
    "texts": thing(
        free={"type": "string"},
        short={"type": "string", "maxLength": 3},
        long={"type": "string", "minLength": 500},
        none={"type": "string", "maxLength": 0},
        zip={"type": "string", "pattern": "^[0-9]{5}$"},
        code={"type": "string", "pattern": r"^(AB|CD)-\d+\w?$"},
        part={"type": "string", "pattern": "x", "minLength": 10},
        hash={"type": "string", "pattern": "^[0-9a-f]{128}$"},
        other={"type": "string", "pattern": "^[^a-z]{3}$"},
    ),
    "formats": thing(
        **{
            name.replace("-", "_"): {"type": "string", "format": name}
            for name in ("date", "date-time", "time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri")
        }
    ),
    "lists": thing(
        tags={"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1, "maxItems": 3},
        none={"type": "array", "items": {"type": "string"}, "maxItems": 0},
        many={"type": "array", "items": {"type": "null"}, "minItems": 40},
        distinct={"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
        pair={
            "type": "array",
            "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "items": False,
            "minItems": 2,
        },
        holds={"type": "array", "contains": {"const": 5}},
    )
    | {"$defs": {"tag": TAG}},
    "choices": thing(
        note={"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
        either={"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
        union={"type": ["string", "null"]},
        shape={"anyOf": [thing(circle={"type": "number"}), thing(square={"type": "integer"})]},
    ),
    "itself": thing(value={"type": "string"}, children={"type": "array", "items": {"$ref": "#"}}),
    "a chain": thing(next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})
    | {
        "$defs": {
            "node": thing(v={"type": "number"}, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})
        }
    },
    "definitions": thing(a={"$ref": "#/definitions/x"}) | {"definitions": {"x": {"type": "boolean"}}},
    "an anchor": thing(a={"$ref": "#word"}) | {"$defs": {"w": {"$anchor": "word", "enum": ["a", "b"]}}},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": {"maximum": 4}, "b": {"type": "string"}},
                "required": ["b"],
            },
        ]
    },
    "a property called $ref": thing(**{"$ref": {"type": "string"}, "enum": {"type": "integer"}}),
    "a not": {"type": "integer", "minimum": 0, "maximum": 3, "not": {"const": 2}},
    "any object": {"type": "object"},
    "a filled object": {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    "required unknown": {"type": "object", "required": ["a"]},
    "anything": {},
    "true": True,
    "a title": thing(a={"title": "A", "description": "what", "type": "integer"})
    | {"$id": "https://example.org/x", "$schema": "http://json-schema.org/draft-07/schema#"},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_reply_fits_its_schema(name: str) -> None:
    """Each of the values for a schema passes an independent validator, formats included."""
    judge = jsonschema.Draft202012Validator(
        SCHEMAS[name], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for number in range(VARIETY):
        judge.validate(json.loads(fitting(SCHEMAS[name], number)))


def test_every_label_occurs() -> None:
    """Sixty-four labels are all met by sixty-four prompts, in a property or alone."""
    labels = [f"label {n}" for n in range(VARIETY)]
    alone = {json.loads(fitting({"enum": labels}, n)) for n in range(VARIETY)}
    inside = {json.loads(fitting(thing(label={"enum": labels}), n))["label"] for n in range(VARIETY)}
    assert alone == inside == set(labels)


def test_free_text_says_where_it_comes_from() -> None:
    """A string without bounds names the sandbox; nobody takes it for a model's."""
    assert "Sandbox" in json.loads(fitting(thing(a={"type": "string"}), 3))["a"]


def test_the_same_number_has_the_same_reply_in_any_process() -> None:
    """A value depends on the schema and the number alone, and touches nobody's random numbers."""
    random.seed(1)
    expected = random.random()
    random.seed(1)
    here = [fitting(SCHEMAS["texts"], n) for n in range(5)]
    assert random.random() == expected
    code = "import sys, json; from groq_magic.sandbox.shaped import fitting\n"
    code += "print(json.dumps([fitting(json.loads(sys.argv[1]), n) for n in range(5)]))"
    there = subprocess.run(
        [sys.executable, "-c", code, json.dumps(SCHEMAS["texts"])], capture_output=True, text=True, check=True
    )
    assert json.loads(there.stdout) == here == [fitting(SCHEMAS["texts"], n + VARIETY) for n in range(5)]


HOSTILE: dict[str, Any] = {
    "no schema": 7,
    "no JSON": {"enum": [object()]},
    "an unknown type": {"type": "text"},
    "a wrong bound": {"type": "string", "minLength": "x"},
    "an endless text": {"type": "string", "minLength": 10**9},
    "an endless list": {"type": "array", "minItems": 10**9},
    "a long list of long texts": {
        "type": "array",
        "minItems": 2_000,
        "items": {"type": "string", "minLength": 20_000},
    },
    "many lists": {"type": "array", "minItems": 1_000, "items": {"type": "array", "minItems": 1_000}},
    "a huge pattern": {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
    "a wild pattern": {"type": "string", "pattern": "(((a*)*)*)*"},
    "a pattern of nothing": {"type": "string", "pattern": "((((((()*)*)*)*)*)*)*"},
    "a pattern of a huge least": {"type": "string", "pattern": "a{4294967294}"},
    "a pattern that looks far ahead": {"type": "string", "pattern": "(?=(a{19999}){19999})"},
    "a pattern that doubles": {
        "type": "string",
        "pattern": "(aa)" + "".join(f"(\\{n}\\{n})" for n in range(1, 60)),
    },
    "a pattern that takes for ever": {"const": "a" * 40 + "!", "pattern": "^(a+)+$"},
    "a name that takes for ever": {
        "const": {"a" * 40 + "!": 1},
        "patternProperties": {"^(a+)+$": {"type": "integer"}},
        "additionalProperties": False,
    },
    "half a character": {"type": "string", "pattern": "\\ud800"},
    "a schema that doubles": {
        "type": "string",
        "not": {"$ref": "#/$defs/a0"},
        "$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}},
    },
    "thousands of branches": {"anyOf": [{"const": n, "type": "string"} for n in range(20_000)]},
    "somewhere else, if it depends": {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {}},
        "dependentSchemas": {"a": {"$ref": "http://127.0.0.1:1/x"}},
    },
    "no pattern": {"type": "string", "pattern": "("},
    "a circle": {"$ref": "#"},
    "a child for ever": thing(child={"$ref": "#"}),
    "two for ever": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "nothing there": {"$ref": "#/$defs/none"},
    "no anchor": {"$ref": "#none"},
    "somewhere else": {"$ref": "https://example.org/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "somewhere else, deep": thing(a={"items": {"anyOf": [{"$ref": "other.json"}]}}),
    "code": {"$ref": "other.json#/x", "$provider": "__import__('os').getcwd"},
    "false": False,
    "a contradiction": {"type": "integer", "minimum": 3, "maximum": 2},
    "another": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "its own opposite": {"type": "string", "not": {"type": "string"}},
    "nothing to choose": {"anyOf": [False, False]},
    "a nan": {"type": "number", "minimum": float("nan")},
    "deep": json.loads('{"items":' * 400 + "{}" + "}" * 400) | {"$ref": "#/none"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_filled_is_said_in_one_line(name: str) -> None:
    """None of these hangs, is fetched, is run, or is answered with something that does not fit."""
    for _ in range(2):
        with pytest.raises(OddSchema) as met:
            fitting(HOSTILE[name], 0)
        assert str(met.value)
        assert "\n" not in str(met.value)


STRICT_FAULTS: list[tuple[Any, str]] = [
    (thing(a={"type": "string"}), ""),
    (thing(a=thing(b={"type": "null"})), ""),
    ({"type": "array"}, "root"),
    ({"type": "object", "properties": {}}, "additionalProperties"),
    ({**thing(a={}, b={}), "required": ["a"]}, "'b'"),
    (thing(a={"type": "object", "properties": {"c": {}}, **STRICT}), "'c'"),
    (thing(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": {"type": "object"}}}, "additionalProperties"),
    (thing(a={"enum": [{"type": "object"}]}), ""),
]


@pytest.mark.parametrize(
    "odd", [{"required": [{}]}, {"required": 5}, {"properties": 5}, {"properties": [1, "a"]}]
)
def test_strict_mode_turns_down_what_is_no_schema(odd: dict[str, Any]) -> None:
    """A schema that is none is said to be none before anything is read in it."""
    with pytest.raises(OddSchema):
        strict_fault({"type": "object", "additionalProperties": False, **odd})


@pytest.mark.parametrize(("schema", "says"), STRICT_FAULTS)
def test_strict_mode_wants_every_object_closed_and_whole(schema: Any, says: str) -> None:
    """Each object has additionalProperties false and lists all it has as required; the fault is named."""
    fault = strict_fault(schema)
    assert says in fault
    assert bool(says) == bool(fault)


LEAVES = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda labels: {"enum": labels}, st.lists(st.text(max_size=5), min_size=1, max_size=5, unique=True)
    ),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 30),
        st.integers(0, 9),
    ),
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(lambda named: thing(**named)),
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 3),
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(ANY, st.integers(0, 1_000))
def test_any_schema_that_can_be_met_is_met(schema: dict[str, Any], number: int) -> None:
    """Whatever is built of objects, lists, unions and bounds gets a value that fits."""
    jsonschema.Draft202012Validator(schema).validate(json.loads(fitting(schema, number)))
