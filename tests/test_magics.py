"""The magics in an IPython of this process: what a cell binds, says, refuses and leaves alone."""

from __future__ import annotations

import getpass
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from groq_magic import client, keys, ledger, runs, services
from groq_magic.answers import Answers
from groq_magic.errors import GroqMagicError
from groq_magic.magics import GroqMagics, groq, options
from tests import offline

SECRET = "gsk_secretSECRETsecret0123456789"
NEVER_S = 3600.0


@dataclass
class Done:
    """A cell that was run: what it wrote, and the error it ended with."""

    out: str
    error: BaseException | None
    value: Any

    @property
    def said(self) -> str:
        """The error as the user sees it; it is one paragraph and no traceback."""
        assert isinstance(self.error, GroqMagicError), (self.error, self.out)
        (line,) = self.error._render_traceback_()
        assert "\n" not in line
        assert "Traceback" not in self.out
        assert line in self.out
        return line.removeprefix(f"{type(self.error).__name__}: ")


class Notebook:
    """IPython with the extension loaded, and its variables."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell, self._capsys = shell, capsys

    @property
    def variables(self) -> dict[str, Any]:
        """The user's namespace."""
        return self.shell.user_ns

    def run(self, cell: str) -> Done:
        """Runs a cell, whatever comes of it."""
        self._capsys.readouterr()
        result = self.shell.run_cell(cell, store_history=False)
        out, err = self._capsys.readouterr()
        return Done(out + err, result.error_before_exec or result.error_in_exec, result.result)

    def ok(self, cell: str) -> str:
        """Runs a cell that is to succeed; what it wrote."""
        done = self.run(cell)
        assert done.error is None, done.out
        return done.out

    def refusal(self, cell: str) -> str:
        """Runs a cell that is to be refused; its one paragraph. No variable and no batch came of it."""
        before = dict(self.variables), len(ledger.current().jobs())
        said = self.run(cell).said
        assert (dict(self.variables), len(ledger.current().jobs())) == before
        return said

    def texts(self, name: str) -> list[str | None]:
        """The texts of a variable, waited for."""
        return offline.ended(self.variables[name]).texts


@pytest.fixture(scope="module")
def one_shell() -> Iterator[InteractiveShell]:
    """One IPython for the whole file: a notebook below is a fresh namespace in it."""
    with offline.ipython() as shell:
        yield shell


@pytest.fixture
def notebook(
    one_shell: InteractiveShell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Notebook]:
    """A notebook in an empty folder: no key, no ledger, no variables; the sandbox is in place of Groq."""
    monkeypatch.chdir(tmp_path)
    with offline.home(tmp_path / "home"):
        one_shell.reset(new_session=False)
        one_shell.config.pop("GroqMagics", None)  # what `%config` was told in the test before
        opened = Notebook(one_shell, capsys)
        opened.ok("%load_ext groq_magic")
        offline.sandbox(0)
        yield opened
        one_shell.run_cell("%unload_ext groq_magic")


# --- what a cell binds ----------------------------------------------------------------------------------


def test_the_cell_names_the_variable_that_fills(notebook: Notebook) -> None:
    """`%%groq_batch NAME` binds an Answers at once and fills it; without NAME it is `answers`."""
    notebook.ok("%%groq_batch colours\n[[echo]]red\n[[echo]]blue")
    notebook.ok("%%groq_batch\n[[echo]]one")
    assert isinstance(notebook.variables["colours"], Answers)
    assert notebook.texts("colours") == ["red", "blue"]
    assert notebook.texts("answers") == ["one"]
    assert notebook.variables["colours"].name == "colours"


