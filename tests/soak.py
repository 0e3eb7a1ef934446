"""Kills a client some hundred times at random moments, among faults, and counts what was lost or paid twice.

    python tests/soak.py [--kills 300] [--seed 1]

Each set of prompts is cut into files of its own size, grows from one kill to the next, and is asked once or
twice a prompt; or half of it repeats the other half, and equal prompts are sent once. Run by hand; takes ten
seconds or so for each ten kills. Its last line is the verdict.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.sockets import arm, batches, content, disarm, sandbox  # noqa: E402 (needs the line above)

PROMPTS = 60
WORKER = """
import json, sys
from pathlib import Path
from groq_magic import client, pipeline, prompts, services, settings
pipeline.SURE_AFTER_S = 0.5
url, asked, how, out = sys.argv[1:]
services.use_sandbox(url)
source = prompts.from_source(json.loads(asked))
print("go", flush=True)
answers = client.send(source, settings.Settings(**json.loads(how)), name="answers")
Path(out).write_text(json.dumps(answers.wait(90).texts))
"""
FAULTS: list[dict[str, Any]] = [
    {"fault": "accepted_500"},
    {"fault": "reset"},
    {"fault": "reset_reply"},
    {"fault": "truncate"},
    {"fault": "garbage", "on": "POST /batches"},
    {"fault": "garbage", "on": "GET /files/*/content"},
    {"fault": "garbage", "on": "GET /batches*"},
    {"fault": "reset", "on": "POST /batches"},
    {"fault": "reset_reply", "on": "POST /batches"},
    {"fault": "reset_reply", "on": "GET /batches*"},
    {"fault": "refuse", "status": 503, "on": "GET /batches*", "times": 2},
    {"fault": "refuse", "status": 503, "on": "POST /*"},
    {"fault": "rate_limit", "on": "* *", "seconds": 0.1},
    {"fault": "slow", "on": "POST /*", "seconds": 0.5},
]


class Soak:
    """The rounds: a set of prompts each, killed a few times and then left to its end."""

    def __init__(self, url: str, home: Path, seed: int) -> None:
        self._url, self._home, self._chance = url, home, random.Random(seed)
        self.kills = self.rounds = self.asked = self.lost = 0
        self.wanted: collections.Counter[str] = collections.Counter()  # how often each is to be answered

    def round(self) -> None:
        """One set of prompts, until every one has its answer."""
        self.rounds += 1
        unique, samples = self._chance.choice([(False, 1), (False, 2), (True, 1)])
        kinds = PROMPTS // 2 if unique else PROMPTS
        asked = [f"[[echo]]{self.rounds} {n % kinds}" for n in range(PROMPTS)]
        how = {"shard_rows": self._chance.choice([7, 20, 60]), "samples": samples, "unique": unique}
        out = self._home / f"answers-{self.rounds}.json"
        size = PROMPTS // 2
        for _ in range(self._chance.randint(2, 8)):
            for fault in self._chance.sample(FAULTS, self._chance.choice([0, 0, 1, 2])):
                arm(self._url, **fault)
            size = self._chance.randint(size, PROMPTS)
            self.kills += self._killed(asked[:size], how, out)
        disarm(self._url)
        out.unlink(missing_ok=True)
        self._client(asked, how, out).wait(120)
        wanted = [prompt.removeprefix("[[echo]]") for prompt in asked for _ in range(samples)]
        found = json.loads(out.read_text()) if out.exists() else [None] * len(wanted)
        self.asked += len(wanted)
        self.wanted.update(dict.fromkeys(wanted, samples))
        self.lost += sum(text != want for text, want in zip(found, wanted, strict=True))

    def _killed(self, asked: list[str], how: dict[str, Any], out: Path) -> bool:
        process = self._client(asked, how, out)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(self._chance.uniform(0, 1.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        finally:
            process.stdout.close()
        return False

    def _client(self, asked: list[str], how: dict[str, Any], out: Path) -> subprocess.Popen[str]:
        env = os.environ | {"GROQ_MAGIC_HOME": str(self._home / "ledger"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", WORKER, self._url, json.dumps(asked), json.dumps(how), str(out)]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def paid(url: str) -> collections.Counter[str]:
    """For each prompt, how many answers the sandbox has given, in all batches there are."""
    found: collections.Counter[str] = collections.Counter()
    for batch in batches(url):
        if batch["output_file_id"] is not None:
            for row in content(url, batch["output_file_id"]).split("\n")[:-1]:
                body = json.loads(row)["response"]["body"]
                found[body["choices"][0]["message"]["content"]] += 1
    return found


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, sandbox(Path(folder) / "store", "--pace", "0.4") as url:
        soak = Soak(url, Path(folder), args.seed)
        while soak.kills < args.kills:
            soak.round()
            print(f"{soak.kills} kills, {soak.asked} prompts, {soak.lost} lost", flush=True)
        doubled = sum((paid(url) - soak.wanted).values())
    took = time.monotonic() - began_at
    print(f"{soak.kills} kills, {soak.asked:,} prompts, {took:.0f} s: {soak.lost} lost, {doubled} doubled")


if __name__ == "__main__":
    main()
