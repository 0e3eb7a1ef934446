"""The line of `groq_batch` and of `%groq`: tables of lines and what they mean, or what they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groq_magic.errors import InputError
from groq_magic.magics.options import (
    OPTIONS,
    OVERVIEW,
    VERBS,
    Parsed,
    help_text,
    nearest,
    options_markdown,
    parse,
    parse_verb,
)

NOTEBOOK = {
    "df": ["row one", "row two"],
    "m": 1,
    "instructions": "Be brief, --always",
    "half": 0.5,
    "many": 500,
    "big": 10**400,
    "yes": True,
    "week": "7d",
    "extra": {"top_p": 0.9},
    "d": {" --model ": "found"},
}


def evaluate(text: str) -> object:
    """What a notebook with the variables above would answer."""
    return eval(text, dict(NOTEBOOK))


def read(line: str) -> Parsed:
    """The line, parsed in that notebook."""
    return parse(line, evaluate)


def answer(line: str) -> str:
    """The message that a bad line is answered with."""
    with pytest.raises(InputError) as caught:
        read(line)
    return caught.value.message


GOOD: list[tuple[str, str | None, Mapping[str, object]]] = [
    ("", None, {}),
    ("   ", None, {}),
    ("answers", "answers", {}),
    ("answers --model llama-3.1-8b-instant", "answers", {"model": "llama-3.1-8b-instant"}),
    ("labels --now", "labels", {"now": True}),
    ("labels --try", "labels", {"try": 3}),
    ("--try labels", "labels", {"try": 3}),
    ("--try --plain labels", "labels", {"try": 3, "plain": True}),
    ("--try 5 labels", "labels", {"try": 5}),
    ("--try=5 labels", "labels", {"try": 5}),
    ("--try @m labels", "labels", {"try": 1}),
    ("-m a/b answers -w 7d", "answers", {"model": "a/b", "window": "7d"}),
    ("-m gpt-oss-120b", None, {"model": "openai/gpt-oss-120b"}),
    ("--model '20b-of-mine'", None, {"model": "20b-of-mine"}),
    ("--model=a/b -t=0 answers", "answers", {"model": "a/b", "temperature": 0.0}),
    ("answers --system 'Be brief' --wait", "answers", {"system": "Be brief", "wait": True}),
    ('--system="Be brief" --plain', None, {"system": "Be brief", "plain": True}),
    (r'--system "say \"hi\""', None, {"system": 'say "hi"'}),
    (r"--system 'it\'s'", None, {"system": "it's"}),
    (r"--system 'a\nb \"c\" $x {y}'", None, {"system": r"a\nb \"c\" $x {y}"}),
    ("--system it's", None, {"system": "it's"}),
    ('--system ""', None, {"system": ""}),
    ("--system {{topic}}", None, {"system": "{{topic}}"}),
    ("--system '--model is a word'", None, {"system": "--model is a word"}),
    ("--system=--model", None, {"system": "--model"}),
    ("--system #1", None, {"system": "#1"}),
    ("-s @instructions", None, {"system": "Be brief, --always"}),
    ("-s '@home'", None, {"system": "@home"}),
    ("-s me@home", None, {"system": "me@home"}),
    ("--temperature 2", None, {"temperature": 2.0}),
    ("--temperature @half", None, {"temperature": 0.5}),
    ("--temperature @m", None, {"temperature": 1.0}),
    ("--max_tokens '500'", None, {"max_tokens": 500}),
    ("--max-tokens @many --dry_run", None, {"max_tokens": 500, "dry_run": True}),
    ("--window @week", None, {"window": "7d"}),
    ("--raw --lines --id key", None, {"raw": True, "lines": True, "id": "key"}),
    ("--seed 7 --reasoning low", None, {"seed": 7, "reasoning": "low"}),
    ("--seed -7", None, {"seed": -7}),
    ("--extra extra", None, {"extra": {"top_p": 0.9}}),
    ("--extra @extra answers", "answers", {"extra": {"top_p": 0.9}}),
    ('--extra {"stop": ["a b", "--raw"]} out', "out", {"extra": {"stop": ["a b", "--raw"]}}),
    ("--extra {'temperature': 1}", None, {"extra": {"temperature": 1}}),
    ("--extra {'temperature': 1} --max-tokens 5", None, {"extra": {"temperature": 1}, "max_tokens": 5}),
]


@pytest.mark.parametrize(("line", "name", "values"), GOOD, ids=[line for line, _, _ in GOOD])
def test_a_good_line_says_the_name_and_only_what_was_given(
    line: str, name: str | None, values: Mapping[str, object]
) -> None:
    """A line gives the variable's name and exactly the options typed, as values of the promised types."""
    parsed = read(line)
    assert (parsed.name, dict(parsed.values), parsed.source_text) == (name, values, None)
    assert {key: type(value) for key, value in parsed.values.items()} == {
        key: type(value) for key, value in values.items()
    }


