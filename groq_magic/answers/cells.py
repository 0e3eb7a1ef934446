"""The columns of answers, and a last one beside them, as a file and back: one table of the kinds of files.

A cell is what the file can hold of it: .jsonl has JSON's values, .parquet the types of the source's columns,
.csv texts, where None is empty and a list is its JSON. Texts stay as they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from groq_magic.answers import frames
from groq_magic.errors import InputError
from groq_magic.prompts.checks import is_missing, one_line

if TYPE_CHECKING:
    from groq_magic.answers.answers import Answers

OURS = "groq_magic"
"""What the last column is called; where there is such a name already, it takes a suffix, as others do."""

Cells = tuple[Mapping[str, object], bytes]
"""A row as it is read: the cells of the other columns by name, and what the last one holds."""

_PIECE = 1_000
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Form:
    """How one kind of file is written, with the last column's cells, in a file that is there; and read.

    What is not read as a `whole` may lack the other columns.
    """

    write: Callable[[Path, Answers, Iterable[bytes]], None]
    read: Callable[[Path, bool], Iterator[Cells]]


def arrow() -> Any:
    """pyarrow. Raises InputError where it is not installed."""
    try:
        import pyarrow.parquet

        return pyarrow
    except ModuleNotFoundError as exc:
        raise InputError("A .parquet takes pyarrow: pip install pyarrow; or save as .csv or .jsonl.") from exc


class NotOurs(Exception):
    """The file holds something else than answers that were saved."""


class NotUtf8(Exception):
    """Another program has saved the file in a code page of its own, so that its letters are not known."""


_NAMED = re.compile(rf"{OURS}(_answer)*")  # see `frames.renamed`


def _ours(names: Sequence[str]) -> None:
    if not names or not _NAMED.fullmatch(names[-1]):
        raise NotOurs


# --- the rows ------------------------------------------------------------------------------------------


def _table(answers: Answers) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of all columns but the last, and the rows by name; a row may lack some."""
    rows = answers.to_dicts()
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names = dict(zip(keys, frames.renamed((_whole(str(key)) for key in keys), ()), strict=True))
    levels = _levels(answers, names.values())
    named = [{names[key]: value for key, value in row.items()} for row in rows]
    if levels:
        heads = zip(*levels.values(), strict=True)
        named = [dict(zip(levels, head, strict=True)) | row for head, row in zip(heads, named, strict=True)]
    return [*levels, *names.values()], named


