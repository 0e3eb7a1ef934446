"""Tab on the magics' lines and in their templates. In the cells below ‸ is the cursor."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.completer import CompletionContext, position_to_cursor, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from groq_magic import ledger, prices, prompts, services
from groq_magic.errors import LedgerError
from groq_magic.magics import completion, cursor, options, variables
from groq_magic.magics.options import OPTIONS, VERBS, Option
from tests import offline
from tests.kernel import Kernel, clean_environment

NEVER_S = 3600.0
FLAGS = [option.flag for option in OPTIONS]
REVIEWS = {"text": ["Fine"], "stars": [5], "Review Text": ["Good"], "if": ["so"]}
COLUMNS = ["text", "stars", 'row["Review Text"]', 'row["if"]']
OF_ROWS = [*COLUMNS, "row", "index", "vars."]
NOT_OURS: dict[str, Any] = {"completions": []}


class Notebook:
    """IPython with the extension loaded, and what Tab does in it."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    @property
    def variables(self) -> dict[str, Any]:
        """The user's namespace."""
        return self.shell.user_ns

    def ok(self, cell: str) -> None:
        """Runs a cell that is to succeed."""
        self.shell.run_cell(cell, store_history=False).raise_error()

    def tab(self, cell: str) -> list[str]:
        """All that IPython offers in a cell, ours and others', in its order."""
        text, offset = at(cell)
        with provisionalcompleter():
            return [found.text for found in self.shell.Completer.completions(text, offset)]

    def ours(self, cell: str) -> dict[str, Any]:
        """What our matcher alone says about a cell."""
        return dict(completion._result(context(*at(cell)), self.shell))

    def offers(self, cell: str) -> list[str]:
        """What our matcher alone offers."""
        return [found.text for found in self.ours(cell)["completions"]]

    def typed(self, cell: str) -> str:
        """The cell after its only offer was taken."""
        text, offset = at(cell)
        found = self.ours(cell)
        (only,) = found["completions"]
        replaced: str = found["matched_fragment"]
        return text[: offset - len(replaced)] + only.text + text[offset:]


def at(cell: str) -> tuple[str, int]:
    """The cell without its cursor, and where that stood."""
    assert cell.count("‸") == 1
    return cell.replace("‸", ""), cell.index("‸")


def context(text: str, offset: int) -> CompletionContext:
    """What IPython tells a matcher about a place in a cell."""
    line, column = position_to_cursor(text, offset)
    return CompletionContext(token="", full_text=text, cursor_position=column, cursor_line=line, limit=500)


@pytest.fixture(scope="module")
def one_shell() -> Iterator[InteractiveShell]:
    """One IPython for the whole file: a notebook below is a fresh namespace in it."""
    with offline.ipython() as shell:
        yield shell


@pytest.fixture
def notebook(
    one_shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Notebook]:
    """A notebook in an empty folder, with a frame `df`; batches never end in its sandbox."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with offline.home(tmp_path / "home"):
        one_shell.reset(new_session=False)
        opened = Notebook(one_shell)
        opened.ok("%load_ext groq_magic")
        offline.sandbox(NEVER_S)
        opened.variables["df"] = pd.DataFrame(REVIEWS)
        yield opened
        opened.ok("%unload_ext groq_magic")


# --- options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashes", ["-", "--", "—"])
def test_dashes_alone_list_all_options(notebook: Notebook, dashes: str) -> None:
    """After one dash, two, or a word processor's, Tab offers the whole table, in its order."""
    assert notebook.offers(f"%%groq_batch answers {dashes}‸") == FLAGS


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("--m", ["--model", "--missing", "--max-tokens", "--max-cost"]),
        ("-m", ["--model", "--missing", "--max-tokens", "--max-cost"]),
        ("--max_t", ["--max-tokens"]),
        ("--MAX", ["--max-tokens", "--max-cost"]),
        ("--dry", ["--dry-run"]),
        ("--model", ["--model"]),
        ("--nonsense", []),
    ],
)
def test_an_option_completes(notebook: Notebook, typed: str, offered: list[str]) -> None:
    """What begins an option's name is completed; `_` equals `-`, and case and dashes do not count."""
    assert notebook.offers(f"%groq_batch answers {typed}‸") == offered


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("answers --model x -w 7d --wait --‸", {"--model", "--window", "--wait"}),
        ("answers --‸ --model x", {"--model"}),
        ("--‸ -s 'a --model b' --max_tokens=5", {"--system", "--max-tokens"}),
        ("--from df[df.text == ' --model '] --‸", {"--from"}),
        ("--system 'x' --‸ --from df[0] answers --raw", {"--system", "--from", "--raw"}),
        ("--model --system --‸", {"--model", "--system"}),
        ("--nonsense 3 --take=2 --wait=1 --‸", {"--take", "--wait"}),
    ],
)
def test_what_is_on_the_line_is_not_offered_again(notebook: Notebook, line: str, gone: set[str]) -> None:
    """An option that stands before or behind the cursor is left out; a text that looks like one is none."""
    assert notebook.offers(f"%%groq_batch {line}") == [flag for flag in FLAGS if flag not in gone]