def test_a_cell_saves_its_answers_where_it_says(notebook: Notebook, tmp_path: Path) -> None:
    """`--save` takes a word, a text in quotes and the value of a variable; a dry run says what is there."""
    notebook.ok("from pathlib import Path; where = Path('a path.jsonl'); text = 'text.csv'; number = 3")
    for typed in ("plain.csv", '"in quotes.parquet"', "@where", "@text"):
        out = notebook.ok(f"%%groq_batch answers --wait --save {typed}\n[[echo]]a\n[[echo]]b")
        assert "Saved in " in out
    saved = ["a path.jsonl", "in quotes.parquet", "plain.csv", "text.csv"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == saved
    runs.leave().result(30)
    offline.sandbox(0.001)  # another one
    out = notebook.ok("%%groq_batch b --dry-run --save plain.csv\n[[echo]]a\n[[echo]]b\n[[echo]]c")
    assert out.startswith("Would send 1 prompt in 1 file")
    assert " 2 answers would be read from plain.csv." in out
    assert notebook.refusal("%%groq_batch b --save @number\nx") == (
        "--save @number: the variable holds an int; --save needs a text"
    )
    assert notebook.refusal("%%groq_batch b --save here.xlsx\nx") == (
        "Answers are saved as .jsonl, .csv or .parquet, not as 'here.xlsx': --save answers.csv"
    )


def test_options_in_the_body_are_no_prompts(notebook: Notebook) -> None:
    """A line that was meant to continue the magic's is not sent for every row."""
    said = notebook.refusal("%%groq_batch a --from ['x']\n--max-tokens 20\n{{ item }}")
    assert said == (
        "The body begins with --max-tokens: options stand on the magic's line, which a \\ at its end "
        "continues on the next."
    )


def test_a_dry_run_says_that_it_used_the_source_up(notebook: Notebook) -> None:
    """What can be read only once is to be made anew before it is sent."""
    said = notebook.ok("%groq_batch a --from (x for x in ['a', 'b']) --dry-run")
    assert "Nothing was sent. The source was read for this: make it anew." in said
    assert "make it anew" not in notebook.ok("%groq_batch a --from ['a', 'b'] --dry-run")


def test_the_line_form_takes_prompts_from_a_variable(notebook: Notebook) -> None:
    """`%groq_batch NAME --from EXPR` sends what the expression holds."""
    notebook.ok("prompts = ['[[echo]]a', '[[echo]]b', '[[echo]]c']")
    notebook.ok("%groq_batch found --from prompts[1:]")
    assert notebook.texts("found") == ["b", "c"]


def test_a_line_without_a_name_returns_the_answers(notebook: Notebook) -> None:
    """`labels = %groq_batch --from EXPR` gives the Answers to the assignment and binds nothing itself."""
    notebook.ok("labels = %groq_batch --from ['[[echo]]x']")
    assert notebook.texts("labels") == ["x"]
    assert "answers" not in notebook.variables


def test_the_body_is_a_template_for_the_rows_of_the_source(notebook: Notebook) -> None:
    """With --from the whole body is filled for each row, and NAME's frame has the source's columns."""
    notebook.variables["df"] = pd.DataFrame({"city": ["Rome", "Oslo"], "n": [1, 2]})
    notebook.ok("suffix = '!'")
    notebook.ok("%%groq_batch said --from df\n[[echo]]{{ city }}{{ vars.suffix }}\n---\n{{ n }}")
    assert notebook.texts("said") == ["Rome!\n---\n1", "Oslo!\n---\n2"]
    assert list(notebook.variables["said"].to_pandas()["city"]) == ["Rome", "Oslo"]


@pytest.mark.parametrize(
    ("line", "body", "texts"),
    [
        ("--raw", "[[echo]]{{ word }} {% if %}", ["{{ word }} {% if %}"]),
        ("", "[[echo]]{{ word }} {single} $word {#", ["sun {single} $word {#"]),
        ("--lines", "[[echo]]a:\n  [[echo]]b", ["a:", "b"]),
        ("", "[[echo]]a\nb\n---\n[[echo]]c", ["a\nb", "c"]),
        ("", "---\n[[echo]]a:\n  b", ["a:\n  b"]),
    ],
)
def test_the_body_becomes_prompts(notebook: Notebook, line: str, body: str, texts: list[str]) -> None:
    """Lines, blocks and templates are read as the options say, and nothing else in the body is touched."""
    notebook.ok("word = 'sun'")
    notebook.ok(f"%%groq_batch said {line}\n{body}")
    assert notebook.texts("said") == texts


@pytest.mark.parametrize("system", ["$word", "{word}", "{word!r} and $$word", "{1/0}"])
def test_nothing_is_expanded_on_the_line(notebook: Notebook, system: str) -> None:
    """`$x` and `{x}` on the magic's line stay as they were typed."""
    notebook.ok("word = 'sun'")
    out = notebook.ok(f'%groq_batch --dry-run --from ["hi"] --system "{system}"')
    assert f"[system] {system}\n[user] hi" in out
    out = notebook.ok(f'%%groq_batch --dry-run --system "{system}"\nhi')
    assert f"[system] {system}\n[user] hi" in out


def test_a_variable_gives_a_text_option_its_value(notebook: Notebook) -> None:
    """`@name` on the line is the variable's value, spaces and all."""
    notebook.ok("rules = 'Be brief.\\nBe kind --always.'")
    out = notebook.ok("%%groq_batch --dry-run -s @rules\nhi")
    assert "[system] Be brief.\nBe kind --always.\n[user] hi" in out


def test_a_backslash_continues_the_line(notebook: Notebook) -> None:
    """Lines ending in a backslash belong to the magic's line, and the rest of the cell is the body."""
    cell = (
        "%%groq_batch long \\\n  --system 'S' \\\n --temperature 0 --dry-run\n[[echo]]first\n[[echo]]second"
    )
    out = notebook.ok(cell)
    assert "Would send 2 prompts" in out
    assert "[system] S\n[user] [[echo]]first" in out
    assert "first" not in notebook.refusal("%%groq_batch long \\\n --nonsense\n[[echo]]first")


def test_the_same_cell_again_binds_the_same_batch(notebook: Notebook) -> None:
    """A cell that runs twice makes one batch; the variable holds new Answers over the same rows."""
    cell = "%%groq_batch twice\n[[echo]]once"
    notebook.ok(cell)
    first = notebook.variables["twice"]
    assert notebook.texts("twice") == ["once"]
    notebook.ok(cell)
    assert notebook.variables["twice"] is not first
    assert notebook.variables["twice"].batch_ids == first.batch_ids
    assert len(ledger.current().jobs()) == 1


def test_wait_returns_when_the_batch_has_ended(notebook: Notebook) -> None:
    """With --wait the cell ends with the batch, and its last words are the finished card."""
    out = notebook.ok("%%groq_batch waited --wait\n[[echo]]over")
    assert notebook.variables["waited"].done
    assert "completed" in out
    assert out.rstrip().endswith("[[echo]]over  →  over")


def test_a_cell_that_shows_its_batch_does_not_show_it_twice(notebook: Notebook) -> None:
    """The Answers as the value of the cell that made them add nothing; in the next cell they are a table."""
    offline.sandbox(NEVER_S)
    same = notebook.ok("%groq_batch shown --from ['Show me']\nshown")
    assert "Show me" not in same
    assert same.count("SANDBOX: not a model") == 1
    assert "Show me" in notebook.ok("shown")


# --- what a name may be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1x", "'1x' is no variable name"),
        ("a-b", "'a-b' is no variable name"),
        ("'a b'", "'a b' is no variable name"),
        ("class", "'class' is a word of Python itself"),
        ("None", "'None' is a word of Python itself"),
        ("list", "'list' is a word of Python itself"),
        ("df", "`df` is a DataFrame (20,000 × 7) and is not overwritten. As the source: `--from df`"),
        ("text", "`text` is a str (5) and is not overwritten"),
        ("numbers", "`numbers` is a list (3) and is not overwritten"),
        ("pd", "`pd` is a module and is not overwritten"),
        ("nothing", "`nothing` is a NoneType and is not overwritten"),
        ("one two", "two names, one and two"),
    ],
)
def test_a_name_that_cannot_be_filled_is_refused(notebook: Notebook, name: str, said: str) -> None:
    """No identifier, a word of Python, or a variable with something else in it: refused, nothing is sent."""
    notebook.variables.update(
        df=pd.DataFrame(0, index=range(20_000), columns=list("abcdefg")),
        text="hello",
        numbers=[1, 2, 3],
        pd=pd,
        nothing=None,
    )
    assert said in notebook.refusal(f"%%groq_batch {name}\nhi")
    assert said in notebook.refusal(f"%groq_batch {name} --from ['hi']")


def test_a_name_that_held_answers_may_be_filled_again(notebook: Notebook) -> None:
    """Earlier Answers are replaced, also when they were cut from others; the older object goes on filling."""
    offline.sandbox(0.3)
    notebook.ok("%%groq_batch again\n[[echo]]1\n[[echo]]2")
    older = notebook.variables["again"]
    notebook.ok("%%groq_batch again\n[[echo]]3")
    assert notebook.texts("again") == ["3"]
    assert offline.ended(older).texts == ["1", "2"]
    notebook.ok("again = again[:1]")
    notebook.ok("%%groq_batch again\n[[echo]]4")
    assert notebook.texts("again") == ["4"]


