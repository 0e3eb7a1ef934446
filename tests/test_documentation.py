"""README tells the truth: its blocks run, its tables are generated."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from groq_magic.magics import options
from groq_magic.prompts.kinds import sources_markdown
from groq_magic.sandbox import faults
from tests.kernel import Kernel

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """README's blocks of this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_shell_lines_are_the_two_commands() -> None:
    """README begins with the command that shows it and the command that tests it, and has no third."""
    assert README.count("\npip install -e ") == 2
    assert blocks("sh")[0].splitlines() == [
        'pip install -e ".[demo]" && groq-magic demo',
        'pip install -e ".[test]" && pytest',
    ]


def test_readme_holds_the_table_of_options() -> None:
    """README's options are those of the one table."""
    found = re.search(r"<!-- options -->\n(.*)<!-- /options -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == options.options_markdown().strip()


def test_readme_holds_the_table_of_sources() -> None:
    """README's sources are those of the one table."""
    found = re.search(r"<!-- sources -->\n(.*)<!-- /sources -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == sources_markdown()


def test_readme_holds_the_tables_of_faults() -> None:
    """README's marks and faults are those of the sandbox's one table."""
    tables = {
        "marks": [f"| `{mark}` | {says} |" for mark, says in faults.MARKS.items()],
        "faults": [f"| `{name}` | `{on}` | {says} |" for name, (on, says) in faults.REQUESTS.items()],
    }
    for name, rows in tables.items():
        found = re.search(rf"<!-- {name} -->\n(.*)<!-- /{name} -->", README, re.DOTALL)
        assert found is not None
        assert found[1].splitlines()[2:] == rows


def test_every_option_and_verb_of_readme_exists() -> None:
    """README names no option and no verb that cannot be typed."""
    flags = set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", " ".join(re.findall(r"%%?groq_batch[^`\n]*", README)))
    )
    assert flags <= {option.flag for option in options.OPTIONS}
    verbs = set(re.findall(r"%groq (\w+)", README))
    assert verbs == {verb.name for verb in options.VERBS}


def test_readme_names_every_verb_as_it_is_typed() -> None:
    """README's paragraph of verbs holds each verb's first words from the one table."""
    for verb in options.VERBS:
        assert f"`%groq {verb.usage.split(' [--')[0]}" in README, verb


def test_every_picture_of_readme_is_there() -> None:
    """README's pictures are files of the project."""
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


@pytest.mark.kernel
def test_the_blocks_of_readme_run(tmp_path: Path) -> None:
    """README's cells, one after the other in a kernel, all run, and what they promise holds."""
    with Kernel(sys.executable, tmp_path) as kernel:
        for cell in blocks("python"):
            result = kernel.run(cell)
            assert result.status == "ok", (cell, result.outputs)
        checks = "labels.wait(); print(answers.counts, labels['r2'].prompt, answers.failed)"
        assert kernel.run(checks).stdout == (
            "{'ok': 2} Is this review positive or negative? One word.\n\n"
            "The {blue} one is not blue. (2 stars) <Answers 'answers': 0 prompts, completed>\n"
        )
