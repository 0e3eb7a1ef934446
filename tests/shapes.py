"""Shapes of replies as users write them, in every form, and what they are on the wire."""

from __future__ import annotations

import dataclasses
import enum
import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
import typing_extensions
from pydantic.dataclasses import dataclass as pydantic_dataclass

from groq_magic.errors import InputError
from groq_magic.schema import Misfit, Schema, schema_of


class Mood(enum.Enum):
    """How a review sounds."""

    GOOD = "positive"
    BAD = "negative"


class Stars(enum.IntEnum):
    """How many."""

    ONE = 1
    TWO = 2


@dataclasses.dataclass
class Inner:
    """What is inside."""

    count: int = 3


@dataclasses.dataclass
class Review:
    """A review."""

    rating: int
    mood: Mood
    note: str | None = None
    inner: Inner = dataclasses.field(default_factory=Inner)
    tags: list[str] = dataclasses.field(default_factory=list)


class Typed(TypedDict):
    """As a dict."""

    rating: int
    kind: Literal["a", "b"]


class Extended(typing_extensions.TypedDict):
    """As a dict of typing_extensions."""

    rating: int


class Renamed(msgspec.Struct, rename="camel"):
    """As a Struct."""

    my_rating: Annotated[int, msgspec.Meta(ge=1, le=5, description="from 1 to 5")]


class Circle(msgspec.Struct, tag=True):
    """One kind."""

    radius: float


class Square(msgspec.Struct, tag=True):
    """Another."""

    side: float


class Tree(msgspec.Struct):
    """Holds itself, and kinds."""

    shape: Circle | Square
    children: list[Tree] = []


class Model(pydantic.BaseModel):
    """As a model."""

    rating: int = pydantic.Field(3, ge=1, le=5)
    price: Decimal = pydantic.Field(Decimal(1), ge=Decimal("0.5"))
    full_name: str = pydantic.Field(alias="fullName")


class Share(pydantic.BaseModel):
    """Of a whole."""

    rating: float


class Cat(pydantic.BaseModel):
    """A kind of pet."""

    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    """A kind of pet."""

    kind: Literal["dog"]
    lives: int


class Owner(pydantic.BaseModel):
    """Has one, and friends."""

    pet: Cat | Dog = pydantic.Field(discriminator="kind")
    friend: Owner | None = pydantic.Field(None, description="a friend")


class Root(pydantic.RootModel[Model]):
    """A model of a model."""


@pydantic_dataclass
class Checked:
    """Checked by code of the user's own, which breaks."""

    rating: int
    unsaid: str = object()  # type: ignore[assignment]  # what no JSON can write as a default

    @pydantic.field_validator("rating")
    @classmethod
    def _check(cls, rating: int) -> int:
        if rating > 9:
            raise ValueError("too\n high")
        return 1 // rating


@dataclasses.dataclass
class Breaks:
    """Breaks when it is made."""

    rating: int

    def __post_init__(self) -> None:
        if self.rating > 9:
            raise ValueError("too\n high")
        raise Mute


class Mute(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    """Holds one."""

    held: T


class Point(NamedTuple):
    """Two numbers."""

    x: float
    y: float


@dataclasses.dataclass
class Kinds:
    """One field of each kind that JSON has other words for."""

    price: Decimal
    day: date
    pair: tuple[int, int]
    point: Point
    unique: set[str]
    either: int | str | None
    odd: Literal["x", 1, None]


def thing(**properties: Any) -> dict[str, Any]:
    """An object of these properties as strict mode wants it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def label(kind: str, *values: object) -> dict[str, Any]:
    """The object that labels are on the wire."""
    return thing(label={"type": kind, "enum": list(values)})


INT, STR, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
NUMBER = {"type": "number"}


def ref(name: str) -> dict[str, str]:
    """A reference to what stands under `$defs`."""
    return {"$ref": f"#/$defs/{name}"}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    return {"anyOf": [schema, NULL]}


def own(**properties: Any) -> dict[str, Any]:
    """An object of the user's own with these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def request(schema: Schema) -> dict[str, Any]:
    """The body of a stored request with this schema."""
    return json.loads(json.dumps({"model": "m", "response_format": schema.response_format()}))


def refusal(odd: object) -> str:
    """The line that a schema is refused with."""
    with pytest.raises(InputError) as caught:
        schema_of(odd)
    assert "\n" not in caught.value.message
    return caught.value.message


def misfit(schema: Schema, text: str) -> str:
    """The line that a reply is refused with."""
    with pytest.raises(Misfit) as caught:
        schema.parse(text)
    assert str(caught.value) == f"{caught.value.path}: {caught.value.why}"
    assert "\n" not in str(caught.value)
    return str(caught.value)
