"""What `submit` and the magics share: options as Groq's fields, checked in one place."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import client, settings, shards
from groq_magic.errors import InputError
from tests.desk import KEY
from tests.sockets import arm, sandbox

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"seed": -3, "reasoning": "low"}, {"seed": -3, "reasoning_effort": "low"}),
        ({"extra": {"seed": 3, "reasoning_effort": "none"}}, {"seed": 3, "reasoning_effort": "none"}),
        ({"extra": {"top_p": 0.9}}, {"top_p": 0.9}),
        ({"extra": {"temperature": 1}}, {"temperature": 1}),
        ({"temperature": 1, "extra": {"stop": ["x"]}}, {"temperature": 1.0, "stop": ["x"]}),
    ],
)
def test_options_become_groqs_fields(given: dict[str, Any], fields: dict[str, Any]) -> None:
    """Only what was given is sent, under Groq's names."""
    assert settings.body_options(**given) == fields


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"temperature": 2.1}, "temperature is 2.1; Groq takes numbers from 0 to 2."),
        ({"temperature": math.nan}, "temperature is nan; Groq takes numbers from 0 to 2."),
        ({"max_tokens": 0}, "max_tokens is 0; Groq takes whole numbers from 1 to 2,147,483,647."),
        ({"max_tokens": 1.5}, "max_tokens is 1.5; Groq takes whole numbers from 1 to 2,147,483,647."),
        ({"max_tokens": True}, "max_tokens is True; Groq takes whole numbers from 1 to 2,147,483,647."),
        (
            {"max_tokens": 2**31},
            "max_tokens is 2147483648; Groq takes whole numbers from 1 to 2,147,483,647.",
        ),
        ({"temperature": "0.5"}, "temperature is '0.5'; Groq takes numbers from 0 to 2."),
        ({"seed": 1.5}, "seed is 1.5; Groq takes whole numbers of up to 64 bits."),
        ({"seed": 2**63}, "seed is 9223372036854775808; Groq takes whole numbers of up to 64 bits."),
        ({"reasoning": "hard"}, "reasoning is 'hard'; Groq takes low, medium or high."),
        (
            {"reasoning": "low", "extra": {"reasoning_effort": "high"}},
            "extra holds 'reasoning_effort', which has an option of its own: keep one of them.",
        ),
        (
            {"seed": 1, "extra": {"seed": 1}},
            "extra holds 'seed', which has an option of its own: keep one of them.",
        ),
        (
            {"extra": ["top_p"]},
            "extra is ['top_p']; it is a dict, for example {\"top_p\": 0.9}.",
        ),
        ({"extra": {1: 2}}, "extra has the key 1; JSON's keys are texts: `str(x)` makes one."),
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
        settings.body_options(**given)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"now": "no"}, "now is 'no'; it is True or False."),
        ({"unique": 0}, "unique is 0; it is True or False."),
        ({"samples": 10**20}, "samples is 100000000000000000000; it is a whole number from 1 to 1,000."),
        ({"take": 2**63}, f"take is {2**63}; it is a whole number from 1 to 9,223,372,036,854,775,807."),
        ({"take": 10**5_000}, "take is a very large int; it is a whole number from 1 to 9,223,372,036,85"),
        ({"extra": {"max_tokens": 2**31}}, "extra: max_tokens is 2147483648"),
    ],
    ids=["now", "unique", "samples", "take", "a very large take", "extra"],
)
def test_what_no_submission_can_mean_is_refused_in_a_line(given: dict[str, Any], said: str) -> None:
    """A word for a switch, or a number beyond all that can be sent or kept."""
    with pytest.raises(InputError) as caught:
        client.submit(["a"], **given)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize("source", [["a"] * 4, (text for text in "aaaa")], ids=["counted", "not counted"])
def test_prompts_and_samples_together_have_an_end(source: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four prompts three times each are too many where ten are the most."""
    monkeypatch.setattr(shards, "MAX_ROWS", 10)
    with pytest.raises(InputError, match=r"^These are more than 10 prompts, samples counted: send them in"):
        client.submit(source, samples=3)


FORK = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
import groq_magic
from groq_magic import client, services
services.use_sandbox(pace_s=0)
before = groq_magic.submit(["[[echo]]before"]).wait(30)
child = os.fork()
who = "parent" if child else "child"
after = groq_magic.submit([f"[[echo]]{who}"]).wait(30)
print(who, before.texts, after.texts, flush=True)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


SCRIPT = """
import sys
from groq_magic import client, services
services.use_sandbox(sys.argv[1])
client.submit([f"[[echo]]{n}" for n in range(5)], name="answers")
"""


def test_a_script_ends_when_its_prompts_are_sent(tmp_path: Path) -> None:
    """A script that does not wait finishes its uploads and creates, and says so in one line."""
    env = os.environ | {"GROQ_MAGIC_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    with sandbox(tmp_path / "store") as url:
        arm(url, "slow", on="POST /files", seconds=1)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, url], env=env, capture_output=True, text=True, timeout=60
        )
        said = done.stdout.splitlines()
        assert (done.returncode, done.stderr, len(said)) == (0, "", 1)
        assert said[0].startswith("groq_magic: 5 prompts are being sent")
        listed = httpx.get(f"{url}/openai/v1/batches", headers={"authorization": f"Bearer {KEY}"}).json()
        assert len(listed["data"]) == 1


AT_ONCE = """
import sys
from groq_magic import client, services
services.use_sandbox(sys.argv[1])
asked = [f"[[echo]]{n}" for n in range(*map(int, sys.argv[2:]))]
print("ready", flush=True)
sys.stdin.readline()
answers = client.submit(asked, name="answers")
print(answers.wait(60).texts, flush=True)
"""


@pytest.mark.parametrize("second", [(0, 400), (200, 600)], ids=["the same prompts", "half of the prompts"])
def test_two_processes_at_one_moment_ask_each_prompt_once(second: tuple[int, int], tmp_path: Path) -> None:
    """Two notebooks run at one moment have all their answers, and what both ask for is asked once."""
    env = os.environ | {"GROQ_MAGIC_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    with sandbox(tmp_path / "store", "--pace", "0.5") as url, contextlib.ExitStack() as running:
        started = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", AT_ONCE, url, *map(str, rows)],
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for rows in ((0, 400), second)
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate(timeout=90) for process in started]
        assert said == [(f"{[str(n) for n in range(*rows)]}\n", "") for rows in ((0, 400), second)]
        key = {"authorization": f"Bearer {KEY}"}
        listed = httpx.get(f"{url}/openai/v1/batches", headers=key).json()["data"]
        assert sum(batch["request_counts"]["total"] for batch in listed) == second[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_starts_anew(tmp_path: Path) -> None:
    """After a fork both processes can send: the child with a ledger, a loop and connections of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        env={**os.environ, "GROQ_MAGIC_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert sorted(done.stdout.splitlines()) == [
        "child ['before'] ['child']",
        "parent ['before'] ['parent']",
    ]