@pytest.mark.parametrize(
    "cell",
    [
        "%%groq_batch kept --modle x\nhi",
        "%%groq_batch kept --temperature 9\nhi",
        "%%groq_batch kept\n   \n\n",
        "%%groq_batch kept\n{{ unknown }}",
        "%%groq_batch kept\n[[echo]]fine\n{{ df }}",
        "%%groq_batch kept\nOne text:\n  in two lines",
        "%groq_batch kept",
        "%groq_batch kept --from nowhere",
        "%groq_batch kept --from 1/0",
        "%groq_batch kept --from []",
        "%groq_batch kept --from ['fine', '']",
        "%groq_batch kept --from ['fine', chr(0xdc00)]",
        "%groq_batch kept --from ['a'] --id n",
        "%groq_batch kept --from df",
        "%%groq_batch kept --from df\nthe same for all",
        "%%groq_batch kept --from df --lines\n{{ n }}",
        "%%groq_batch kept --id n\nhi",
        "%%groq_batch kept --extra {'model':'x'}\nhi",
        "%%groq_batch kept --extra {'stop':object()}\nhi",
    ],
)
def test_after_any_mistake_the_old_value_stays(notebook: Notebook, cell: str) -> None:
    """A cell that is refused leaves its variable, all others and the ledger as they were."""
    offline.sandbox(NEVER_S)
    notebook.ok("%%groq_batch kept\nold")
    notebook.variables["df"] = pd.DataFrame({"n": [1, 2]})
    old = notebook.variables["kept"]
    notebook.refusal(cell)
    assert notebook.variables["kept"] is old
    assert old.counts == {"pending": 1}


# --- what it only says ----------------------------------------------------------------------------------


def test_a_dry_run_sends_nothing_and_binds_nothing(notebook: Notebook) -> None:
    """`--dry-run` says how much would go where, and the first prompt; no ledger entry, no variable."""
    notebook.ok("%config GroqMagics.shard_rows = 2")
    before = dict(notebook.variables)
    out = notebook.ok("%%groq_batch never --dry-run --model openai/gpt-oss-120b\nfirst of all\nsecond\nthird")
    assert re.search(
        r"Would send 3 prompts in 2 files \(\d+ bytes, very roughly \d+ tokens\) "
        r"to openai/gpt-oss-120b at the sandbox; .*window '24h'\. Nothing was sent\.",
        out,
    )
    assert out.endswith("The first one:\n[user] first of all\n")
    assert dict(notebook.variables) == before
    assert ledger.current().jobs() == []
    assert list((ledger.current().home / "jobs").iterdir()) == []


def test_a_dry_run_says_what_it_would_cost(notebook: Notebook) -> None:
    """The cost stands under the rest, with what it assumes; so does a warning, or the limit that stops it."""
    out = notebook.ok("%%groq_batch never --dry-run\n" + "x" * 400)
    line = out.split("\n")[1]
    # 100 tokens asked and 350 answered: (100 × $0.0375 + 350 × $0.15) a million, $0.00005625.
    assert line == (
        "Cost: nothing is paid here; at Groq about $0.0001 in a batch (under $0.0001 to $0.0002), $0.0001 on "
        "demand; assuming 350 tokens an answer."
    )
    out = notebook.ok("%%groq_batch never --dry-run --max-tokens 20\nhi")
    assert "with 20 tokens at most, thinking included, answers may be cut off or empty." in out
    out = notebook.ok("%%groq_batch never --dry-run --max-cost 0.00001\nhi")
    assert "more than the limit of $0.00001" in out
    assert "Cost:" not in notebook.ok("%%groq_batch a --wait\n[[echo]]a") + notebook.ok(
        "%%groq_batch a --dry-run\n[[echo]]a"
    )


def test_a_cell_above_its_limit_sends_nothing(notebook: Notebook) -> None:
    """`--max-cost` takes a number or a variable; NAME and ledger stay, and the refusal says what to type."""
    cell = "%%groq_batch dear --max-cost {}\n" + "[[echo]]" + "x" * 400
    said = notebook.refusal(cell.format(0))
    assert said.startswith("At Groq this would cost about $0.0001 in a batch")
    assert "`--max-cost 0.0001`" in said
    notebook.ok("little = 0.00001")
    assert notebook.refusal(cell.format("@little"))
    notebook.ok(cell.format(0.0001))
    assert notebook.texts("dear") == ["x" * 400]
    for wrong in ("-1", "nan", "much"):
        assert "--max-cost needs a number from 0 on" in notebook.refusal(cell.format(wrong))


def test_the_limit_of_all_cells_is_a_setting(notebook: Notebook) -> None:
    """`%config GroqMagics.max_cost` is 5 USD, holds where money is at stake, and yields to the cell's own."""
    assert notebook.run("%config GroqMagics.max_cost").value == 5.0
    services._chosen = replace(services.current(), id=keys.GROQ, base_url=keys.GROQ)
    notebook.ok("%config GroqMagics.max_cost = 0.00001")
    assert "more than the limit of $0.00001" in notebook.refusal("%%groq_batch dear\n[[echo]]a")
    notebook.ok("%%groq_batch dear --max-cost 1 --max-tokens 1\n[[echo]]abcdefgh")
    assert notebook.texts("dear") == ["abcd"]
    assert "more than the limit of $0.00001" in notebook.run("%groq retry dear --max-tokens 5000").said
    assert notebook.texts("dear") == ["abcd"]
    notebook.ok("%groq retry dear --max-tokens 5000 --max-cost 1")
    assert notebook.texts("dear") == ["abcdefgh"]
    assert notebook.variables["dear"].cost.paid > 0


def test_a_dry_run_needs_neither_key_nor_network(notebook: Notebook) -> None:
    """Without a key `--dry-run` says that there is none yet; with one it asks nobody."""
    services.use_groq()
    assert "at nowhere yet (no key was found)" in notebook.ok("%%groq_batch never --dry-run\nhi")
    notebook.shell.run_line_magic("env", f"GROQ_BASE_URL={closed_port()}")
    notebook.shell.run_line_magic("env", "GROQ_API_KEY=gsk_unused")
    assert "at 127.0.0.1:" in notebook.ok("%%groq_batch never --dry-run\nhi")


