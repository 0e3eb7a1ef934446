"""Files of prompts or rows, read piece by piece: .jsonl, .csv (.tsv), .parquet and .txt."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from groq_magic.errors import InputError
from groq_magic.prompts.checks import nearest, quoted

PIECE = 1_000
"""Items that are held at a time."""

_QUOTED = re.compile(r'"[^"]*"')
_BOM = b"\xef\xbb\xbf"


class File:
    """A file that prompts come from; its columns can be read again, to stand beside the answers."""

    def __init__(self, path: Path) -> None:
        self.named = str(path)
        try:
            self.path = path.expanduser().absolute()
            _check(self.path, self.named)
            self._read = READERS[self.path.suffix.lower()]
            self._seen = self._stamp()
        except (OSError, RuntimeError) as exc:  # a name that no file can have, or a home that is not there
            said = exc.strerror or str(exc) if isinstance(exc, OSError) else str(exc)
            raise InputError(f"no file {quoted(self.named)[:80]}: {said}") from exc

    def _stamp(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns

    def pieces(self) -> Generator[Any]:
        """Lists of texts, conversations, rows or request lines; of .parquet Arrow tables.

        Raises InputError, with the line where it cannot be read.
        """
        try:
            yield from self._read(self.path, quoted(self.named))
            if self._stamp() != self._seen:
                raise InputError(f"{quoted(self.named)} changed while it was read: send it again")
        except UnicodeDecodeError as exc:
            with self.path.open("rb") as file:
                encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
            raise InputError(
                f"{quoted(self.named)} is not UTF-8: {exc.reason}; save it as UTF-8, or read it as it is: "
                f"`--from pd.read_csv({self.named!r}, sep=None, engine='python', encoding={encoding!r})`"
            ) from exc
        except OSError as exc:
            raise InputError(f"{quoted(self.named)} cannot be read: {exc.strerror or exc}") from exc

    def again(self) -> list[Any]:
        """All pieces once more. Raises InputError where the file is not what it was."""
        if not self.path.is_file() or self._stamp() != self._seen:
            raise InputError(
                f"{quoted(self.named)} has changed since its rows were sent, so they cannot stand beside the "
                "answers: put it back, or run the cell again (what was asked before is not sent again)."
            )
        return list(self.pieces())


def _check(path: Path, named: str) -> None:
    """Raises InputError for what cannot be opened as a file of prompts."""
    said = quoted(named)
    if path.is_dir():
        raise InputError(f"{said} is a folder: name one file in it")
    suffix = path.suffix.lower()
    if not path.exists():
        near = nearest(path.name, [each.name for each in path.parent.glob("*")])
        if not near and suffix not in READERS:
            near = f"; {_no_file(named)}"
        raise InputError(f"no file {said} in {path.parent}{near}")
    if suffix not in READERS:
        example = f", for example `--from {_READS[suffix]}({named!r})`" if suffix in _READS else ""
        raise InputError(f"{said} is none of {', '.join(READERS)}: read it first{example}")
    if not path.stat().st_size:
        raise InputError(f"{said} is empty: there is nothing to send")


def _no_file(named: str) -> str:
    """What quotes may have been meant for that name no file."""
    try:
        compile(named, "--from", "eval")
    except (SyntaxError, ValueError):
        return f"a text goes into a list: --from [{named!r}]"
    return f"a Python expression stands without quotes: --from {named}"


_READS = {
    ".json": "pd.read_json",
    ".ndjson": "pl.read_ndjson",
    ".xlsx": "pd.read_excel",
    ".xls": "pd.read_excel",
    ".feather": "pd.read_feather",
    ".arrow": "pl.read_ipc",
    ".html": "pd.read_html",
}


def _jsonl(path: Path, said: str) -> Iterator[list[object]]:
    """The values of its lines; blank lines are none. Split at b"\\n" alone, as JSONL is."""
    decode = msgspec.json.Decoder().decode

    def values() -> Iterator[object]:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.isspace():
                    continue
                try:
                    yield decode(line.removeprefix(_BOM) if number == 1 else line)
                except (ValueError, RecursionError) as exc:
                    raise InputError(f"line {number:,} of {said} is no JSON: {exc}") from exc

    return _in_pieces(values())


def _txt(path: Path, said: str) -> Iterator[list[object]]:
    """Its lines that are not blank, without white space around them."""

    def lines() -> Iterator[object]:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for line in file:
                if text := line.strip():
                    yield text

    return _in_pieces(lines())


def _csv(path: Path, said: str) -> Iterator[list[object]]:
    """Its rows as dicts of texts by the header's names; an empty cell is None. Commas, semicolons or tabs."""
    # The limit is the process's, and by default less than a long prompt.
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))

    def rows() -> Iterator[object]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next((line for line in file if not line.isspace()), "")
            file.seek(0)
            parts = max(",;\t", key=_QUOTED.sub("", first).count)
            reader = csv.reader(file, delimiter=parts, strict=True)
            try:
                header = _header(next((cells for cells in reader if any(map(str.strip, cells))), []), said)
                for cells in filter(None, reader):  # a blank line is no row
                    if len(cells) != len(header):
                        short = f"a cell is missing, or one that holds {parts!r} or a line end is not quoted"
                        long = f"quote a cell that holds {parts!r}"
                        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
                        raise InputError(
                            f"line {reader.line_num:,} of {said} has {count}, the header {len(header)}: "
                            f"{long if len(cells) > len(header) else short}"
                        )
                    yield dict(zip(header, (cell or None for cell in cells), strict=True))
            except csv.Error as exc:
                raise InputError(f"line {reader.line_num:,} of {said} cannot be read: {exc}") from exc

    return _in_pieces(rows())


def _header(names: list[str], said: str) -> list[str]:
    """The columns' names; one without, as pandas writes its index, is called as pandas would call it."""
    names = [name or f"Unnamed: {n}" for n, name in enumerate(names)]
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise InputError(f"{said} has columns of the same name: `{twice}` is there twice; rename one")
    return names


def _parquet(path: Path, said: str) -> Iterator[Any]:
    """Its rows as Arrow tables."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as exc:
        raise InputError(f"reading {said} takes pyarrow: pip install pyarrow") from exc

    def tables() -> Iterator[Any]:
        try:
            for batch in pq.ParquetFile(path).iter_batches(PIECE):
                yield pa.Table.from_batches([batch])
        except pa.ArrowException as exc:
            raise InputError(f"{said} cannot be read: {' '.join(str(exc).split())}") from exc

    return tables()


def _in_pieces(items: Iterator[object]) -> Iterator[list[object]]:
    while piece := list(islice(items, PIECE)):
        yield piece


READERS: dict[str, Callable[[Path, str], Iterator[Any]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".txt": _txt,
}
