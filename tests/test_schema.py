"""What replies must look like: every form made strict, every reply read or refused with its place."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic
import pytest

from groq_magic.sandbox.shaped import VARIETY, fitting, strict_fault
from groq_magic.schema import of_wire, schema_of
from tests.shapes import (
    INT,
    NULL,
    NUMBER,
    STR,
    Box,
    Checked,
    Circle,
    Dog,
    Extended,
    Inner,
    Kinds,
    Model,
    Mood,
    Owner,
    Point,
    Renamed,
    Review,
    Root,
    Stars,
    Tree,
    Typed,
    label,
    misfit,
    or_null,
    ref,
    request,
    thing,
)

MOODS = label("string", "positive", "negative")
A_REVIEW = {
    "description": "A review.",
    **thing(
        rating=INT,
        mood=ref("Mood"),
        note=or_null(STR),
        inner=ref("Inner"),
        tags={"type": "array", "items": STR},
    ),
    "$defs": {
        "Mood": {"description": "How a review sounds.", "type": "string", "enum": ["negative", "positive"]},
        "Inner": {"description": "What is inside.", **thing(count=INT)},
    },
}
A_MODEL = thing(
    rating={"type": "integer", "minimum": 1, "maximum": 5},
    price={"type": "number", "minimum": 0.5},
    fullName=STR,
)
A_TREE = thing(
    shape={"anyOf": [ref("Circle"), ref("Square")]}, children={"type": "array", "items": ref("Tree")}
)
A_PET = {"description": "A kind of pet."}
AN_OWNER = {
    "description": "Has one, and friends.",
    **thing(
        pet={"anyOf": [ref("Cat"), ref("Dog")]},
        friend={"description": "a friend", **or_null(ref("Owner"))},
    ),
}
OWN = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "https://example.org/review",
    "title": "A review, in short",
    "type": "object",
    "required": ["rating"],
    "properties": {
        "rating": {"type": "integer", "default": 3, "examples": [1], "title": "Rating"},
        "note": {"type": "string", "description": "if any"},
        "maybe": {"type": ["string", "null"]},
        "inner": {"$ref": "#/definitions/inner", "description": "what is inside"},
    },
    "definitions": {"inner": {"properties": {"count": {"type": "integer", "minimum": 0}}}, "unused": {}},
}
AN_OWN = thing(
    rating=INT,
    note=or_null({"description": "if any", "type": "string"}),
    maybe={"type": ["string", "null"]},
    inner={"description": "what is inside", "anyOf": [ref("inner"), NULL]},
) | {"$defs": {"inner": thing(count=or_null({"type": "integer", "minimum": 0}))}}

FORMS: dict[str, tuple[object, str, dict[str, Any], tuple[str, object], tuple[str, str]]] = {
    "labels in a text": (
        " positive | negative",
        "label",
        MOODS,
        ('{"label": "negative"}', "negative"),
        ('{"label": "so so"}', "$.label: 'so so' is none of the labels positive, negative"),
    ),
    "a list of labels": (
        ["positive", "negative"],
        "label",
        MOODS,
        ('{"label": "positive", "why": 1}', "positive"),
        ('{"label": 1}', "$.label: Expected `str`, got `int`"),
    ),
    "labels with odd signs": (
        ('a "b"', "c\nd", "é|😀"),
        "label",
        label("string", 'a "b"', "c\nd", "é|😀"),
        ('{"label": "c\\nd"}', "c\nd"),
        ('{"label": "c"}', "$.label: 'c' is none of the labels a \"b\", c d, é|😀"),
    ),
    "a Literal": (
        Literal["positive", "negative"],
        "label",
        MOODS,
        ('{"label": "negative"}', "negative"),
        ("{}", "$: Object missing required field `label`"),
    ),
    "a Literal of numbers and members": (
        Literal[2, True, None, Mood.GOOD],
        "label",
        thing(label={"type": ["integer", "boolean", "null", "string"], "enum": [2, True, None, "positive"]}),
        ('{"label": "positive"}', Mood.GOOD),
        ('{"label": 1}', "$.label: 1 is none of the labels 2, true, null, positive"),
    ),
    "an Enum": (
        Mood,
        "label",
        MOODS,
        ('{"label": "negative"}', Mood.BAD),
        ('{"label": "BAD"}', "$.label: 'BAD' is none of the labels positive, negative"),
    ),
    "an Enum of numbers": (
        Stars,
        "label",
        label("integer", 1, 2),
        ('{"label": 2}', Stars.TWO),
        ('{"label": "2"}', "$.label: '2' is none of the labels 1, 2"),
    ),
    "a dataclass": (
        Review,
        "Review",
        A_REVIEW,
        (
            '{"rating": 4, "mood": "positive", "note": null, "inner": {"count": 1}, "tags": ["a"]}',
            Review(4, Mood.GOOD, None, Inner(1), ["a"]),
        ),
        ('{"rating": "4"}', "$.rating: Expected `int`, got `str`"),
    ),
    "a TypedDict": (
        Typed,
        "Typed",
        {
            "description": "As a dict.",
            **thing(rating=INT, kind={"type": "string", "enum": ["a", "b"]}),
        },
        ('{"rating": 4, "kind": "a"}', {"rating": 4, "kind": "a"}),
        ('{"rating": 4, "kind": "c"}', "$.kind: Invalid enum value 'c'"),
    ),
    "a TypedDict of typing_extensions": (
        Extended,
        "Extended",
        {"description": "As a dict of typing_extensions.", **thing(rating=INT)},
        ('{"rating": 4}', {"rating": 4}),
        ("[]", "$: Expected `object`, got `array`"),
    ),
    "a Struct": (
        Renamed,
        "Renamed",
        {
            "description": "As a Struct.",
            **thing(myRating={"description": "from 1 to 5", "type": "integer", "minimum": 1, "maximum": 5}),
        },
        ('{"myRating": 4}', Renamed(4)),
        ('{"myRating": 9}', "$.myRating: Expected `int` <= 5"),
    ),
    "a Struct that holds itself": (
        Tree,
        "Tree",
        {
            "description": "Holds itself, and kinds.",
            **A_TREE,
            "$defs": {
                "Tree": {"description": "Holds itself, and kinds.", **A_TREE},
                "Circle": {
                    "description": "One kind.",
                    **thing(type={"type": "string", "enum": ["Circle"]}, radius=NUMBER),
                },
                "Square": {
                    "description": "Another.",
                    **thing(type={"type": "string", "enum": ["Square"]}, side=NUMBER),
                },
            },
        },
        ('{"shape": {"type": "Circle", "radius": 1}, "children": []}', Tree(Circle(1.0))),
        (
            '{"shape": {"type": "Square", "side": 1}, "children": [{"shape": {"type": "Oval"}}]}',
            "$.children[0].shape.type: Invalid value 'Oval'",
        ),
    ),
    "a generic Struct": (
        Box[int],
        "Box_int",
        {"description": "Holds one.", **thing(held=INT)},
        ('{"held": 1}', Box(1)),
        ('{"held": 1.5}', "$.held: Expected `int`, got `float`"),
    ),
    "types that JSON has other words for": (
        Kinds,
        "Kinds",
        {
            "description": "One field of each kind that JSON has other words for.",
            **thing(
                price=NUMBER,
                day={"type": "string", "format": "date"},
                pair={"type": "array", "items": INT, "minItems": 2, "maxItems": 2},
                point=ref("Point"),
                unique={"type": "array", "items": STR},
                either={"anyOf": [INT, STR, NULL]},
                odd={"type": ["null", "integer", "string"], "enum": [None, 1, "x"]},
            ),
            "$defs": {
                "Point": {
                    "description": "Two numbers.",
                    "type": "array",
                    "items": NUMBER,
                    "minItems": 2,
                    "maxItems": 2,
                }
            },
        },
        (
            '{"price": 1.10, "day": "2026-01-02", "pair": [1, 2], "point": [0, 1], "unique": ["a", "a"], '
            '"either": null, "odd": "x"}',
            Kinds(Decimal("1.10"), date(2026, 1, 2), (1, 2), Point(0.0, 1.0), {"a"}, None, "x"),
        ),
        ('{"price": "dear"}', "$.price: Invalid decimal string"),
    ),
    "a Pydantic model": (
        Model,
        "Model",
        {"description": "As a model.", **A_MODEL},
        ('{"rating": 4, "fullName": "x"}', Model(rating=4, fullName="x")),
        ('{"rating": 9, "fullName": "x"}', "$.rating: Input should be less than or equal to 5"),
    ),
    "a Pydantic model of kinds that holds itself": (
        Owner,
        "Owner",
        {
            **AN_OWNER,
            "$defs": {
                "Cat": {**A_PET, **thing(kind={"type": "string", "enum": ["cat"]}, lives=INT)},
                "Dog": {**A_PET, **thing(kind={"type": "string", "enum": ["dog"]}, lives=INT)},
                "Owner": AN_OWNER,
            },
        },
        (
            '{"pet": {"kind": "dog", "lives": 1}, "friend": null}',
            Owner(pet=Dog(kind="dog", lives=1)),
        ),
        (
            '{"pet": {"kind": "cow"}, "friend": null}',
            "$.pet: Input tag 'cow' found using 'kind' does not match any of the expected tags: 'cat', 'dog'",
        ),
    ),
    "a Pydantic root model": (
        Root,
        "Root",
        {"description": "A model of a model.", **A_MODEL},
        ('{"rating": 4, "fullName": "x"}', Root(Model(rating=4, fullName="x"))),
        ('{"rating": 4}', "$.fullName: Field required"),
    ),
    "a TypeAdapter": (
        pydantic.TypeAdapter(Model),
        "Model",
        {"description": "As a model.", **A_MODEL},
        ('{"rating": 4, "fullName": "x"}', Model(rating=4, fullName="x")),
        ('{"rating": [4], "fullName": "x"}', "$.rating: Input should be a valid integer"),
    ),
    "a model with a remark": (
        Annotated[Model, "of mine"],
        "Model",
        {"description": "As a model.", **A_MODEL},
        ('{"rating": 4, "price": 0.5, "fullName": "x"}', Model(rating=4, price=Decimal("0.5"), fullName="x")),
        ('{"price": 0.1, "fullName": "x"}', "$.price: Input should be greater than or equal to 0.5"),
    ),
    "a JSON Schema": (
        OWN,
        "A_review_in_short",
        AN_OWN,
        (
            '{"rating": 4, "note": null, "maybe": null, "inner": {"count": null}, "more": 1}',
            {"rating": 4, "maybe": None, "inner": {}, "more": 1},
        ),
        (
            '{"rating": 4, "note": null, "maybe": null, "inner": {"count": -1}}',
            "$.inner.count: -1 is less than the minimum of 0",
        ),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_strict_on_the_wire_and_reads_its_replies(form: str) -> None:
    """Each form has its wire schema; a reply becomes its instance, or says where and why it does not fit."""
    odd, name, wire, (good, instance), (bad, said) = FORMS[form]
    schema = schema_of(odd)
    assert (schema.name, schema.json_schema) == (name, wire)
    parsed = schema.parse(good)
    assert (type(parsed), parsed) == (type(instance), instance)
    assert misfit(schema, bad) == said
    assert schema.values(good) == {k: v for k, v in json.loads(good).items() if k in wire["properties"]}


@pytest.mark.parametrize("form", FORMS)
def test_fields_keep_the_order_in_which_they_are_written(form: str) -> None:
    """A model fills fields in their order, so the wire, `required` and the columns have the user's."""
    odd, _, wire, _, _ = FORMS[form]
    schema = schema_of(odd)
    assert list(schema.json_schema["properties"]) == list(wire["properties"]) == list(schema.fields)
    assert schema.json_schema["required"] == list(schema.fields)