def test_help_lists_options_and_verbs(notebook: Notebook) -> None:
    """`--help`, `%groq help` and `?` show the same text, and bind and send nothing."""
    before = dict(notebook.variables)
    shown = {notebook.ok(cell) for cell in ("%groq_batch --help", "%%groq_batch x -h\nhi", "%groq help")}
    (text,) = shown
    for asked in ("%groq?", "%groq_batch?", "%%groq_batch?"):
        about = notebook.shell.object_inspect(asked.rstrip("?"))["docstring"]
        assert about.split() == text.split(), asked
    assert all(f"{option.flag} " in text for option in options.OPTIONS)
    assert all(re.search(rf"  %groq {re.escape(verb.usage)}\s", text) for verb in options.VERBS)
    assert "%groq attach [ID|OLDNAME] [NAME]" in text
    assert dict(notebook.variables) == before


def test_retry_mends_what_was_cut_off(notebook: Notebook) -> None:
    """`%groq retry NAME --max-tokens N` fills the variable in place, or says that nothing is to be done."""
    notebook.ok("%%groq_batch words --max-tokens 1 --wait\n[[echo]]abcdefgh\n[[echo]]ab")
    assert notebook.variables["words"].texts == ["abcd", "ab"]
    notebook.ok("%groq retry words --max-tokens 50")
    assert notebook.variables["words"].wait(10).texts == ["abcdefgh", "ab"]
    assert "Nothing of words was sent: every prompt has its answer." in notebook.ok("%groq retry words")


def test_forget_leaves_nothing_here_and_pays_nothing_again(notebook: Notebook) -> None:
    """After `%groq forget NAME` name and files are gone; the same cell finds its batch at the service."""
    cell = "%%groq_batch words --wait\n[[echo]]a\n[[echo]]b"
    notebook.ok(cell)
    words = notebook.variables["words"]
    folder, batches = ledger.current().folder(words.job_id), words.batch_ids
    assert "pay nothing; --take 2 asks anew" in notebook.ok("%groq forget words")
    assert ("words" in notebook.variables, folder.exists()) == (False, False)
    notebook.ok(cell)
    assert (notebook.variables["words"].texts, notebook.variables["words"].batch_ids) == (["a", "b"], batches)


def test_what_others_use_is_not_forgotten(notebook: Notebook) -> None:
    """A batch whose answers a larger one has is kept, and what runs is kept; each says why."""
    notebook.ok("%%groq_batch words --wait\n[[echo]]a")
    notebook.ok("%%groq_batch more --wait\n[[echo]]a\n[[echo]]b")
    assert "Its answers are also those of more" in notebook.refusal("%groq forget words")
    notebook.ok("%groq sandbox --fresh")
    notebook.ok("%%groq_batch slow\n[[slow]]a")
    assert "wait for it or cancel it first" in notebook.refusal("%groq forget slow")
    assert notebook.variables["more"].texts == ["a", "b"]


def test_a_second_take_is_another_set_of_answers(notebook: Notebook) -> None:
    """`--take 2` asks the same prompts once more, and only once."""
    batches = []
    for take in ("", "--take 2", "--take 2"):
        notebook.ok(f"%%groq_batch words --wait {take}\n[[echo]]a")
        batches.append(notebook.variables["words"].batch_ids)
    assert batches[0] != batches[1] == batches[2]
    assert "--take needs a whole number from 1 to" in notebook.refusal(
        "%%groq_batch words --take 0\n[[echo]]a"
    )


@pytest.mark.parametrize(
    "verb", ["batches", "wait", "cancel", "retry", "attach", "models", "key", "sandbox", "forget", "help"]
)
def test_every_verb_is_there(notebook: Notebook, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each verb that the help names is one that `%groq` does."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "")
    done = notebook.run(f"%groq {verb}")
    assert done.error is None or "Which one?" in done.said
    assert groq.VERBS.keys() == {"", *(verb.name for verb in options.VERBS)}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%groq status", "type `%groq batches`"),
        ("%groq list", "type `%groq batches`"),
        ("%groq stop waiting", "type `%groq cancel waiting`"),
        ("%groq login", "type `%groq key`"),
        ("%groq model", "type `%groq models`"),
        ("%groq models all", "Not understood: all. It is just %groq models"),
        ("%groq key mine", "A key does not stand on the line"),
        ("%groq cancle waiting", "type `%groq cancel waiting`"),
        ("%groq wait", "Which one? %groq wait NAME [--timeout S]. You hold: waiting."),
        ("%groq wait waitin", "`waitin` holds no batch. Did you mean waiting?"),
        ("%groq wait df", "`df` holds no batch. %groq attach brings back what this notebook had."),
        ("%groq wait waiting --timeout soon", "--timeout takes seconds, not 'soon'"),
        ("%groq wait waiting --timeout", "--timeout takes seconds, not ''"),
        ("%groq cancel", "Which one? %groq cancel NAME|ID [--anyway]. You hold: waiting."),
        ("%groq retry", "Which one? %groq retry NAME [--max-tokens N]"),
        ("%groq retry waiting", "wait for it, or run its cell again"),
        ("%groq retry waiting --take 2", "--take is not for a retry, which asks the same prompts"),
        ("%groq again waiting", "type `%groq retry waiting`"),
        ("%groq attach nobody", "The ledger knows no job 'nobody': %groq batches lists what it knows."),
        ("%groq attach waiting df", "`df` is an int and is not overwritten"),
        ("%groq attach waiting two names", "Too many words: %groq attach [ID|OLDNAME] [NAME]"),
        ("%groq batches all", "Not understood: all. It is just %groq batches"),
        ("%groq sandbox on", "'on' is no base URL"),
        (
            "%groq sandbox https://api.groq.com/openai/v1",
            "is Groq itself: %groq sandbox off sends prompts there",
        ),
        ("%groq sandbox --new", "Not understood: --new. %groq sandbox [URL|off] [--fresh]"),
        ("%groq sandbox http://127.0.0.1:1 --fresh", "--fresh is for the sandbox in this kernel"),
    ],
)
def test_a_near_miss_is_answered_with_what_to_type(notebook: Notebook, line: str, said: str) -> None:
    """A wrong verb, name or value is one paragraph that names the right one, and does nothing."""
    offline.sandbox(NEVER_S)
    notebook.ok("%%groq_batch waiting\nfor ever")
    notebook.variables["df"] = 1
    assert said in notebook.refusal(line)
    assert notebook.variables["waiting"].counts == {"pending": 1}


# --- the verbs ------------------------------------------------------------------------------------------