def test_tab_knows_nothing_that_the_table_does_not(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option that is added to the table completes by its kind: flag, choices, expression, `@name`."""
    table = (
        Option("--colour", "-c", "red|blue", "choice", "", ("red", "blue")),
        Option("--schema", None, "TYPE", "expression", ""),
        Option("--weight", None, "W", "number", ""),
    )
    monkeypatch.setattr(cursor, "OPTIONS", table)
    monkeypatch.setattr(options, "OPTIONS", table)
    notebook.ok("class Verdict: pass\nheavy = 1.5")
    assert notebook.offers("%groq_batch --‸") == ["--colour", "--schema", "--weight"]
    assert notebook.offers("%groq_batch -c b‸") == ["blue"]
    assert notebook.offers("%groq_batch --schema Ver‸") == ["Verdict"]
    assert notebook.offers("%groq_batch --weight @‸") == ["heavy"]


@pytest.mark.parametrize(
    "cell",
    [
        "%groq_batch answers {}‸",
        "%%groq_batch answers {}‸",
        "  %groq_batch answers {}‸",
        "\n  \n  %%groq_batch {}‸\nbody",
        "labels = %groq_batch {}‸",
        "    labels['a'] = %groq_batch {}‸",
        "%%groq_batch answers \\\n  {}‸\nbody",
        "%%groq_batch answers \\ \n --raw \\\n  {}‸\nbody",
        "x = 1\n%groq_batch answers \\\n {}‸",
        "if True:\n    %groq_batch answers {}‸\nx = 2",
        "%%time\n%groq_batch answers {}‸",
        "x = \\\n  1\n%groq_batch {}‸",
        "%%groq_batch answers {}‸ \\\n  --wait\nbody",
    ],
)
def test_every_form_of_the_line_completes(notebook: Notebook, cell: str) -> None:
    """Cell and line form, indented, assigned, continued by backslashes, or among code: Tab works in all."""
    assert notebook.tab(cell.format("--fr")) == ["--from"]
    assert notebook.offers(cell.format("--window 7")) == ["7d"]


@pytest.mark.parametrize(
    "cell",
    [
        "--m‸",
        "df.‸",
        "%groq_batch‸",
        "%%groq_batc‸",
        "%‸%groq_batch --m",
        "%groq‸",
        "%groq_batches --m‸",
        "%groq_batch answers\n--m‸",
        "%groq_batch answers\n{{ te‸ }}",
        "# %groq_batch --m‸",
        "# y = %groq_batch --m‸",
        "'%d=%groq_batch --m‸'",
        "'%groq_batch --m‸'",
        "x = 7 %groq_batch --m‸",
        "x = 1\n%%groq_batch --m‸",
        "%%bash\necho --m‸",
        "%%bash\necho {{ te‸",
        "%%groq_batch answers\n--m‸",
        "%%groq_batch answers\n%groq_batch --m‸",
        "%%groq_batch answers --from df\ntext ‸",
        "%%groq_batch answers --from df\n{{ text }} te‸",
        "%%groq_batch answers --from df\n{% if text %} te‸",
        "%%groq_batch answers --from df\n{{ row['}}'] }} isn't te‸",
        "%%groq_batch answers 'a b‸",
        "%%groq_batch answers --model x --system 'some words --m‸",
        "%%groq_batch answers --system 'x'‸",
        "%groq answers --m‸",
        "%groq nonsense ‸",
    ],
)
def test_elsewhere_tab_is_ipythons(notebook: Notebook, cell: str) -> None:
    """Outside our magics, and in their plain text, we offer nothing and keep nobody else from it."""
    assert notebook.ours(cell) == NOT_OURS


# --- verbs ----------------------------------------------------------------------------------------------


def test_verbs_complete(notebook: Notebook) -> None:
    """After `%groq` Tab offers the table's verbs, or those that begin so."""
    assert notebook.offers("%groq ‸") == [verb.name for verb in VERBS]
    assert notebook.tab("%groq \\\n ca‸") == ["cancel"]
    assert notebook.tab("x = %groq wa‸ answers") == ["wait"]


CHANGES = ["--temperature", "--seed", "--reasoning", "--extra", "--max-cost"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("wait answers --‸", ["--timeout"]),
        ("wait --timeout 5 --‸", []),
        ("cancel answers --‸", ["--anyway"]),
        ("cancel --anyway --‸", []),
        ("retry answers --‸", ["--max-tokens", "--model", *CHANGES]),
        ("retry answers --model x --‸", ["--max-tokens", *CHANGES]),
        ("retry answers -m x -‸", ["--max-tokens", *CHANGES]),
        ("retry answers --extra d‸", ["df"]),
        ("sandbox --‸", ["--fresh"]),
        ("sandbox ‸", ["off", "--fresh"]),
        ("sandbox of‸", ["off"]),
        ("sandbox off ‸", ["--fresh"]),
        ("batches --‸", []),
        ("batches ‸", []),
        ("help ‸", []),
        ("forget first ‸", []),
    ],
)
def test_a_verb_completes_as_its_usage_says(notebook: Notebook, line: str, offered: list[str]) -> None:
    """Options and words of a verb are those of its usage in the table, each once."""
    assert notebook.offers(f"%groq {line}") == offered