@pytest.mark.parametrize("form", FORMS)
def test_every_schema_is_taken_by_strict_mode_and_its_replies_are_read(form: str) -> None:
    """The sandbox's own judge finds each schema strict, and every reply that it makes of it is read."""
    schema = schema_of(FORMS[form][0])
    assert strict_fault(schema.json_schema) == ""
    for number in range(VARIETY):
        text = fitting(schema.json_schema, number)
        schema.parse(text)
        assert set(schema.values(text)) == set(schema.fields)


@pytest.mark.parametrize("form", FORMS)
def test_a_stored_request_tells_its_schema(form: str) -> None:
    """What was sent is known again from the request alone, and reads the same replies."""
    schema = schema_of(FORMS[form][0])
    found = of_wire(request(schema))
    assert found == schema
    for number in range(5):
        text = fitting(schema.json_schema, number)
        read = found.parse(text)
        assert read == (schema.values(text)["label"] if schema.labels else json.loads(text))


def test_two_processes_ask_for_the_same_bytes() -> None:
    """No set, hash or address comes into a schema, which is part of what a request is known by."""
    code = "from tests.test_schema import asked; print(asked())"
    env = {"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == asked()
    assert "0x" not in asked()


def asked() -> str:
    """The bytes of every form on the wire."""
    odd = [schema_of(form[0]) for form in FORMS.values()] + [schema_of(Checked)]
    return json.dumps([schema.response_format() for schema in odd])