def test_batches_lists_everything_on_the_ledger(notebook: Notebook) -> None:
    """`%groq batches` has a line for each batch, newest first, with what to type to take it up."""
    assert "No batches yet" in notebook.ok("%groq batches")
    notebook.ok("%%groq_batch one\n[[echo]]1")
    notebook.ok("%%groq_batch two\n[[echo]]1\n[[echo]]2")
    offline.ended(notebook.variables["one"])
    offline.ended(notebook.variables["two"])
    lines = notebook.ok("%groq batches").splitlines()
    assert lines[0].split() == ["name", "age", "status", "prompts", "cost", "where", "to", "take", "it", "up"]
    assert [line.split()[0] for line in lines[1:]] == ["two", "one"]
    assert re.fullmatch(
        r"one +\d+ s +completed +1: 1 answered +free +SANDBOX: not a model +%groq attach one", lines[2]
    )


def test_wait_waits(notebook: Notebook) -> None:
    """`%groq wait NAME` returns at the end, or gives up after `--timeout` seconds and says how far it is."""
    notebook.ok("%%groq_batch soon\n[[echo]]there")
    notebook.ok("%groq wait soon")
    assert notebook.variables["soon"].texts == ["there"]
    offline.sandbox(NEVER_S)
    notebook.ok("%%groq_batch late\nnever there")
    for line in ("%groq wait late --timeout 0.01", "%groq wait late --timeout=0.01"):
        said = notebook.refusal(line)
        assert said.startswith("Still running after 0.01 s: 0 of 1 answered")


def test_what_has_ended_can_be_forgotten_at_once(notebook: Notebook) -> None:
    """Whoever has waited for the end need not wait for anything more."""
    for n in range(20):
        notebook.ok(f"%%groq_batch gone --wait\n[[echo]]{n}\n")
        notebook.ok("%groq forget gone")
    assert ledger.current().jobs() == []


def test_what_was_tried_before_is_not_paid_again_and_says_so(notebook: Notebook) -> None:
    """`--try` of prompts that were asked before sends nothing, and says that."""
    notebook.ok("%%groq_batch mine --try 1\n[[echo]]a\n[[echo]]b")
    again = notebook.ok("%%groq_batch mine --try 1\n[[echo]]a\n[[echo]]b")
    assert "They were asked before: nothing was sent now; the full run reuses them." in again


def test_cancel_ends_a_batch_and_says_when_there_is_none_to_cancel(notebook: Notebook) -> None:
    """`%groq cancel NAME` stops what is under way; of a batch that ended it says so and changes nothing."""
    offline.sandbox(5)
    notebook.ok("%%groq_batch stopped\nstop me")
    assert "Cancelling stopped" in notebook.ok("%groq cancel stopped")
    assert offline.ended(notebook.variables["stopped"]).counts == {"cancelled": 1}
    said = notebook.ok("%groq cancel stopped")
    assert "stopped has ended already: <Answers 'stopped': 1 prompt, cancelled: 1 cancelled>" in said


def test_a_name_that_still_holds_a_running_batch_says_that_it_is_charged(notebook: Notebook) -> None:
    """Other prompts under one name leave the first batch running; the card says so, and how to stop it."""
    offline.sandbox(20)
    notebook.ok("%%groq_batch mine\nfirst")
    first = notebook.variables["mine"]
    notebook.ok("%%groq_batch mine --plain\nsecond\nthird")
    now = offline.look(notebook.variables["mine"])
    assert now.notes == (
        "mine was another batch until now (1 prompt); that one goes on and is charged: "
        f"%groq cancel {first.job_id} stops it, --replace does so from here.",
    )
    assert not first.done
    assert f"Cancelling {first.job_id}" in notebook.ok(f"%groq cancel {first.job_id}")
    assert offline.ended(first).counts == {"cancelled": 1}
    second = notebook.variables["mine"]
    assert not second.done
    assert [named.job.job_id for named in ledger.current().named("test.ipynb")] == [second.job_id]


def test_replace_cancels_what_the_name_still_holds(notebook: Notebook) -> None:
    """With `--replace` the batch under the name is cancelled first; the same prompts are no other batch."""
    offline.sandbox(20)
    notebook.ok("%%groq_batch mine\nfirst")
    first = notebook.variables["mine"]
    notebook.ok("%%groq_batch mine --replace\nfirst")
    assert not offline.look(first).cancelling
    notebook.ok("%%groq_batch mine --replace\nsecond")
    now = offline.look(notebook.variables["mine"])
    assert now.notes == ("mine was another batch until now (1 prompt); that one is cancelled.",)
    assert offline.ended(first).counts == {"cancelled": 1}


@pytest.mark.parametrize("by", ["its name", "its job id", "its batch id", "nothing"])
def test_attach_takes_up_what_an_earlier_kernel_sent(notebook: Notebook, by: str) -> None:
    """After a restart `attach` finds a batch by name, job or batch id, and bare all this notebook had."""
    notebook.ok("%%groq_batch mine\n[[echo]]still here")
    notebook.ok("%%groq_batch other\n[[echo]]as well")
    mine = offline.ended(notebook.variables["mine"])
    batch_ids = mine.batch_ids
    offline.ended(notebook.variables["other"])
    word = {"its name": "mine", "its job id": mine.job_id, "its batch id": mine.batch_ids[0], "nothing": ""}[
        by
    ]
    notebook.ok("%unload_ext groq_magic\ndel mine, other")
    offline.restart()
    notebook.ok("%load_ext groq_magic")
    notebook.ok(f"%groq attach {word}")
    assert notebook.texts("mine") == ["still here"]
    assert notebook.variables["mine"].batch_ids == batch_ids
    assert ("other" in notebook.variables) == (by == "nothing")
    if word:
        notebook.ok(f"%groq attach {word} anew")
        assert notebook.texts("anew") == ["still here"]


def test_attach_overwrites_nothing_that_is_not_ours(notebook: Notebook) -> None:
    """Where the old name holds something else now, `attach` is refused, bare or by id, and says how else."""
    notebook.ok("%%groq_batch taken\n[[echo]]x")
    job_id = offline.ended(notebook.variables["taken"]).job_id
    notebook.ok("taken = 'mine now'")
    for line in ("%groq attach", "%groq attach taken", f"%groq attach {job_id}"):
        assert "`taken` is a str (8) and is not overwritten" in notebook.refusal(line)
    notebook.ok("%groq attach taken free")
    assert notebook.texts("free") == ["x"]