def test_every_option_in_a_usage_is_offered(notebook: Notebook) -> None:
    """No option that a verb's usage names is missed."""
    for verb in VERBS:
        for flag in [word.strip("[]") for word in verb.usage.split() if word.startswith("[--")]:
            assert flag in notebook.offers(f"%groq {verb.name} --‸"), verb


@pytest.mark.parametrize("verb", ["models", "key", "batches", "help"])
def test_after_a_verb_that_stands_alone_nothing_is_offered(notebook: Notebook, verb: str) -> None:
    """Tab completes the verb's name, and has nothing to put behind it."""
    assert verb in notebook.offers(f"%groq {verb[:2]}‸")
    for typed in ("‸", "a‸", "--‸"):
        assert notebook.offers(f"%groq {verb} {typed}") == []


@pytest.mark.parametrize("verb", ["wait", "cancel", "retry", "forget"])
def test_a_verb_takes_the_variables_that_hold_answers(notebook: Notebook, verb: str) -> None:
    """Where a verb takes NAME, the notebook's Answers are offered and no other variable."""
    notebook.ok("%groq_batch second --from ['b']\n%groq_batch first --from ['a']\nfinal = 3")
    assert notebook.offers(f"%groq {verb} fi‸") == ["first"]
    assert notebook.offers(f"%groq {verb} ‸")[:2] == ["first", "second"]
    assert not set(notebook.offers(f"%groq {verb} first ‸")) & {"first", "second"}


def test_the_name_may_be_one_that_holds_answers(notebook: Notebook) -> None:
    """The first word of `groq_batch` is offered the Answers that may be filled again, and `answers`."""
    notebook.ok("%groq_batch found --from ['a']")
    assert notebook.offers("%%groq_batch ‸") == ["found", "answers", *FLAGS]
    assert notebook.offers("%%groq_batch a‸") == ["answers"]
    assert notebook.offers("%groq_batch --from df f‸") == ["found"]
    assert notebook.offers("%groq_batch --from 'a b'.split() f‸") == ["found"]
    assert notebook.offers("%groq_batch x f‸") == []
    assert notebook.offers("%groq_batch f‸ x") == []
    assert notebook.offers("%groq_batch f‸ound --raw") == ["found"]
    assert notebook.offers("%groq_batch x ‸") == FLAGS
    notebook.ok("%groq_batch answers --from ['a']")
    assert notebook.offers("%%groq_batch a‸") == ["answers"]