def _levels(answers: Answers, taken: Iterable[str]) -> dict[str, list[Any]]:
    """The levels of a pandas source's index that have a name, each a column."""
    import narwhals.dependencies as known

    frame, levels = answers._frame, dict[str, list[Any]]()
    if not known.is_pandas_dataframe(frame):
        return levels
    places, names = [row // answers._rows.samples for row in answers._picked], {*taken}
    for number, name in enumerate(frame.index.names):
        if name is not None:
            free = _whole(str(name))
            while free in names or free in levels:
                free += "_index"
            levels[free] = list(frame.index.get_level_values(number)[places])
    return levels


def _last(names: Sequence[str]) -> str:
    """The name of the last column beside these."""
    return frames.renamed([OURS], names)[0]


def _whole(text: str) -> str:
    """The text, in which half a character, which no file in UTF-8 can hold, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# --- .jsonl --------------------------------------------------------------------------------------------


def _other(value: Any) -> object:
    """A value that JSON has none of its own for: of NumPy's its own, else what it reads as."""
    if is_missing(value):
        return None
    return value.item() if type(value).__module__ == "numpy" and not value.shape else _whole(str(value))


_encode = msgspec.json.Encoder(enc_hook=_other).encode


def _json(value: Any) -> bytes:
    """The value as JSON; what JSON cannot hold, as it reads."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _encode(_whole(str(value)))


def _write_jsonl(path: Path, answers: Answers, records: Iterable[bytes]) -> None:
    names, rows = _table(answers)
    last = _last(names)
    with path.open("wb") as file:
        for row, record in zip(rows, records, strict=True):
            cells = {name: msgspec.Raw(_json(value)) for name, value in row.items()}
            file.write(msgspec.json.encode({**cells, last: msgspec.Raw(record)}) + b"\n")


_LAST = re.compile("[\udc80-\udcff]{0,3}\\Z")  # of a letter that was cut off


def _in_utf8(lines: Iterable[str]) -> Iterator[str]:
    """The lines, whose bytes that are none of UTF-8 are escaped as half characters. Raises NotUtf8.

    The last one may break off within a letter.
    """
    broken = False
    for line in lines:
        if broken:
            raise NotUtf8
        text = line if line.isascii() else _LAST.sub("", line)
        broken = text != line
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise NotUtf8 from exc
        yield text


def _read_jsonl(path: Path, whole: bool) -> Iterator[Cells]:
    decode, ours = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode, False
    with path.open("rb") as file:
        for text in _in_utf8(line.decode("utf-8", "surrogateescape") for line in file):
            line = text.encode()
            try:
                row = decode(line.removeprefix(_BOM))
            except ValueError:  # a line that was cut off
                if not line.isspace():
                    yield {"": line}, b""
                continue
            if not ours:
                _ours([*row])
                ours = True
            held = bytes(row.popitem()[1]) if row else b""
            yield {name: bytes(value) for name, value in row.items()}, held
    if not ours:
        raise NotOurs


# --- .csv ----------------------------------------------------------------------------------------------


def _cell(value: Any) -> str:
    """A value as it stands in a .csv."""
    if type(value) is str:
        return _whole(value)
    if is_missing(value):
        return ""
    return _json(value).decode() if isinstance(value, list | tuple | dict) else _whole(str(value))


_PARTS = re.compile(rf'([,;\t])"?{OURS}')


def _write_csv(path: Path, answers: Answers, records: Iterable[bytes]) -> None:
    names, rows = _table(answers)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, _last(names)])
        for row, record in zip(rows, records, strict=True):
            writer.writerow([*(_cell(row.get(name)) for name in names), record.decode()])


def _read_csv(path: Path, whole: bool) -> Iterator[Cells]:
    # The limit is the process's, and by default less than a long answer.
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        parts = _PARTS.findall(file.readline())  # another program may have saved it in its own way
        file.seek(0)
        reader = csv.reader(_in_utf8(file), delimiter=parts[-1] if parts else ",")
        with suppress(csv.Error):  # from there on it is no .csv
            names = next(reader, [])
            _ours(names)
            for cells in reader:
                if len(cells) == len(names):
                    yield dict(zip(names[:-1], cells[:-1], strict=True)), cells[-1].encode()
                elif cells:  # a row that was cut off, or written below
                    yield {str(place): cell for place, cell in enumerate(cells)}, b""
            return
        if not reader.line_num:
            raise NotOurs
        yield {"": "the rest"}, b""


# --- .parquet ------------------------------------------------------------------------------------------


def _write_parquet(path: Path, answers: Answers, records: Iterable[bytes]) -> None:
    pa = arrow()
    try:
        table = frames.to_arrow(answers)
        levels = _levels(answers, table.column_names)
        for place, (name, values) in enumerate(levels.items()):
            table = table.add_column(place, name, frames.arrow_array(pa, name, values))
        texts = pa.array([record.decode() for record in records], pa.string())
        pa.parquet.write_table(table.append_column(_last(table.column_names), texts), path)
    except (pa.ArrowException, ValueError, OverflowError) as exc:
        raise InputError(f"A .parquet cannot hold these columns: {one_line(exc)}. Save as .jsonl.") from exc


def _read_parquet(path: Path, whole: bool) -> Iterator[Cells]:
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _ours(names)
            wanted = names if whole else names[-1:]
            for batch in file.iter_batches(_PIECE, columns=wanted):
                for *cells, held in zip(*map(_values, batch.columns), strict=True):
                    told = held.encode() if isinstance(held, str) else b""
                    yield dict(zip(wanted[:-1], cells, strict=True)), told
    except (pa.ArrowException, ValueError, OverflowError) as exc:
        raise NotOurs from exc


def _values(column: Any) -> Sequence[object]:
    """A column's values, or Arrow's own where Python has none for them: a time in the year 14645."""
    try:
        values: list[object] = column.to_pylist()
    except (ValueError, OverflowError):
        return [*column]
    return values


FORMS = {
    ".jsonl": Form(_write_jsonl, _read_jsonl),
    ".csv": Form(_write_csv, _read_csv),
    ".parquet": Form(_write_parquet, _read_parquet),
}