SOURCES: list[tuple[str, str | None, object, str]] = [
    ("--from df", None, NOTEBOOK["df"], "df"),
    ("--from df answers", "answers", NOTEBOOK["df"], "df"),
    ("--from @df answers", "answers", NOTEBOOK["df"], "@df"),
    ("answers -f df -m a/b", "answers", NOTEBOOK["df"], "df"),
    ("--from=df answers --raw", "answers", NOTEBOOK["df"], "df"),
    ("--from df -m a/b answers", "answers", NOTEBOOK["df"], "df"),
    ("--from df [ 0 ] answers", "answers", "row one", "df [ 0 ]"),
    (
        '--from [x for x in df if x != "row two"] --wait',
        None,
        ["row one"],
        '[x for x in df if x != "row two"]',
    ),
    ('--from d[" --model "] --wait', None, "found", 'd[" --model "]'),
    ('--from d[" --model "] answers --wait', "answers", "found", 'd[" --model "]'),
    ("--from [3 -m, 4] answers", "answers", [2, 4], "[3 -m, 4]"),
    ('--from "a b".split() answers', "answers", ["a", "b"], '"a b".split()'),
    ('--from ["#1"]', None, ["#1"], '["#1"]'),
    ('--from "my file.csv" answers', "answers", Path("my file.csv"), "my file.csv"),
]


@pytest.mark.parametrize(("line", "name", "value", "typed"), SOURCES, ids=[row[0] for row in SOURCES])
def test_from_takes_the_longest_expression_before_an_option(
    line: str, name: str | None, value: object, typed: str
) -> None:
    """`--from` takes the expression up to the next option, leaves a NAME after it, and tells it as typed."""
    parsed = read(line)
    assert (parsed.name, parsed.values["from"], parsed.source_text) == (name, value, typed)