def test_attach_offers_what_this_notebook_had(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and batch ids of this notebook come from the ledger, also after a restart, without a network."""
    notebook.ok("%groq_batch first --from ['a']\n%groq_batch second --from ['b']")
    made = [notebook.variables.pop(name) for name in ("second", "first")]
    ids = [offline.until(lambda answers=answers: answers.batch_ids)[0] for answers in made]
    offline.restart()
    monkeypatch.setattr(services, "current", lambda: pytest.fail("the network was asked"))
    assert notebook.offers("%groq attach ‸") == ["first", "second", *ids]
    assert notebook.offers("%groq attach batch_‸") == ids
    assert notebook.offers("%groq attach s‸") == ["second"]
    monkeypatch.setenv("JPY_SESSION_NAME", "another.ipynb")
    assert notebook.offers("%groq attach ‸") == []


def test_a_ledger_that_cannot_be_read_offers_nothing(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the ledger fails, `attach` has nothing to offer and says nothing."""

    def broken() -> None:
        raise LedgerError("broken")

    monkeypatch.setattr(ledger, "current", broken)
    assert notebook.ours("%groq attach ‸") == NOT_OURS


# --- values ---------------------------------------------------------------------------------------------


def test_sources_are_offered_first(notebook: Notebook) -> None:
    """After --from come frames, lists, dicts, Answers and generators, then the rest; no modules, no `_x`."""
    notebook.ok(
        "import json\n_hidden = [1]\na_number = 1\nclass Kind: pass\ndef make(): yield 'a'\n"
        "z_list = []\ny_dict = {}\nx_made = make()"
    )
    notebook.ok("%groq_batch w_answers --from ['a']")
    notebook.variables["arrow"] = pa.table({"a": [1]})
    likely = ["arrow", "df", "w_answers", "x_made", "y_dict", "z_list"]
    assert notebook.offers("%groq_batch --from ‸") == [*likely, "a_number", "make"]
    assert notebook.offers("%groq_batch -f=y‸") == ["y_dict"]
    assert notebook.offers("%groq_batch --extra ‸") == sorted(
        [*likely, "a_number", "make", "Kind"], key=str.lower
    )


@pytest.mark.parametrize(
    "typed", ["df.‸", "df.he‸", "df[‸", "df['te‸", "(d‸", "[x for x in d‸", "df + ‸", "df if ‸"]
)
def test_inside_an_expression_tab_is_ipythons(notebook: Notebook, typed: str) -> None:
    """After a dot, a bracket or an operator IPython's own completers are asked, as they are elsewhere."""
    assert notebook.ours(f"%groq_batch --from {typed}") == NOT_OURS
    assert notebook.ours(f"%groq_batch --extra {typed}") == NOT_OURS


def test_after_a_quote_the_source_is_a_file(notebook: Notebook) -> None:
    """`--from "` offers files that prompts are read from and folders, below the working folder or another."""
    for name in ("b.jsonl", "a.CSV", "c d.parquet", 'q"q.txt', "no.py", ".hidden.csv", "deep/e.csv"):
        (Path.cwd() / name).parent.mkdir(exist_ok=True)
        (Path.cwd() / name).touch()
    assert notebook.offers("%groq_batch --from '‸") == ["a.CSV", "b.jsonl", "c d.parquet", "deep/", 'q"q.txt']
    assert notebook.tab("%groq_batch --from 'b‸'") == ["b.jsonl"]
    assert notebook.typed('%groq_batch --from "deep/‸') == '%groq_batch --from "deep/e.csv'
    assert notebook.typed(f"%groq_batch --from '{Path.cwd()}/deep/e‸").endswith("/deep/e.csv")
    assert notebook.offers('%groq_batch --from "q‸') == ['q\\"q.txt']
    assert notebook.offers("%groq_batch --from '.‸") == [".hidden.csv"]
    assert notebook.offers("%groq_batch --from 'nowhere/‸") == []
    assert notebook.offers("%groq_batch --extra 'b‸") == []


def test_a_file_to_save_in_is_one_that_can_be(notebook: Notebook) -> None:
    """`--save` offers files of the endings that answers are saved under, and folders; quoted if need be."""
    for name in ("b.jsonl", "c d.parquet", "no.txt", "deep/e.csv"):
        (Path.cwd() / name).parent.mkdir(exist_ok=True)
        (Path.cwd() / name).touch()
    assert notebook.offers("%groq_batch --save ‸") == ["b.jsonl", "deep/"]
    assert notebook.offers("%groq_batch --save '‸") == ["b.jsonl", "c d.parquet", "deep/"]
    assert notebook.typed("%groq_batch --save deep/‸") == "%groq_batch --save deep/e.csv"


def test_at_names_a_variable_of_the_right_kind(notebook: Notebook) -> None:
    """`@` offers texts for a text, numbers for a number, whole numbers for a whole one."""
    notebook.ok("rules = 'Be brief'\nhalf = 0.5\nmany = 500\nyes = True")
    assert notebook.typed("%groq_batch --system @r‸") == "%groq_batch --system @rules"
    assert notebook.offers("%groq_batch --temperature @‸") == ["half", "many"]
    assert notebook.offers("%groq_batch --max-tokens @‸") == ["many"]
    assert notebook.offers("%groq_batch --max-tokens ‸") == ["@many"]
    assert notebook.offers("%groq_batch --window @‸") == ["rules"]
    assert notebook.offers("%groq_batch --system '@‸") == []
    assert notebook.offers("%groq_batch --system Be‸") == []


@pytest.mark.parametrize("line", ["--window ‸", "-w ‸", "--window=‸", "-w '‸", "--window ‸ --raw"])
def test_choices_come_from_the_table(notebook: Notebook, line: str) -> None:
    """An option with choices offers them, glued, quoted or after a space."""
    assert notebook.offers(f"%%groq_batch {line}") == ["24h", "7d"]


def test_models_complete(notebook: Notebook) -> None:
    """--model offers the models of the price list, by any part of their names, also in quotes."""
    known = list(prices.models())
    assert {"openai/gpt-oss-20b", "openai/gpt-oss-120b"} <= set(known)
    assert all(prices.known(model) for model in known)
    for typed in ("--model ", "-m ", "--model '", "-m="):
        assert notebook.offers(f"%groq_batch {typed}‸") == known
    assert notebook.offers("%groq_batch --model gpt‸") == [model for model in known if "gpt" in model]
    assert notebook.tab("%groq retry answers --model s-20‸") == ["openai/gpt-oss-20b"]


def test_the_id_is_a_column_of_the_source(notebook: Notebook) -> None:
    """--id offers the columns of the line's --from, wherever that stands; in quotes where they need some."""
    notebook.variables["odd"] = [{"a b": "x", 'q"q r': 1, "-x": 2, "plain": 3, 7: 4}]
    assert notebook.offers("%groq_batch --from df --id ‸") == ["text", "stars", '"Review Text"', "if"]
    assert notebook.offers("%groq_batch --id st‸ --from df.head(3) --raw") == ["stars"]
    assert notebook.offers("%groq_batch --from df --id 'Rev‸'") == ["Review Text"]
    assert notebook.offers("%groq_batch --id 'Rev‸ --from nowhere' --from df") == ["Review Text"]
    assert notebook.offers("%groq_batch --id ‸") == []
    found = notebook.offers("%groq_batch --from odd --id ‸")
    read = [options.parse(f"--from odd --id {each} --raw", lambda text: text).values["id"] for each in found]
    assert read == ["a b", 'q"q r', "-x", "plain"]


# --- templates ------------------------------------------------------------------------------------------

SOURCES: dict[str, Callable[[], object]] = {
    "pandas": lambda: pd.DataFrame(REVIEWS),
    "polars": lambda: pl.DataFrame(REVIEWS),
    "arrow": lambda: pa.table(REVIEWS),
    "dicts": lambda: [{name: values[0] for name, values in REVIEWS.items()}],
}


@pytest.mark.parametrize("kind", SOURCES)
def test_columns_complete_in_a_template(notebook: Notebook, kind: str) -> None:
    """In `{{ }}` come a table's columns, as `row["…"]` where they are no names, then what each row has."""
    notebook.variables["rows"] = SOURCES[kind]()
    body = "%%groq_batch labels --from rows --wait\nIs this good?\n"
    assert notebook.offers(body + "{{ ‸") == OF_ROWS
    assert notebook.offers(body + "{{‸}} and more") == OF_ROWS
    assert notebook.offers(body + "{{ text }} {{- st‸ }}") == ["stars"]
    assert notebook.offers(body + "{{ rev‸") == ['row["Review Text"]']
    assert notebook.offers(body + "{% if ‸") == OF_ROWS
    assert notebook.offers(body + "{%- for x in text %}{{ x ~ st‸") == ["stars"]
    assert notebook.offers(body + "{{ {'a': '}}'}[st‸") == ["stars"]


@pytest.mark.parametrize(
    "typed", ["{{ text.‸", "{{ text | te‸", "{{ 'te‸", "{% i‸", "{%- ‸", "{{ 3‸", "{{ text['‸"]
)
def test_in_a_template_only_names_complete(notebook: Notebook, typed: str) -> None:
    """Attributes, filters, texts, tags and numbers are none of our business."""
    assert notebook.ours(f"%%groq_batch --from df\n{typed}") == NOT_OURS


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('df[df.text == "en"]', OF_ROWS),
        ("df.head(100)", OF_ROWS),
        ("df.query('a').head(3)", OF_ROWS),
        ("df[['stars', 'nowhere']]", ["stars", "row", "index", "vars."]),
        ("df['text']", ["item", "index", "vars."]),
        ("df.text.str.upper()", ["item", "index", "vars."]),
        ("reviews[2:]", ["a", "row", "index", "vars."]),
        ("data['train']", ["a", "row", "index", "vars."]),
        ("data['train'][:9]", ["a", "row", "index", "vars."]),
        ("prompts", ["item", "index", "vars."]),
        ("by_id", ["item", "id", "index", "vars."]),
        ("series", ["item", "index", "vars."]),
        ("nowhere", ["row", "item", "index", "vars."]),
        ("'reviews.csv'", ["row", "item", "index", "vars."]),
        (r"'C:\Users\me.csv'", ["row", "item", "index", "vars."]),
        ("make()", ["row", "item", "index", "vars."]),
        ("df + df", ["row", "item", "index", "vars."]),
        ("odd", ["row", "vars", "index"]),
    ],
)
def test_a_template_knows_what_its_source_is(notebook: Notebook, expression: str, names: list[str]) -> None:
    """A name is looked up; what is cut or called from a table has its columns; else all may be there."""
    notebook.variables.update(
        reviews=[{"a": 1}],
        data={"train": [{"a": 1}]},
        prompts=["a"],
        by_id={"x": "a"},
        series=pd.Series(["a"]),
        odd=[{"row": 1, "vars": 2, "a b": 3}],
    )
    assert notebook.offers(f"%%groq_batch --from {expression} --wait\n{{{{ ‸") == names