def test_attach_with_nothing_to_attach_says_so(notebook: Notebook) -> None:
    """In a notebook without batches a bare `attach` says where to look."""
    assert "This notebook has no batches yet. %groq batches" in notebook.ok("%groq attach")


def test_the_sandbox_verbs_choose_where_prompts_go(notebook: Notebook) -> None:
    """`%groq sandbox` goes on with its store, `--fresh` begins another, `off` goes back to Groq."""
    notebook.ok("%groq sandbox --fresh")
    first = services.current().id
    assert "no model, no key, no cost" in notebook.ok("%groq sandbox")
    assert services.current().id == first
    notebook.ok("%groq sandbox --fresh")
    assert services.current().id not in ("", first)
    assert "Prompts go to Groq" in notebook.ok("%groq sandbox off").replace("prompts", "Prompts")
    assert "No Groq key was found" in notebook.refusal("%%groq_batch x\nhi")


def test_a_sandbox_that_does_not_answer_changes_nothing(notebook: Notebook) -> None:
    """Where no sandbox listens at a URL, the error says how to start one, and prompts go where they went."""
    before = services.current()
    said = notebook.refusal(f"%groq sandbox {closed_port()}")
    assert "No sandbox answers at http://127.0.0.1:" in said
    assert "groq-magic sandbox" in said
    assert services.current() is before


# --- settings -------------------------------------------------------------------------------------------


def test_config_sets_the_model_and_the_size_of_files(notebook: Notebook) -> None:
    """`%config GroqMagics` sets the model used without --model, and how many prompts a file may hold."""
    notebook.ok("%config GroqMagics.model = 'openai/gpt-oss-120b'")
    notebook.ok("%config GroqMagics.shard_rows = 1")
    notebook.ok("%%groq_batch big\n[[echo]]1\n[[echo]]2")
    assert notebook.texts("big") == ["1", "2"]
    answers = notebook.variables["big"]
    assert answers[0].model == "sandbox/openai/gpt-oss-120b"
    assert len(answers.batch_ids) == 2
    notebook.ok("%%groq_batch small --model openai/gpt-oss-20b\n[[echo]]3")
    assert notebook.texts("small") == ["3"]
    assert notebook.variables["small"][0].model == "sandbox/openai/gpt-oss-20b"


