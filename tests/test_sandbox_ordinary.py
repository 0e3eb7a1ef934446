"""Ordinary lines are read and answered the quick way, all others the exact way, and nobody can tell which."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from groq_magic.sandbox import Rules, bodies, chosen, intake, ordinary, results
from groq_magic.sandbox.timeline import Batch, standing
from tests.desk import request_line

PROMPTS = (
    *("Why is the sky blue?", "", "   ", "  lead, and. trail;  ", "a b c d e f ", "a b c d e f g", "[ [ x ]"),
    *("{head} {longest} {size} %b", "<id> <content> <seed>", '“Quoted” "and" \\ \x00 \u2028', "Ж😀" * 300),
)
ASKED: tuple[dict[str, Any], ...] = (
    *({}, {"model": "openai/gpt-oss-120b"}, {"model": "qwen/qwen3.8-27b"}, {"include_reasoning": False}),
    *({"seed": 0}, {"seed": -7}, {"seed": None}, {"temperature": 1, "top_p": 0.5}),
    *({"reasoning_effort": "low"}, {"max_tokens": 3}, {"max_completion_tokens": 3}),
    *({"max_completion_tokens": 30, "max_tokens": 2}, {"max_completion_tokens": 16_384}),
    {"include_reasoning": None},
)
SYSTEM = [{"role": "system", "content": "Be brief."}]
MESSAGES: tuple[list[dict[str, Any]], ...] = (
    SYSTEM,
    [*SYSTEM, {"role": "user", "content": "first"}, {"role": "assistant", "content": "[[fail]]"}],
    [{"role": "user", "content": "first"}, {"role": "user", "content": "and last"}, *SYSTEM],
)
ORDINARY = [
    *(
        request_line(f"“{n}”\n{m}", prompt, **asked)
        for n, prompt in enumerate(PROMPTS)
        for m, asked in enumerate(ASKED)
    ),
    *(request_line(f"m{n}", "", messages=messages) for n, messages in enumerate(MESSAGES)),
    request_line("more", "one").replace('{"custom_id"', '{"extra": [1], "prompt": "two", "custom_id"'),
    request_line("twice", "one").replace('"role"', '"role": "boss", "role"'),
]


def outcome(path: Path, rules: Rules, cut_off: bool) -> tuple[Any, list[tuple[bool, bytes]]]:
    """What is known of a file at its intake, and all its result lines."""
    taken = intake.take_in(path, "seed", bodies.CHAT, rules)
    batch = Batch(
        **{"id": "batch_x", "endpoint": bodies.CHAT, "input_file_id": "file_x", "completion_window": "24h"},
        **{"metadata": None, "project_id": "project_x", "created_at": 1.78e9, "expires_at": 1_780_086_400},
        **{"span_s": 10.0, "total": len(taken.order.offsets), "errors": [], "turned_down": False},
        **{"marks": ["[[expire]]"] if cut_off else [], "output_file_id": "file_y", "error_file_id": "file_z"},
        rules=rules,
    )
    end = standing(batch, math.inf)
    return taken, list(results.result_lines(batch, end, taken.order, path))


@pytest.mark.parametrize("cut_off", [False, True])
@pytest.mark.parametrize("output_line", ["2026", "2025"])
def test_the_quick_way_gives_the_bytes_of_the_exact_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output_line: str, cut_off: bool
) -> None:
    """An ordinary line's reply, and its file's order, are those that it has where nothing is ordinary."""
    path, rules = tmp_path / "in.jsonl", chosen([f"output_line={output_line}", "bad_line=row"])
    unusual = [request_line("fail", "[[fail]]"), request_line("m0", "a second m0"), "{"]
    lines = [line if n % 2 else json.dumps(json.loads(line)) for n, line in enumerate(ORDINARY)]
    path.write_text("\n".join([*lines, *unusual]), encoding="utf-8")
    quick = outcome(path, rules, cut_off)
    monkeypatch.setattr(ordinary, "read", lambda raw: None)
    assert quick == outcome(path, rules, cut_off)


@pytest.mark.parametrize("line", ORDINARY)
def test_what_is_ordinary_is_known_as_such(line: str) -> None:
    """The line is taken the quick way, with the prompt and its tokens that the exact way finds."""
    usual, exact = ordinary.read(line.encode()), intake.read_line(line.encode())
    assert usual is not None
    body = exact.body
    assert usual[0].custom_id == exact.custom_id
    assert usual[1:] == (bodies.prompt_of(body), bodies.prompt_tokens(body))
    assert usual[0].body.limit == bodies.limit_of(body)
    assert bodies.fault_of(exact.url, body, Rules()) is None


def spoiled(**body: Any) -> str:
    """A line of which only this is not as it should be."""
    return request_line("x", "hello", **body)


def messages(**message: Any) -> str:
    """A line whose one message is this."""
    return spoiled(messages=[message])


UNUSUAL = {
    "a mark": request_line("x", "[[fail]] hello"),
    "a mark in escapes": request_line("x", "@fail]]").replace("@", "\\u005b["),
    "an empty id": request_line("", "hello"),
    "another method": spoiled().replace('"POST"', '"GET"'),
    "another url": spoiled().replace("/v1/chat", "/v2/chat"),
    "half a surrogate pair": request_line("x", "@").replace("@", "\\ud800"),
    "an unknown model": spoiled(model="gpt-none"),
    "a model that hears": spoiled(model="whisper-large-v3"),
    "no messages": spoiled(messages=[]),
    "an unknown role": messages(role="boss", content="hello"),
    "a name": messages(role="user", content="hello", name="x"),
    "parts": messages(role="user", content=[{"type": "text", "text": "hello"}]),
    "a prompt that is too long": request_line("x", "x" * (4 * 131_072 + 1)),
    "another parameter": spoiled(response_format={"type": "json_object"}),
    "a parameter that is none": spoiled(temprature=1),
    "too warm": spoiled(temperature=2.1),
    "a top_p above one": spoiled(top_p=1.1),
    "no tokens": spoiled(max_tokens=0),
    "more tokens than the model makes": spoiled(max_completion_tokens=65_537),
    "more tokens by the older name": spoiled(model="qwen/qwen3.8-27b", max_tokens=16_385),
    "a seed that is no whole number": spoiled(seed=1.0),
    "a seed that is a switch": spoiled(seed=True),
    "a seed beyond all bounds": spoiled(seed=2**63),
    "an effort of no model": spoiled(reasoning_effort="huge"),
    "an effort of some models": spoiled(reasoning_effort="none"),
    "a switch that is a number": spoiled(include_reasoning=1),
    "no JSON": spoiled()[:-1],
}


@pytest.mark.parametrize("line", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_not_ordinary_goes_the_exact_way(line: str) -> None:
    """A mark, a fault or anything else out of the way is left to those who know every rule."""
    assert ordinary.read(line.encode()) is None