def test_answers_are_a_source(notebook: Notebook) -> None:
    """The columns of an Answers are those of its frame, with the source's own where it had a table."""
    notebook.variables["table"] = pd.DataFrame({"answer": ["a"], "n": [1]})
    notebook.ok("%groq_batch bare --from ['a'] --samples 2")
    notebook.ok("%%groq_batch full --from table\n{{ answer }}")
    for name in ("bare", "full"):
        columns = list(notebook.variables[name].to_dicts(partial=True)[0])
        assert notebook.offers(f"%%groq_batch --from {name}[1:]\n{{{{ ‸") == [
            *columns,
            "row",
            "index",
            "vars.",
        ]
    assert notebook.offers("%%groq_batch --from full\n{{ answer_a‸") == ["answer_answer"]


def test_row_and_vars_complete(notebook: Notebook) -> None:
    """`row["` and `row.` offer the columns, `vars.` and `vars["` the variables that have a text."""
    notebook.ok("import json\nrules = 'a'\ncounts = [1]\nnothing = None\ndef act(): pass")
    body = "%%groq_batch --from df\n{{ "
    assert notebook.offers(body + 'row["‸') == ["text", "stars", "Review Text", "if"]
    assert notebook.typed(body + "row['Rev‸']") == "%%groq_batch --from df\n{{ row['Review Text']"
    assert notebook.offers(body + "row [ 'Rev‸") == ["Review Text"]
    assert notebook.offers(body + "row.‸") == ["text", "stars", "if"]
    assert notebook.offers(body + "vars.‸") == ["counts", "rules"]
    assert notebook.offers(body + "vars.ru‸ }}") == ["rules"]
    assert notebook.offers(body + "vars['ru‸") == ["rules"]
    assert notebook.offers(body + "my_row['‸") == []
    assert notebook.offers("%%groq_batch\n{{ vars.‸") == []
    notebook.variables["odd"] = [{"row": {}, "vars": {}}]
    assert notebook.offers("%%groq_batch --from odd\n{{ row.‸") == []
    assert notebook.offers("%%groq_batch --from odd\n{{ vars['‸") == []