BAD: list[tuple[str, str]] = [
    ("--modle x", "unknown option --modle: did you mean `--model`?"),
    ("-model x", "unknown option -model: did you mean `--model`?"),
    ("—model x", "unknown option —model: did you mean `--model`?"),
    ("--temp 1", "unknown option --temp: did you mean `--temperature`?"),
    ("--output a.csv", "unknown option --output: did you mean `--save`?"),
    ("--to a.csv", "unknown option --to: did you mean `--save`?"),
    ("--save", "--save needs a value (PATH): type `--save answers.csv`"),
    ("--max-completion-tokens 5", "unknown option --max-completion-tokens: did you mean `--max-tokens`?"),
    ("--sync", "unknown option --sync: did you mean `--now`?"),
    ("--on_demand", "unknown option --on_demand: did you mean `--now`?"),
    ("--test 5", "unknown option --test: did you mean `--try`?"),
    ("--preview", "unknown option --preview: did you mean `--try`?"),
    ("--head 3", "unknown option --head: did you mean `--try`?"),
    ("--sample 3", "unknown option --sample: did you mean `--samples`?"),
    ("--try 0", "--try 0: --try needs a whole number from 1 to 2,147,483,647; type for example `--try 5`"),
    ("--try -1", "--try -1: --try needs a whole number from 1 to 2,147,483,647; type for example `--try 5`"),
    (
        "--try 2.5",
        "--try 2.5: --try needs a whole number from 1 to 2,147,483,647; type for example `--try 5`",
    ),
    ("--try 3x", "--try 3x: --try needs a whole number from 1 to 2,147,483,647; type for example `--try 5`"),
    (
        "--try=two",
        "--try two: --try needs a whole number from 1 to 2,147,483,647; type for example `--try 5`",
    ),
    ("--try= labels", "--try needs a whole number from 1 to 2,147,483,647: type `--try 5`"),
    ("--try @half", "--try @half: the variable holds a float; --try needs a whole number"),
    (
        "labels --try two",
        "two names, labels and two: as the source: `--from two`; a text with spaces goes in quotes",
    ),
    ("--now=yes", "--now takes no value: type `--now` alone"),
    ("--from df --dryrun", "unknown option --dryrun: did you mean `--dry-run`?"),
    (
        "--top-k 7",
        "unknown option --top-k: `%groq help` lists the options; "
        "Groq's other parameters go in a dict after `--extra`",
    ),
    (
        "answers Be brief",
        "two names, answers and Be: as the source: `--from Be`; a text with spaces goes in quotes",
    ),
    ("answers wait", "two names, answers and wait: did you mean `--wait`?"),
    ("-m a -w 7d --model b", "--model is given twice: keep one of them"),
    ("--wait --wait", "--wait is given twice: keep one of them"),
    ("--wait=yes", "--wait takes no value: type `--wait` alone"),
    ("--model", "--model needs a value (NAME): type `--model openai/gpt-oss-20b`"),
    ("--model= x", "--model needs a value (NAME): type `--model openai/gpt-oss-20b`"),
    (
        "--system --model x",
        '--system needs a value (TEXT): type `--system "Answer in one word"`; '
        "a text that begins with - goes in quotes",
    ),
    ("--from", "--from needs a Python expression: type `--from df`"),
    ("--from --wait", "--from needs a Python expression: type `--from df`"),
    (
        "--max-tokens -w 7d",
        "--max-tokens needs a whole number from 1 to 2,147,483,647: type `--max-tokens 500`",
    ),
    (
        "--temperature hot",
        "--temperature hot: --temperature needs a number from 0 to 2; type for example `--temperature 0.7`",
    ),
    (
        "--temperature -1",
        "--temperature -1: --temperature needs a number from 0 to 2; type for example `--temperature 0.7`",
    ),
    (
        "--temperature nan",
        "--temperature nan: --temperature needs a number from 0 to 2; type for example `--temperature 0.7`",
    ),
    (
        "--max-tokens 0",
        "--max-tokens 0: --max-tokens needs a whole number from 1 to 2,147,483,647; "
        "type for example `--max-tokens 500`",
    ),
    (
        "--max-tokens 1.5",
        "--max-tokens 1.5: --max-tokens needs a whole number from 1 to 2,147,483,647; "
        "type for example `--max-tokens 500`",
    ),
    (
        "--max-tokens @half",
        "--max-tokens @half: the variable holds a float; --max-tokens needs a whole number",
    ),
    ("--temperature @yes", "--temperature @yes: the variable holds a bool; --temperature needs a number"),
    (
        "--model 20b",
        "Several models end in '20b': type openai/gpt-oss-20b or openai/gpt-oss-safeguard-20b.",
    ),
    (
        "--samples 1001",
        "--samples 1001: --samples needs a whole number from 1 to 1,000; type for example `--samples 3`",
    ),
    (
        "--take 9223372036854775808",
        "--take 9223372036854775808: --take needs a whole number from 1 to 9,223,372,036,854,775,807; "
        "type for example `--take 2`",
    ),
    (
        "--try 99999999999999999999",
        "--try 99999999999999999999: --try needs a whole number from 1 to 2,147,483,647; type for example "
        "`--try 5`",
    ),
    (
        "--max-cost @big",
        "--max-cost @big: --max-cost needs a number from 0 on; type for example `--max-cost 20`",
    ),
    (
        "-t @big",
        "--temperature @big: --temperature needs a number from 0 to 2; type for example `--temperature 0.7`",
    ),
    (
        "--max-tokens @big",
        "--max-tokens @big: "
        "--max-tokens needs a whole number from 1 to 2,147,483,647; type for example `--max-tokens 500`",
    ),
    ("--window 12h", "--window 12h: type `--window 24h` or `--window 7d`"),
    ("--system @df", "--system @df: the variable holds a list; --system needs a text"),
    ("--system @dff", "--system @dff: name 'dff' is not defined"),
    (
        "--system @df.x",
        "--system @df.x: @ takes the name of a variable only; "
        'a text that begins with @ goes in quotes: `--system "@df.x"`',
    ),
    ("--system 'Be brief", "'Be brief: the quote is not closed: end the text with '"),
    (
        "--system 'it's' x",
        "'it's' x: text right after the closing quote; inside a text the quote is written \\'",
    ),
    ("answers # mine", "a comment cannot stand on the magic's line: take out everything from `#` on"),
    ("--from df # mine", "a comment cannot stand on the magic's line: take out everything from `#` on"),
    ("--from dff", "--from dff: name 'dff' is not defined"),
    ("--from d['x'] answers", "--from d['x']: KeyError: 'x'"),
    (
        "--from df[ answers --wait",
        "--from df[ answers: not a Python expression ('[' was never closed); type for example `--from df`",
    ),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_a_bad_line_is_answered_in_one_line_with_what_to_type(line: str, message: str) -> None:
    """A line that cannot be meant raises `InputError` with exactly this one line."""
    assert answer(line) == message


def test_nothing_is_evaluated_before_the_whole_line_is_understood() -> None:
    """A mistake late on the line is found before any variable or expression is touched."""
    asked: list[str] = []
    with pytest.raises(InputError):
        parse("--from df --system @instructions --modle x", lambda text: asked.append(text))
    assert asked == []


def test_help_evaluates_nothing() -> None:
    """With `--help` nothing else on the line is acted upon."""
    asked: list[str] = []
    parsed = parse("answers --from df -h", lambda text: asked.append(text))
    assert (parsed.name, parsed.values, parsed.source_text, asked) == ("answers", {"help": True}, None, [])


def test_a_key_in_a_message_is_blacked_out() -> None:
    """A key pasted on the line never reaches the error's text."""
    assert "gsk_secret" not in answer("--api-key=gsk_secret gsk_secret2 gsk_secret3")


def test_an_interrupt_while_evaluating_stays_an_interrupt() -> None:
    """Ctrl-C in an expression is not turned into an error about the line."""

    def interrupted(text: str) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parse("--from df", interrupted)


@given(st.text(st.characters(codec="utf-8")), st.sampled_from("\"'"), st.sampled_from(" ="))
def test_any_text_survives_its_quotes(text: str, quote: str, join: str) -> None:
    """A text in quotes comes out as it went in, unless a backslash ends it (that one needs `@name`)."""
    text = text.rstrip("\\")
    typed = quote + text.replace(quote, f"\\{quote}") + quote
    parsed = read(f"answers --system{join}{typed} --wait")
    assert (parsed.name, parsed.values) == ("answers", {"system": text, "wait": True})


PIECES = st.sampled_from(
    [
        "--from",
        "-m",
        "--extra",
        "--wait",
        "--temperature",
        " ",
        "=",
        "'",
        '"',
        "\\",
        "@",
        "#",
        "(",
        "]",
        "df",
        "\n",
    ]
)


@given(st.lists(PIECES | st.text(max_size=3)).map("".join))
def test_no_line_raises_anything_but_an_input_error(line: str) -> None:
    """Whatever is typed, the line is understood or answered in one line; nothing else is raised."""
    message = ""
    for read_line in (lambda: parse(line, lambda text: {}), lambda: parse_verb(line)):
        try:
            read_line()
        except InputError as exc:
            message += exc.message
    assert len(message.splitlines()) <= 1


VERB_LINES: list[tuple[str, str, list[str]]] = [
    ("", "", []),
    ("models", "models", []),
    ("key", "key", []),
    ("batches", "batches", []),
    ("wait answers --timeout 5", "wait", ["answers", "--timeout", "5"]),
    ("wait answers --timeout=5", "wait", ["answers", "--timeout", "5"]),
    ("attach 'batch 1' answers", "attach", ["batch 1", "answers"]),
    ("  attach", "attach", []),
    ("sandbox http://127.0.0.1:8000/?a=b --fresh", "sandbox", ["http://127.0.0.1:8000/?a=b", "--fresh"]),
    ("sandbox off", "sandbox", ["off"]),
    ("help", "help", []),
]


@pytest.mark.parametrize(("line", "verb", "words"), VERB_LINES, ids=[row[0] for row in VERB_LINES])
def test_a_verb_line_gives_the_verb_and_its_words(line: str, verb: str, words: list[str]) -> None:
    """`%groq` lines give the verb and the words after it, with quotes taken off."""
    found, rest = parse_verb(line)
    assert (found.name, rest) == (verb, words)


BAD_VERBS: list[tuple[str, str]] = [
    ("status", "unknown verb status: type `%groq batches`"),
    ("list answers", "unknown verb list: type `%groq batches`"),
    ("ls", "unknown verb ls: type `%groq batches`"),
    ("stop answers", "unknown verb stop: type `%groq cancel answers`"),
    ("abort answers", "unknown verb abort: type `%groq cancel answers`"),
    ("resume old new", "unknown verb resume: type `%groq attach old new`"),
    ("Wait answers", "unknown verb Wait: type `%groq wait answers`"),
    ("cancle answers", "unknown verb cancle: type `%groq cancel answers`"),
    ("--help", "unknown verb --help: type `%groq help`"),
    ("login", "unknown verb login: type `%groq key`"),
    ("logout", "unknown verb logout: type `%groq key`"),
    ("auth gsk_secret", "unknown verb auth: type `%groq key`"),
    ("apikey", "unknown verb apikey: type `%groq key`"),
    ("api_key", "unknown verb api_key: type `%groq key`"),
    ("token", "unknown verb token: type `%groq key`"),
    ("model", "unknown verb model: type `%groq models`"),
    ("modles all", "unknown verb modles: type `%groq models`"),
    ("frobnicate", "unknown verb frobnicate: `%groq help` lists the verbs"),
    ("wait 'answers", "'answers: the quote is not closed: end the text with '"),
    ("batches # mine", "a comment cannot stand on the magic's line: take out everything from `#` on"),
]


@pytest.mark.parametrize(("line", "message"), BAD_VERBS, ids=[line for line, _ in BAD_VERBS])
def test_a_near_miss_is_answered_with_the_right_verb(line: str, message: str) -> None:
    """A verb from another tool, or a slip, is answered in one line with the verb that exists."""
    with pytest.raises(InputError) as caught:
        parse_verb(line)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "word", ["status", "list", "stop", "login", "ls", "abort", "resume", "keys", "redo", "model", "rm"]
)
def test_no_message_names_a_verb_that_does_not_exist(word: str) -> None:
    """Every `%groq verb` in an answer can be typed."""
    with pytest.raises(InputError) as caught:
        parse_verb(word)
    named = set(re.findall(r"%groq (\w+)", caught.value.message))
    assert named
    assert named <= {verb.name for verb in VERBS}