@pytest.mark.parametrize("rows", ["0", "50001", "'many'"])
def test_config_refuses_sizes_that_groq_does_not_take(
    notebook: Notebook, rows: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A number of rows outside Groq's limit, or none at all, is answered at once and not taken."""
    notebook.ok(f"%config GroqMagics.shard_rows = {rows}")
    assert "'shard_rows' trait of a GroqMagics instance" in caplog.text
    assert notebook.run("%config GroqMagics.shard_rows").value == 50_000


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model = ''", "GroqMagics.model is left as it was. The model's name is empty"),
        ("model = '20b'", "Several models end in '20b': type openai/gpt-oss-20b or"),
        ("model = 5", "The 'model' trait of a GroqMagics instance expected a unicode string, not the int 5."),
        ("shard_rows = 0", "should not be less than 1, but a value of 0 was specified"),
        ("shard_rows = 'many'", "expected an int, not the str 'many'"),
        ("max_prompts = -1", "should not be less than 1"),
        ("max_cost = float('nan')", "GroqMagics.max_cost is left as it was. max_cost is nan; it is a number"),
        ("max_cost = 10**400", "GroqMagics.max_cost is left as it was. max_cost is 1000"),
        ("max_cost = -1", "GroqMagics.max_cost is left as it was. max_cost is -1; it is a number of USD"),
    ],
)
def test_a_refused_setting_is_one_line_and_breaks_nothing(
    notebook: Notebook, setting: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered at once and not taken; the extension loads again, says what it leaves out, and works."""
    name = setting.split()[0]
    before = notebook.run(f"%config GroqMagics.{name}").value
    notebook.ok(f"%config GroqMagics.{setting}")
    (record,) = caplog.records
    assert said in record.getMessage()
    assert "\n" not in record.getMessage()
    again = notebook.ok("%reload_ext groq_magic")
    assert again.startswith("One setting is not taken: ")
    assert (again.count("\n"), said in again) == (1, True)
    assert notebook.run(f"%config GroqMagics.{name}").value == before
    assert notebook.ok("%reload_ext groq_magic") == ""
    notebook.ok("%%groq_batch works --dry-run\nhi")


def test_config_shows_help_for_each_setting(notebook: Notebook) -> None:
    """`%config GroqMagics` names every setting with a line about it and its value."""
    shown = notebook.ok("%config GroqMagics")
    for name, trait in GroqMagics.class_traits(config=True).items():
        assert trait.help
        assert f"GroqMagics.{name}=<" in shown
        assert trait.help in " ".join(shown.split())


def test_a_setting_is_resolved_as_the_option_is(notebook: Notebook) -> None:
    """The end of a model's name is enough for `%config`, too, and outlives a reload."""
    notebook.ok("%config GroqMagics.model = 'gpt-oss-120b'")
    assert notebook.run("%config GroqMagics.model").value == "openai/gpt-oss-120b"
    assert notebook.ok("%reload_ext groq_magic") == ""
    assert notebook.run("%config GroqMagics.model").value == "openai/gpt-oss-120b"


def test_the_whole_name_of_a_model_is_what_is_sent_and_known_again(notebook: Notebook) -> None:
    """By option, setting and retry a model goes to the service under its whole name: one batch, not two."""
    notebook.ok("%%groq_batch one --wait -m gpt-oss-120b --max-tokens 1\n[[echo]]abcdefgh")
    notebook.ok("%%groq_batch two --wait -m openai/gpt-oss-120b --max-tokens 1\n[[echo]]abcdefgh")
    one, two = notebook.variables["one"], notebook.variables["two"]
    assert (one.batch_ids, one[0].model) == (two.batch_ids, "sandbox/openai/gpt-oss-120b")
    notebook.ok("%groq retry one --model gpt-oss-20b --max-tokens 50\none.wait()")
    assert one[0].model == "sandbox/openai/gpt-oss-20b"
    other = client.submit(["[[echo]]abcdefgh"], model="120b", max_tokens=1, take=2).wait()
    other.retry(model="gpt-oss-20b", max_tokens=60)
    assert (other.wait().texts, other[0].model) == (["abcdefgh"], "sandbox/openai/gpt-oss-20b")
    assert client.submit(["[[echo]]x"], model="gpt-oss-120b").wait()[0].model == "sandbox/openai/gpt-oss-120b"
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": "x", "messages": [{"role": "user", "content": "[[echo]]y"}]}
    notebook.variables["lines"] = [line | {"body": body}]
    notebook.ok("%groq_batch of_lines --from lines --wait -m gpt-oss-120b")
    assert notebook.variables["of_lines"][0].model == "sandbox/openai/gpt-oss-120b"
    of_lines = client.submit([line | {"body": body}], model="120b").wait()
    assert of_lines.batch_ids == notebook.variables["of_lines"].batch_ids


# --- loading and unloading ------------------------------------------------------------------------------


def test_unloading_takes_everything_away(notebook: Notebook) -> None:
    """After `%unload_ext` no magic, setting or callback of ours is left in the shell."""
    callbacks = notebook.shell.events.callbacks["pre_run_cell"]
    assert any("GroqMagics" in repr(callback) for callback in callbacks)
    notebook.ok("%unload_ext groq_magic")
    assert not any("GroqMagics" in repr(callback) for callback in callbacks)
    assert not any("GroqMagics" in repr(each) for each in notebook.shell.configurables)
    for kind in ("line", "cell"):
        assert not {"groq", "groq_batch"} & set(notebook.shell.magics_manager.magics[kind])
    assert "not found" in notebook.run("%groq batches").out


def test_it_can_be_loaded_again(notebook: Notebook) -> None:
    """Unloaded and loaded, reloaded, or loaded twice, the magics work and `%config` sets the ones in use."""
    notebook.ok("%unload_ext groq_magic")
    notebook.ok("%load_ext groq_magic")
    assert "already loaded" in notebook.ok("%load_ext groq_magic")
    notebook.ok("%reload_ext groq_magic")
    callbacks = notebook.shell.events.callbacks["pre_run_cell"]
    assert sum("GroqMagics" in repr(callback) for callback in callbacks) == 1
    notebook.ok("%config GroqMagics.model = 'openai/gpt-oss-120b'")
    assert "to openai/gpt-oss-120b at" in notebook.ok("%%groq_batch x --dry-run\nhi")


def test_loading_says_what_the_notebook_has_and_sends_nothing(notebook: Notebook) -> None:
    """A fresh notebook is greeted with silence; later the line names what it had, and nothing is begun."""
    assert notebook.ok("%reload_ext groq_magic") == ""
    notebook.ok("%%groq_batch first\n[[echo]]1")
    notebook.ok("%%groq_batch second\n[[echo]]2")
    offline.ended(notebook.variables["first"])
    offline.ended(notebook.variables["second"])
    notebook.ok("%unload_ext groq_magic")
    offline.restart()
    said = notebook.ok("%load_ext groq_magic")
    assert said == (
        "This notebook has: first (completed), second (completed). Take it up again: %groq attach\n"
    )
    assert runs._runs == {}


def test_unloading_leaves_a_batch_to_be_attached_to(notebook: Notebook) -> None:
    """A batch under way while the extension is unloaded is not cancelled; attached to, it goes on."""
    offline.sandbox(1)
    notebook.ok("%%groq_batch going\n[[echo]]on")
    notebook.ok("%unload_ext groq_magic")
    notebook.ok("%load_ext groq_magic")
    notebook.ok("%groq attach going")
    assert notebook.texts("going") == ["on"]


# --- asked one by one -----------------------------------------------------------------------------------


def test_now_fills_the_variable_without_a_batch(notebook: Notebook) -> None:
    """`--now` binds NAME like any cell, and the card says at what price it asks."""
    out = notebook.ok("%%groq_batch labels --now --wait\n[[echo]]a\n[[echo]]b")
    assert notebook.texts("labels") == ["a", "b"]
    assert notebook.variables["labels"].batch_ids == []
    assert "On-demand price, twice the batch price." in out


def test_try_asks_the_first_few_shows_them_and_binds_nothing(notebook: Notebook) -> None:
    """`--try` shows the first answers and what they used; NAME and what the notebook has are untouched."""
    notebook.ok("prompts = [f'[[echo]]said {n}' for n in range(10)]")
    done = notebook.run("%groq_batch labels --from prompts --try")
    assert (done.error, done.value) == (None, None)
    assert "said 2" in done.out
    assert "said 3" not in done.out
    used = sum(job.prompts for job in ledger.current().jobs())
    assert used == 3
    assert re.search(
        r"They used \d+ tokens, and nothing is paid in the sandbox; the full run reuses them. Nothing was "
        r"bound.\n$",
        done.out,
    )
    assert "labels" not in notebook.variables
    assert client.named() == []
    notebook.ok("%groq_batch labels --from prompts")
    assert notebook.texts("labels") == [f"said {n}" for n in range(10)]
    (shard,) = ledger.current().shards(notebook.variables["labels"].job_id)
    assert shard.lines == 7


def test_try_reads_a_saved_file_and_leaves_it(notebook: Notebook, tmp_path: Path) -> None:
    """With `--try` the file of answers is looked into first, and keeps all of its rows."""
    path = tmp_path / "answers.csv"
    notebook.ok("prompts = [f'[[echo]]said {n}' for n in range(5)]")
    notebook.ok(f"%groq_batch labels --from prompts --wait --save {path}")
    content = path.read_bytes()
    notebook.ok(f"%groq_batch labels --from prompts --try 2 --save {path}")
    notebook.ok(f"%groq_batch labels --from prompts --try 2 --save {tmp_path / 'new.csv'}")
    assert [each.name for each in tmp_path.glob("*.csv")] == ["answers.csv"]
    assert path.read_bytes() == content


def test_try_leaves_a_variable_alone(notebook: Notebook) -> None:
    """What NAME holds stays there, and is not waited for or asked again."""
    notebook.ok("%%groq_batch labels\n[[echo]]a")
    before = notebook.variables["labels"]
    notebook.ok("%%groq_batch labels --try 1\n[[echo]]b\n[[echo]]c")
    assert notebook.variables["labels"] is before


def test_try_takes_all_samples_ids_and_rows_of_a_template(notebook: Notebook) -> None:
    """The first N prompts are those of the full run: with their samples, their ids and their template."""
    notebook.variables["df"] = pd.DataFrame({"key": ["a", "b", "c"], "city": ["Rome", "Oslo", "Bern"]})
    line = "--from df --id key --samples 2"
    out = notebook.ok(f"%%groq_batch said {line} --try 2\n[[echo]]{{{{ city }}}}")
    assert (out.count("Rome"), out.count("Oslo"), out.count("Bern")) == (4, 4, 0)
    notebook.ok(f"%%groq_batch said {line}\n[[echo]]{{{{ city }}}}")
    assert notebook.texts("said") == ["Rome", "Rome", "Oslo", "Oslo", "Bern", "Bern"]
    assert notebook.variables["said"]["b~2"].text == "Oslo"
    (shard,) = ledger.current().shards(notebook.variables["said"].job_id)
    assert shard.lines == 2


def test_try_says_that_it_used_the_source_up(notebook: Notebook) -> None:
    """What can be read only once is to be made anew before the full run."""
    out = notebook.ok("%groq_batch a --from (f'[[echo]]{n}' for n in range(5)) --try 2")
    assert out.endswith("Nothing was bound. The source was read for this: make it anew.\n")


def test_try_reads_no_further_than_it_asks(notebook: Notebook) -> None:
    """A prompt behind the first N that cannot be sent is no reason not to show them."""
    out = notebook.ok("%groq_batch a --from ['[[echo]]x', ' '] --try 1 --window 7d")
    assert "x" in out
    assert "empty prompt" in notebook.refusal("%groq_batch a --from ['[[echo]]x', ' ']")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--now --window 7d", "--now asks at once, and has no --window: leave one of them out."),
        ("--try --now", "--try asks only the first few, in place of --now: leave one of them out."),
        (
            "--dry-run --try 2",
            "--try asks the first few, and nothing is asked with --dry-run: leave one of them out.",
        ),
    ],
)
def test_what_cannot_be_meant_together_is_refused(notebook: Notebook, options: str, said: str) -> None:
    """Two options of which one makes the other meaningless are one line, and nothing is sent."""
    assert notebook.refusal(f"%%groq_batch a {options}\nhi") == said