def test_without_a_source_plain_values_complete(notebook: Notebook) -> None:
    """In a cell of its own prompts `{{ }}` takes texts, numbers and dates, and Tab offers those."""
    notebook.ok("import datetime\nday = datetime.date(2026, 1, 2)\nn = 3\nword = 'sun'\nwords = ['sun']")
    assert notebook.offers("%%groq_batch\n---\n{{ ‸ }}") == ["day", "n", "word"]
    assert notebook.offers("%%groq_batch\n{% if wo‸") == ["word"]


def test_raw_text_has_no_templates(notebook: Notebook) -> None:
    """With --raw braces are text, and Tab leaves them alone."""
    assert notebook.ours("%%groq_batch --raw --from df\n{{ te‸") == NOT_OURS


def test_the_system_message_is_a_template_too(notebook: Notebook) -> None:
    """Marks in a text option complete as in the body, but for what its quotes would not let through."""
    assert notebook.offers("%groq_batch --from df --system 'On {{ ‸") == OF_ROWS
    assert notebook.offers('%groq_batch --from df --system "On {{ ‸') == [
        "text",
        "stars",
        "row",
        "index",
        "vars.",
    ]
    assert notebook.offers("%groq_batch --from df -s {{‸") == [
        "text",
        "stars",
        'row["if"]',
        "row",
        "index",
        "vars.",
    ]


@pytest.mark.parametrize(
    "column",
    ["a b", 'q"q', "it's", "back\\slash", "new\nline", "tab\t", "none", "self", "9", "é", "\xa0", "{{", 3],
)
def test_what_is_offered_for_a_column_reads_it(notebook: Notebook, column: object) -> None:
    """Whatever a column is called, the one offer for it, put between the marks, inserts its value."""
    notebook.variables["rows"] = [{column: "the value"}]
    offered = [
        text
        for text in notebook.offers("%%groq_batch --from rows\n{{ ‸")
        if text not in ("row", "index", "vars.")
    ]
    assert len(offered) == 1
    made = prompts.from_source(notebook.variables["rows"], template=f"{{{{ {offered[0]} }}}}", named="rows")
    assert list(made.items) == ["the value"]


# --- harmless -------------------------------------------------------------------------------------------


class Trap:
    """An object that notices whatever is done to it, and poses as another."""

    touched: list[str]

    def __init__(self) -> None:
        object.__setattr__(self, "touched", [])

    def __getattribute__(self, name: str) -> Any:
        if name != "touched":
            object.__getattribute__(self, "touched").append(name)
            raise RuntimeError(name)
        return object.__getattribute__(self, name)

    @property
    def columns(self) -> list[str]:
        """Never asked for."""
        self.touched.append("columns")
        return ["text"]

    def _trap(self, *_: object) -> Any:
        self.touched.append("called")
        raise RuntimeError

    __iter__ = __len__ = __getitem__ = __eq__ = __bool__ = __call__ = __repr__ = __contains__ = _trap
    __hash__ = None  # type: ignore[assignment]


TRAPS = [
    "%groq_batch ‸",
    "%groq_batch --from ‸",
    "%groq_batch --extra t‸",
    "%groq_batch --system @‸",
    "%groq_batch --from trap --id ‸",
    "%groq_batch --from trap() --id ‸",
    "%groq_batch --from trap[3].x --id ‸",
    "%%groq_batch --from trap\n{{ ‸",
    "%%groq_batch --from trap.head(3)\n{{ ‸",
    "%%groq_batch --from traps\n{{ ‸",
    "%%groq_batch --from traps[0]\n{{ ‸",
    "%%groq_batch --from df[trap]\n{{ vars.‸",
    "%%groq_batch\n{{ ‸",
    "%groq wait ‸",
]


@pytest.mark.parametrize("cell", TRAPS)
def test_nothing_of_the_notebook_is_run(notebook: Notebook, cell: str) -> None:
    """Tab calls nothing, reads no property, iterates no generator and asks no object what it is."""
    trap, drawn = Trap(), []
    made = (drawn.append(each) for each in "ab")
    notebook.variables.update(trap=trap, traps=[trap], made=made, in_dict={"a": trap})
    notebook.offers(cell)
    notebook.offers(cell.replace("traps", "in_dict").replace("trap", "made"))
    assert trap.touched == []
    assert drawn == []


def test_a_call_in_the_source_is_not_made(notebook: Notebook) -> None:
    """A source that is a call shows no columns, and Tab does not make the call."""
    notebook.ok(
        "calls = []\ndef load(): calls.append(1)\n"
        "class Held:\n    def __getitem__(self, key): calls.append(key)\nheld = Held()"
    )
    for source in ("load()", "load().head()", "held['train']", "df[load()]", "[load()]"):
        notebook.offers(f"%%groq_batch --from {source}\n{{{{ ‸")
        notebook.offers(f"%groq_batch --from {source} --id ‸")
    assert notebook.variables["calls"] == []