def test_the_nearest_word_forgives_dashes_case_and_underscores() -> None:
    """A known word is found through `_`, capitals and missing dashes, and nothing far away is guessed."""
    flags = [option.flag for option in OPTIONS]
    assert nearest("DRY_RUN", flags) == "--dry-run"
    assert nearest("win", flags) == "--window"
    assert nearest("te", ["--temperature", "--text"]) is None
    assert nearest("colour", flags) is None


def test_help_and_readme_table_name_every_option_and_verb() -> None:
    """`--help` shows each option and verb with its line, and the README's table each option, once."""
    shown, table = help_text(), options_markdown()
    for option in OPTIONS:
        assert shown.count(option.help) == table.count(option.help) == 1
        assert f"{option.flag} " in shown
        assert "\n" not in option.help
    for verb in VERBS:
        assert re.search(rf"^  %groq {re.escape(verb.usage)}\s+{re.escape(verb.help)}$", shown, re.MULTILINE)
    assert re.search(rf"^  %groq +{re.escape(OVERVIEW.help)}$", shown, re.MULTILINE)
    cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
    assert cells == [3] * (len(OPTIONS) + 2)


def test_flags_and_verbs_are_each_there_once() -> None:
    """No flag, short form or verb is taken twice."""
    typed = [name for option in OPTIONS for name in (option.flag, option.short) if name]
    assert len(typed) == len(set(typed))
    assert len(VERBS) == len({verb.name for verb in VERBS})
