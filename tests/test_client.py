"""What `submit` and the magics share: options as Groq's fields, checked in one place."""

from __future__ import annotations

import math
from typing import Any

import pytest

from groq_magic import client
from groq_magic.errors import InputError


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"extra": {"top_p": 0.9}}, {"top_p": 0.9}),
        ({"extra": {"temperature": 1}}, {"temperature": 1}),
        ({"temperature": 1, "extra": {"stop": ["x"]}}, {"temperature": 1.0, "stop": ["x"]}),
    ],
)
def test_options_become_groqs_fields(given: dict[str, Any], fields: dict[str, Any]) -> None:
    """Only what was given is sent, under Groq's names."""
    assert client.body_options(**given) == fields


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temperature": 2.1}, "temperature is 2.1; Groq takes numbers from 0 to 2."),
        ({"temperature": math.nan}, "temperature is nan; Groq takes numbers from 0 to 2."),
        ({"max_tokens": 0}, "max_tokens is 0; Groq takes whole numbers from 1 on."),
        ({"max_tokens": 1.5}, "max_tokens is 1.5; Groq takes whole numbers from 1 on."),
        ({"max_tokens": True}, "max_tokens is True; Groq takes whole numbers from 1 on."),
        ({"temperature": "0.5"}, "temperature is '0.5'; Groq takes numbers from 0 to 2."),
        (
            {"extra": ["top_p"]},
            "extra is ['top_p']; it is a dict with text keys, for example {\"top_p\": 0.9}.",
        ),
        ({"extra": {1: 2}}, 'extra is {1: 2}; it is a dict with text keys, for example {"top_p": 0.9}.'),
        ({"extra": {"model": "x"}}, "extra holds 'model', which has an option of its own: keep one of them."),
        (
            {"extra": {"messages": []}},
            "extra holds 'messages', which has an option of its own: keep one of them.",
        ),
        (
            {"temperature": 1, "extra": {"temperature": 1}},
            "extra holds 'temperature', which has an option of its own: keep one of them.",
        ),
        (
            {"max_tokens": 5, "extra": {"max_completion_tokens": 1}},
            "extra holds 'max_completion_tokens', which has an option of its own: keep one of them.",
        ),
        (
            {"max_tokens": 5, "extra": {"max_tokens": 1}},
            "extra holds 'max_tokens', which has an option of its own: keep one of them.",
        ),
    ],
)
def test_options_that_groq_would_refuse_are_said_in_one_line(given: dict[str, Any], said: str) -> None:
    """A value out of range, and an extra that says a thing twice, is an error before anything is sent."""
    with pytest.raises(InputError) as caught:
        client.body_options(**given)
    assert str(caught.value) == said