@pytest.mark.parametrize("jedi", [True, False])
@pytest.mark.parametrize(
    "cell",
    [
        "%groq_batch answers --m‸",
        "%groq_batch answers --‸",
        "%groq ‸",
        "%groq_batch --from ‸",
        "%groq_batch --window ‸",
        "%groq_batch --system @r‸",
        "%%groq_batch --from df\n{{ ‸",
        "%%groq_batch --from df\n{{ vars.r‸",
        "%%groq_batch --from df\n{{ row['‸",
    ],
)
def test_no_junk_stands_between_what_we_offer(notebook: Notebook, cell: str, jedi: bool) -> None:
    """Where we know what fits, files, magics and Python's names are kept out, with jedi and without."""
    notebook.shell.Completer.use_jedi = jedi
    notebook.ok("rules = 'a'")
    Path("rules.txt").touch()
    assert notebook.offers(cell)
    assert notebook.tab(cell) == notebook.offers(cell)


def test_ipythons_own_help_is_kept(notebook: Notebook) -> None:
    """Python's names come after ours where an expression begins; keys and attributes come as elsewhere."""
    notebook.shell.Completer.use_jedi = False
    notebook.ok("rev = [1]")
    assert notebook.tab("%groq_batch --from re‸")[:2] == ["rev", "repr"]
    assert "%reset" not in notebook.tab("%groq_batch --from re‸")
    assert notebook.tab("%groq_batch --from df['st‸") == ["stars"]
    assert [found.split(".")[-1] for found in notebook.tab("labels = %groq_batch --from df.he‸")] == ["head"]
    assert set(notebook.tab("%groq_ba‸")) == {"%%groq_batch", "%groq_batch"}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # it is older
def test_the_older_way_to_complete_works(notebook: Notebook) -> None:
    """`ip.complete`, which some front ends use, gives the same; it may be handed a line or a whole cell."""
    shell = notebook.shell
    assert shell.complete("", "%groq_batch a --m", 17) == (
        "--m",
        ["--model", "--missing", "--max-tokens", "--max-cost"],
    )
    assert shell.complete("%groq wa") == ("wa", ["wait"])
    cell = "%%groq_batch --from df\n{{ st"
    assert shell.complete("", cell, len(cell)) == ("st", ["stars"])


def test_what_cannot_be_typed_is_not_offered(notebook: Notebook) -> None:
    """Half a character or a line end in a name is left out or escaped: it would break the kernel's reply."""
    notebook.variables["rows"] = [{"\ud800": 1, "new\nline": 2, "fine": 3}]
    assert notebook.offers("%%groq_batch --from rows\n{{ row['‸") == ["fine"]
    assert notebook.offers("%groq_batch --from rows --id ‸") == ["fine"]
    assert notebook.offers("%%groq_batch --from rows\n{{ n‸") == [r"row['new\nline']"]
    assert "".join(notebook.offers("%%groq_batch --from rows\n{{ ‸")).isascii()


def test_what_goes_over_a_line_end_is_left_alone(notebook: Notebook) -> None:
    """A text that a backslash continues is not what stands before the cursor, so nothing could replace it."""
    notebook.variables["rows"] = [{"a  b": 1}]
    assert notebook.offers("%groq_batch --from rows --id 'a  ‸") == ["a  b"]
    assert notebook.ours("%groq_batch --from rows --id 'a\\\n‸") == NOT_OURS


PIECES = st.sampled_from(
    ["%%groq_batch ", "%groq_batch ", "%groq ", "x = ", "answers ", "--from ", "--id ", "--m", "--model=",
     "-w ", "-", "--system ", "--extra ", "df", "trap", "[", "]", "(", ")", ".", "'", '"', "\\", "\\\n", "\n",
     "\r", " ", "\t", "@", "{{", "}}", "{%", "%}", "{{ row['", "vars.", "|", "#", "wait ", "attach ",
     "retry ", "sandbox ", "--raw", "\0", "\ud800", "é", "𝒳", "/", "..", "~", "\u2028", "=", "lambda: ", "1"]
)  # fmt: skip
CELLS = st.builds("".join, st.lists(PIECES | st.text(max_size=3), max_size=14))


@given(
    cell=CELLS, begins=st.sampled_from(["%%groq_batch ", "%groq_batch --from ", "%groq ", ""]), data=st.data()
)
def test_no_text_upsets_tab(one_shell: InteractiveShell, cell: str, begins: str, data: st.DataObject) -> None:
    """Whatever a cell holds, wherever the cursor is: nothing is raised, and what is replaced was typed."""
    one_shell.user_ns.update({"df": pd.DataFrame(REVIEWS), "trap": Trap(), "\ud800": 1, 7: 1})
    text = begins + cell
    offset = data.draw(st.integers(0, len(text)))
    found = completion._result(context(text, offset), one_shell)
    assert text[:offset].endswith(found.get("matched_fragment", ""))
    "".join(each.text for each in found["completions"]).encode()


