"""Bad input, cell by cell: one clear line of what, where and what to type; nothing sent or rebound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groq_magic import shards
from tests.test_magics import Notebook, notebook, one_shell

__all__ = ["notebook", "one_shell"]  # fixtures

SETUP = r"""
%%groq_batch answers
[[echo]]earlier
"""
VARIABLES = r"""
import enum
import pandas as pd
df = pd.DataFrame({"text": ["a", "b", None], "Review Text": ["x", "y", "z"], "id": ["1", "1", "2"]})
twice = pd.DataFrame([["a", "b"]], columns=["text", "text"])
talk = [{"role": "user", "content": "hi"}]
robot = [{"role": "robot", "content": "hi"}]
seven = [{"role": "user", "content": 7}]
coded = [{"role": "user", "content": b"hi"}]
def half():
    yield "a"
    raise OSError("the line is cut")
def endless():
    while True:
        yield "a"
def mixed():
    yield "a"
    yield {"prompt": "b"}
def line(**body):
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": talk, **body}}
used_up = iter([])
"""
ACCEPTED = "Prompts come from texts, conversations or rows: in a list, a dict, a frame, a file or a generator"
CHAT = "https://console.groq.com/docs/api-reference#chat-create"
REFUSED = "https://console.groq.com/docs/openai"
SEVERAL = (
    "n is 2; Groq takes 1 alone and answers any other with 400: leave it out; `samples` asks a prompt "
    "several "
    f"times ({REFUSED})"
)

BAD = {
    # the source
    "--from []": "`[]` is empty: there is nothing to send",
    "--from {}": "`{}` is empty: there is nothing to send",
    "--from df[df.text == 'none']": "`df[df.text == 'none']` is empty: there is nothing to send",
    "--from used_up": "`used_up` gives nothing to send: it is empty, or was read before: it can be read only "
    "once, so make it anew",
    "--from 'a prompt'.strip()": "`'a prompt'.strip()` is one text: put it in a list: ['a prompt'.strip()]",
    "--from talk": "`talk` is one conversation: wrap it: [talk]",
    "--from talk[0]": "`talk[0]` is one message: write [[talk[0]]] for one conversation",
    "--from reviews.csv": "--from reviews.csv: name 'reviews' is not defined; a file goes in quotes: --from "
    '"reviews.csv"',
    "--from await df": "--from await df: leave out `await`, it is awaited for you",
    "--from df --template template": "--template template: `template` is a variable: its value is --template "
    '@template; the word itself: --template "template"',
    "--from df --template @template --system $tone": "--system $tone: `tone` is a variable: its value "
    "is --system "
    '@tone; the word itself: --system "$tone"',
    "--from df --template '{{ df.text }}'": "the template, line 1: `df` is the source itself, whose "
    "columns go by "
    "their names: `{{ text }}`",
    "df2 --from df": "two names, answers and df2: as the source: `--from df2`; a text with spaces goes "
    "in quotes",
    "--from nowhere": "--from nowhere: name 'nowhere' is not defined",
    "--from df.loc[9]": "--from df.loc[9]: KeyError: 9",
    "--from half()": "`half()` raised OSError: the line is cut (after 1 item, in `half` line 11); "
    "nothing was "
    "sent",
    "--from endless()": "`endless()` gave more than 5,000 prompts: is it endless? If it is not: "
    "`%config GroqMagics.max_prompts = 50000`, or `submit(…, max_prompts=…)`. Nothing was sent",
    "--from mixed()": "row 1 of `mixed()` is a dict, not a text, as row 0 is",
    "--from ['a', 7]": "row 1 of `['a', 7]` is an int, not a text: `str(x)` makes one",
    "--from ['a', b'b']": "row 1 of `['a', b'b']` is bytes, not a text: `.decode()` makes one",
    "--from b'bytes'.strip()": "`b'bytes'.strip()` is a bytes, not a list of texts: `.decode()` makes a "
    "text. " + ACCEPTED,
    "--from twice": "`twice` has columns of the same name: `text` is there twice; rename one",
    "--from df": "`df` has no column `prompt` or `messages` (it has: text, Review Text, id): write the "
    "prompt "
    "as a template: Classify: {{ id }}",
    # files
    '--from "none.csv"': "no file `none.csv` in {cwd}",
    '--from "review.csv"': "no file `review.csv` in {cwd}, did you mean `reviews.csv`?",
    '--from "empty.csv"': "`empty.csv` is empty: there is nothing to send",
    '--from "broken.jsonl"': "line 3 of `broken.jsonl` is no JSON: Input data was truncated",
    '--from "df"': "no file `df` in {cwd}; a Python expression stands without quotes: --from df",
    # prompts
    "--from ['a', ' ']": "row 1 of `['a', ' ']` is an empty prompt: fill it or leave it out",
    "--from ['a', '\\ud800']": "row 1 holds half a character (a lone surrogate), which cannot be sent: "
    'text.encode("utf-8", "replace").decode() takes it out',
    "--from ['a', 'x' * 2_000_000]": "Row 1 alone is 2 MB; Groq takes files of up to 1 MB. Shorten it "
    "or split "
    "it.",
    "--from [talk, robot]": "row 1 of `[talk, robot]`: "
    f"message 0 has the role 'robot': one of system, user, assistant, tool, developer ({CHAT})",
    "--from [talk, seven]": "row 1 of `[talk, seven]`: "
    "message 0 has an int as its content: a text or a list of parts",
    "--from [talk, coded]": "row 1 of `[talk, coded]`: "
    "messages[0]['content'] is bytes, which JSON cannot hold: `.decode()` makes a text",
    # ids
    "--from df --id id --template @template": "row 1 of `df`: the id in `id` '1' is that of row 0 too; "
    "ids are "
    "unique",
    "--from {1: 'a'}": "row 0 of `{1: 'a'}`: the key 1 is an int; ids are texts: "
    "{str(k): v for k, v in {1: 'a'}.items()}",
    "--from df --id idd --template @template": "`df` has no column `idd`, did you mean `id`?; it has: text, "
    "Review Text, id",
    # templates
    "--from df --template @missing": "column `text` of `df` has 1 missing value (row 2): fill them; "
    "leave them out: "
    "df.dropna(subset=['text']); or leave their rows unsent: `--missing skip`",
    "--from df --template 'same for all'": "the template uses nothing of the row, so it would send the same "
    "prompt for every row; write what differs: Classify: {{ id }}",
    "--from df --template '{{ txt }}'": "the template, line 1: `txt` is unknown, did you mean `text`?; "
    "`df` has: "
    "text, Review Text, id, row, index",
    "--from df --template @template --system '{{ tone }}'": "the system message, line 1: `tone` is a "
    "variable of the notebook: write `vars.tone`",
    # options
    "--from ['a'] --extra {'top_p': float('nan')}": "extra['top_p'] is nan, which JSON does not have: "
    "None is its null.",
    "--from ['a'] --extra {'stream': True}": "extra: stream is True; the answers of a batch come in a "
    "file, not "
    "in a stream: leave it out (https://console.groq.com/docs/batch).",
    "--from ['a'] --extra {'n': 2}": f"extra: {SEVERAL}.",
    "--from ['a'] --extra {'logprobs': True}": "extra: logprobs is True; Groq answers it with 400: leave it "
    f"out ({REFUSED}).",
    # request lines
    "--from [line(), line()]": "row 1 of `[line(), line()]`: the custom_id 'a' is that of row 0 too; ids are "
    "unique",
    "--from [line(n=2)]": f"row 0 of `[line(n=2)]`: {SEVERAL}",
    "--from [line(file='a.mp3')] --temperature 0.5": "`[line(file='a.mp3')]` holds whole request lines, "
    "which are "
    "sent as they are: leave out temperature",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_changes_nothing(
    notebook: Notebook, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong, where, and what to type; no batch, no file, and the variable keeps its answers."""
    monkeypatch.setattr(shards, "MAX_BYTES", 1_000_000)
    Path("reviews.csv").write_text("text\na\n")
    Path("empty.csv").touch()
    Path("broken.jsonl").write_text('"a"\n\n{"prompt": \n')
    notebook.ok(SETUP.strip())
    notebook.ok(VARIABLES)
    notebook.variables["template"] = "{{ row['Review Text'] }}"
    notebook.variables["missing"] = "{{ text }}"
    notebook.variables["tone"] = "kind"
    notebook.ok("%config GroqMagics.max_prompts = 5000")
    held = notebook.variables["answers"]
    assert notebook.refusal(f"%groq_batch answers {line}") == BAD[line].replace("{cwd}", str(tmp_path))
    assert notebook.variables["answers"] is held


def test_a_frame_is_not_overwritten(notebook: Notebook) -> None:
    """A DataFrame as NAME was meant as the source."""
    notebook.ok(VARIABLES)
    assert notebook.refusal("%groq_batch df --from ['a']") == (
        "`df` is a DataFrame (3 × 3) and is not overwritten. As the source: `--from df`; else choose another "
        "name, or `del df` first."
    )


def test_a_broken_line_of_a_file_is_named_as_an_editor_counts(notebook: Notebook) -> None:
    """The number is the line's in the file, blank lines counted."""
    Path("rows.jsonl").write_text(json.dumps({"prompt": "a"}) + "\n\n\n{\n")
    assert notebook.refusal('%groq_batch answers --from "rows.jsonl"').startswith(
        "line 4 of `rows.jsonl` is no"
    )