def test_an_interrupt_of_a_try_says_what_goes_on(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt while the first few are waited for is one line: they are asked all the same."""

    def interrupted(self: Answers, timeout: float | None = None) -> Answers:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Answers, "wait", interrupted)
        done = notebook.run("%%groq_batch a --try 1\n[[echo]]x\n[[echo]]y")
    assert isinstance(done.error, KeyboardInterrupt)
    assert (
        "KeyboardInterrupt: only the waiting has stopped; the prompts are still asked, and the full run "
        "reuses them."
    ) in done.out
    notebook.ok("%%groq_batch a\n[[echo]]x\n[[echo]]y")
    assert notebook.texts("a") == ["x", "y"]


# --- keys -----------------------------------------------------------------------------------------------


def test_without_a_key_the_error_names_three_ways(notebook: Notebook) -> None:
    """Where no key is found the paragraph names the sandbox, `.env` and the environment; nothing is bound."""
    services.use_groq()
    for cell in ("%%groq_batch x\nhi", "%groq_batch x --from ['hi']"):
        said = notebook.refusal(cell)
        for way in ("%groq sandbox", ".env", "environment"):
            assert way in said
    assert "x" not in notebook.variables


def closed_port() -> str:
    """The URL of a loopback port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


class _Gossip(BaseHTTPRequestHandler):
    """Refuses every request, saying the key aloud."""

    def do_GET(self) -> None:
        said = f'{{"error":{{"message":"Bad key {self.headers["Authorization"]}","code":"invalid_api_key"}}}}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@pytest.fixture
def gossip() -> Iterator[str]:
    """The URL of a service that repeats the key it was given."""
    with HTTPServer(("127.0.0.1", 0), _Gossip) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def keyed(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """A notebook that sends to Groq, with a key in its environment."""
    services.use_groq()
    monkeypatch.setenv("GROQ_API_KEY", SECRET)
    return notebook


def seen_of(notebook: Notebook, name: str) -> str:
    """Everything that can be seen of a batch in a notebook: outputs, reprs, table, errors."""
    answers = notebook.variables[name]
    seen = [
        notebook.run(cell).out
        for cell in (name, f"{name}[0]", f"{name}.texts", "%groq batches", f"%groq attach {name}")
    ]
    seen += [repr(answers), repr(answers[0]), str(answers._repr_mimebundle_())]
    with suppress(GroqMagicError):
        seen.append(repr(answers[0].error))
    seen.append(repr(services.current()))
    return "\n".join(seen)


def test_no_key_is_seen_where_nobody_answers(
    keyed: Notebook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreachable service is named on the card and tried again; the key is in no output and no file."""
    caplog.set_level("DEBUG")
    monkeypatch.setenv("GROQ_BASE_URL", closed_port())
    troubled = threading.Event()
    keyed.ok("%%groq_batch lost\nhi")
    client.watch(keyed.variables["lost"], lambda s: troubled.set() if s.trouble else None)
    assert troubled.wait(30)
    said = keyed.refusal("%groq wait lost --timeout 0.01")
    out = said + keyed.ok("%groq attach lost") + seen_of(keyed, "lost") + caplog.text
    assert "No answer from 127.0.0.1:" in out
    check_no_key(out, tmp_path)


def test_no_key_is_seen_where_the_service_says_it_aloud(
    keyed: Notebook,
    gossip: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A service that repeats the key in its error is quoted without it, on screen and on disk."""
    caplog.set_level("DEBUG")
    monkeypatch.setenv("GROQ_BASE_URL", gossip)
    said = keyed.run("%%groq_batch told --wait\nhi").said
    assert "does not accept the key from GROQ_API_KEY" in said
    assert "Bad key Bearer gsk_…" in said
    check_no_key(said + seen_of(keyed, "told") + caplog.text, tmp_path)


@pytest.mark.parametrize(
    "cell",
    [
        f"%%groq_batch x --key {SECRET}\nhi",
        f"%%groq_batch x --system {SECRET} --modle y\nhi",
        f"%groq login {SECRET}",
        f"%groq key {SECRET}",
        f"%groq models {SECRET}",
        f"%groq attach {SECRET}",
        f"%groq sandbox http://{SECRET}@127.0.0.1",
        f"%groq_batch x --from {SECRET}",
    ],
)
def test_a_key_typed_by_mistake_is_not_repeated(keyed: Notebook, cell: str) -> None:
    """An error about a line that holds a key does not show the key."""
    assert SECRET not in keyed.refusal(cell)


def check_no_key(seen: str, home: Path) -> None:
    """The key is neither in what was seen nor in any file under the folder."""
    assert "secretSECRET" not in seen
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite" for path in files)
    assert [path for path in files if b"secretSECRET" in path.read_bytes()] == []