@given(offset=st.integers(-5, 60), line=st.integers(-3, 5))
def test_no_cursor_upsets_tab(one_shell: InteractiveShell, offset: int, line: int) -> None:
    """A front end that is wrong about where the cursor stands gets an answer, too."""
    asked = CompletionContext("", "%%groq_batch --from df\n{{ row['a'] }} --m", offset, line, None)
    assert completion.offers(asked, one_shell)["completions"] is not None


@pytest.mark.parametrize(
    "begins",
    [
        "(" * 400,
        "-" * 4000,
        "a" * 10**6,
        "--from " * 700,
        "( --b " * 800,
        "( --b " * 8000,
        "'\\" * 50_000,
        "\\\n" * 50_000,
    ],
)
def test_a_monster_is_answered_at_once(one_shell: InteractiveShell, begins: str) -> None:
    """Nested, repeated or endless text costs no more than a second."""
    for text in (
        f"%groq_batch --from {begins}",
        f"%%groq_batch --from df\n{{{{ {begins}",
        f"%groq_batch {begins} --m",
        f"%%groq_batch --from {begins}\n{{{{ te",
    ):
        began = time.perf_counter()
        completion._result(context(text, len(text)), one_shell)
        assert time.perf_counter() - began < 1


def test_an_error_of_ours_is_not_seen(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Should we fail, IPython completes what it would without us, and nothing is printed into the cell."""
    monkeypatch.setattr(variables, "visible", lambda *_: 1 / 0)
    capsys.readouterr()
    assert notebook.tab("%groq_batch --from df['st‸") == ["stars"]
    assert "--model" not in notebook.tab("%groq_batch --mod‸")
    assert capsys.readouterr() == ("", "")


def test_loading_adds_one_matcher_and_unloading_takes_it_away(notebook: Notebook) -> None:
    """However often it is loaded there is one matcher of ours; unloaded there is none, and others stay."""
    matchers = notebook.shell.Completer.custom_matchers

    def other(text: str) -> list[str]:
        return []

    matchers.append(other)
    notebook.ok("%load_ext groq_magic\n%reload_ext groq_magic")
    assert len(matchers) == 2
    notebook.ok("%unload_ext groq_magic")
    assert matchers == [other]
    assert "--model" not in notebook.tab("%groq_batch --mo‸")
    matchers.remove(other)
    notebook.ok("%load_ext groq_magic")
    matchers.clear()
    notebook.ok("%unload_ext groq_magic\n%load_ext groq_magic")
    assert notebook.tab("%groq_batch --mo‸") == ["--model"]


def test_tab_imports_no_library_of_frames(tmp_path: Path) -> None:
    """In a fresh process Tab in a template with a source brings neither Narwhals nor Jinja nor any frames."""
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "groq_magic")
shell.user_ns["rows"] = [{"text": "a"}]
shell.Completer.use_jedi = False
cell = "%%groq_batch --from rows --id text"
print(shell.complete("", cell, len(cell))[1], shell.complete("", cell + chr(10) + "{{ te", len(cell) + 6)[1])
print(*({"narwhals", "pandas", "polars", "pyarrow", "jinja2"} & sys.modules.keys()))
"""
    env = clean_environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "['text'] ['text']\n\n"


@pytest.mark.kernel
def test_tab_works_in_a_kernel(kernel: Kernel) -> None:
    """A front end's request in a real kernel is answered with options, variables and columns alone."""
    kernel.run("%load_ext groq_magic\nrows = [{'text': 'a', 'Review Text': 'b'}]\n_hidden = []")
    assert kernel.complete("%groq_batch answers --m") == (
        ["--model", "--missing", "--max-tokens", "--max-cost"],
        "--m",
    )
    assert kernel.complete("%%groq_batch answers --fr\nbody", 25) == (["--from"], "--fr")
    assert kernel.complete("%groq_batch --from ") == (["rows"], "")
    assert kernel.complete("labels = %groq_batch --from rows --id ") == (["text", '"Review Text"'], "")
    body = "%%groq_batch answers --from rows \\\n  --wait\nIs it good?\n{{ "
    assert kernel.complete(body) == (["text", 'row["Review Text"]', "row", "index", "vars."], "")
    assert kernel.complete("𝒳 = 1\n%groq wa") == (["wait"], "wa")
    assert kernel.complete(body + "row['Rev') }}", len(body) + 8) == (["Review Text"], "Rev")
    assert "rows" in kernel.complete("ro")[0]
    kernel.run("%unload_ext groq_magic")
    assert "--model" not in kernel.complete("%groq_batch answers --m")[0]


def test_after_try_a_number_or_the_name_may_follow(notebook: Notebook) -> None:
    """`--try` may stand without its number: Tab offers what a NAME's place offers, or numbers after @."""
    notebook.ok("%groq_batch labels --from ['x'] --try 1 --plain")
    notebook.ok("few = 5")
    notebook.ok("%groq_batch labels --from ['y']")
    assert notebook.offers("%groq_batch --try lab‸") == notebook.offers("%groq_batch lab‸") == ["labels"]
    assert notebook.offers("%groq_batch --try @‸") == ["few"]
    assert notebook.offers("%groq_batch --try lab --pla‸") == ["--plain"]
    assert notebook.offers("%groq_batch --try 5 --pla‸") == ["--plain"]
