"""Requests → JSONL files within Groq's limits, and the fingerprint of each request.

The body on the wire is already the canonical one (keys sorted, only what the user set), so a request's
fingerprint is a hash of the bytes that are sent. Constant parts are encoded once. Everything is written
into a folder that the caller discards on any error: nothing is half cut.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import xxhash

from groq_magic import wire
from groq_magic.errors import InputError
from groq_magic.prompts import Line, Message, Prompts, Skipped, checks, rules
from groq_magic.prompts.blocks import AT_ONCE, all_texts, raising, taken

# https://console.groq.com/docs/batch: 50,000 lines; the guide says 200 MB, the API reference 100 MB.
MAX_LINES = 50_000
MAX_BYTES = 100_000_000
MAX_ROWS = 100_000_000  # prompts times samples of one submission: by far more than anybody means to send
SCOUT_FROM, SCOUT_LINES = 5_000, 1_000  # so that real answers are on the card early

SEVERAL = "*"
"""The form of a shard whose requests have several: any of them may be equal to any other."""

SKIPPED = "skipped.jsonl"
"""Beside the shards: the rows that are not sent."""

_HELD = 4_000_000  # characters that are encoded in one go


def _plain(value: object) -> str:
    """A text of a subclass of str, which the encoder does not know, as a plain one."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


_encode = msgspec.json.Encoder(order="sorted", enc_hook=_plain).encode
_encode_as_it_is = msgspec.json.Encoder(enc_hook=_plain).encode


def canonical(body: Mapping[str, Any]) -> bytes:
    """A body, or some of its fields, as it goes on the wire: keys sorted, nothing added.

    But for the properties of a JSON Schema: in their order a model writes its answer.
    """
    asked = body.get("response_format")
    if isinstance(asked, Mapping) and asked.get("type") == "json_schema":
        body = {**body, "response_format": msgspec.Raw(_encode_as_it_is(_but_properties(asked)))}
    return _encode(body)


def _but_properties(value: Any) -> Any:
    """A JSON value with the keys of its objects sorted, but for those below `properties`."""
    if isinstance(value, list | tuple):
        return [_but_properties(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: (
            {name: _but_properties(each) for name, each in value[key].items()}
            if key == "properties" and isinstance(value[key], Mapping)
            else _but_properties(value[key])
        )
        for key in sorted(value)
    }


@dataclass(frozen=True)
class Cut:
    """One shard on disk: `lines` requests, for rows from `first_row` on, or for those of `row_map` in order.

    `size` is in bytes. `fingerprints` holds 16 bytes for each line, in order. `prefix` begins our custom_ids,
    which end with the line's number; it is empty where the ids are the user's own. `form` is what is known of
    all its requests: only those of one form can be equal. `content` is what this file is known by: the same
    prompts cut in the same way have it on every machine.
    """

    number: int
    path: Path
    first_row: int
    lines: int
    size: int
    fingerprints: bytes
    prefix: str
    form: str
    content: str
    row_map: array[int] | None = None

    @property
    def rows(self) -> Sequence[int]:
        """The rows of the submission that it asks about, in the order of its lines."""
        return self.row_map or range(self.first_row, self.first_row + self.lines)


class Form:
    """What all requests of a submission share, encoded once: everything but the prompt."""

    def __init__(
        self,
        model: str,
        *,
        system: str | None = None,
        options: Mapping[str, Any] | None = None,
        endpoint: str = wire.CHAT,
    ) -> None:
        self.endpoint = endpoint
        self._system = system
        constant = {"model": model, **(options or {})}
        before = {k: constant[k] for k in sorted(constant) if k < "messages"}
        after = {k: constant[k] for k in sorted(constant) if k > "messages"}
        if fault := rules.json_fault({**constant, "system": system}, "options"):
            raise InputError(f"An option cannot be written as JSON: {fault}.")
        self._head = canonical(before)[:-1] + (b"," if before else b"") + b'"messages":'
        self._tail = b"," + canonical(after)[1:]
        opening = b"[" if system is None else b"[" + _encode(_message("system", system)) + b","
        self.text_head = self._head + opening + b'{"content":'
        self.text_tail = b',"role":"user"}]' + self._tail
        self.key = xxhash.xxh3_64_hexdigest(b"\n".join((endpoint.encode(), self._head, self._tail)))[:12]

    def body(self, prompt: str | list[Message]) -> bytes:
        """The canonical JSON body that sends this prompt, which `prompts.checks` has let pass."""
        if isinstance(prompt, str):
            return self.text_head + _encode(prompt) + self.text_tail
        messages = prompt if self._system is None else [_message("system", self._system), *prompt]
        return self._head + _encode(messages) + self._tail


def _message(role: str, content: str) -> dict[str, str]:
    return {"content": content, "role": role}


def fingerprint(endpoint: str, body: bytes, sample: int = 1) -> bytes:
    """The 16 bytes that a request is known by, within a service and take."""
    return xxhash.xxh3_128_digest(endpoint.encode() + b"\n" + body + _of_sample(sample))


def _of_sample(sample: int) -> bytes:
    """What tells a further sample of a request from the first; no JSON body ends like it."""
    return b"" if sample == 1 else b"~%d" % sample


def content_hash(cuts: list[Cut], salt: bytes = b"") -> str:
    """What a whole submission is known by: 32 hex digits over its requests in order, and over given ids.

    Where one shard ends and the next begins makes no difference. `salt` tells apart submissions of the same
    requests.
    """
    state = xxhash.xxh3_128(salt)
    for cut in cuts:
        state.update(cut.fingerprints)
    for cut in cuts:
        if not cut.prefix:
            for each in _ids_in(cut.path):
                state.update(each)
    return state.hexdigest()


def repeats(cuts: Sequence[Cut]) -> int:
    """How many rows of a submission ask what another row of it asks."""
    return sum(len(part) - len({*part}) for part in _parted(cuts))


def asked_twice(cuts: Sequence[Cut]) -> set[int]:
    """The `halves` of fingerprints that several rows of a submission have."""
    counts = (Counter(part) for part in _parted(cuts))
    return {half for part in counts for half, count in part.items() if count > 1}


def halves(cut: Cut) -> array[int]:
    """Half the fingerprint of each line, as a number: enough to tell rows apart that are to be counted."""
    both = array("Q", cut.fingerprints)
    return both[::2]


def _parted(cuts: Sequence[Cut]) -> list[array[int]]:
    """The halves of all rows in parts that have none in common, so that little is looked at at once."""
    count = 1 + sum(cut.lines for cut in cuts) // 100_000
    parts = [array("Q") for _ in range(count)]
    put = [part.append for part in parts]
    for cut in cuts:
        for half in halves(cut):
            put[half % count](half)
    return parts


def content_of(fingerprints: bytes, path: Path, prefix: str) -> str:
    """What one file is known by: 32 hex digits over its requests, its ids, and their order."""
    return _content(fingerprints, prefix.encode() or b"".join(_ids_in(path)))


def _content(fingerprints: bytes, ids: bytes) -> str:
    state = xxhash.xxh3_128(fingerprints)
    state.update(ids)
    return state.hexdigest()


def _ids_in(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield wire.request_id(line).encode() + b"\n"


def cut(
    prompts: Prompts,
    form: Form,
    folder: Path,
    max_lines: int = MAX_LINES,
    samples: int = 1,
    tick: Callable[[int], None] = lambda rows: None,
) -> list[Cut]:
    """Writes the shards of a submission into `folder` and says what was written.

    `tick` is told now and then how many prompts were cut. Each prompt becomes `samples` rows, one after the
    other; of the user's own ids, `id` stands for the first and `id~2` for the second. Rows that are skipped
    are written beside the shards, see `skipped`.
    Raises InputError, naming the prompt's row, for what cannot be sent; the files are then of no use.
    """
    cutter = _Cutter(prompts, form, folder, samples, tick)
    with closing(cutter):
        _check_rows((prompts.count or 0) * samples)
        limit = min(SCOUT_LINES, max_lines) if cutter.many() else max_lines
        while cutter.one(limit):
            limit = max_lines
            _check_rows(cutter.rows)
    cutter.tell()
    if not cutter.done:
        raise InputError("Every row misses a value that is used, so all would be skipped: nothing was sent.")
    return cutter.done


def _check_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise InputError(
            f"These are more than {MAX_ROWS:,} prompts, samples counted: send them in several batches."
        )


class SkippedRow(msgspec.Struct, frozen=True):
    """A row that is not sent, since `missing` is missing in it; `id` is the user's own, if there is one."""

    row: int
    missing: str
    id: str | None = None


_decode_skipped = msgspec.json.Decoder(SkippedRow).decode


def skipped(folder: Path) -> list[SkippedRow]:
    """The rows of the submission in this folder that are not sent, in order."""
    path = folder / SKIPPED
    if not path.exists():
        return []
    with path.open("rb") as file:
        return [_decode_skipped(line) for line in file]


_AFTER_ID = b'","method":"POST","url":"'


@dataclass(frozen=True)
class Request:
    """A line of a shard that is cut once more, for row `row` of a submission."""

    row: int
    line: bytes
    fingerprint: bytes


def cut_again(
    requests: Iterable[Request],
    form: str,
    folder: Path,
    max_lines: int = MAX_LINES,
    *,
    given_ids: bool,
    begin: int = 0,
    max_bytes: int = MAX_BYTES,
) -> list[Cut]:
    """Writes lines that were cut before into shards of their own, numbered from `begin`, under new ids.

    `form` is "" for requests that must not be found by others; see `Cut`.
    """
    done: list[Cut] = []
    waiting = iter(requests)
    first = next(waiting, None)
    while first is not None:
        number = begin + len(done)
        prefix = "" if given_ids else f"{form if form.isalnum() else 'again'}-{number}x{first.row}-"
        path = folder / f"shard-{number:04}.jsonl"
        rows, digests, size = array("I"), bytearray(), 0
        with path.open("xb") as file:
            one: Request | None = first
            while one is not None:
                line = one.line if given_ids else _renamed(one.line, prefix, len(rows))
                if len(rows) == max_lines or (rows and size + len(line) > max_bytes):
                    break
                file.write(line)
                rows.append(one.row)
                digests += one.fingerprint
                size += len(line)
                one = next(waiting, None)
            first = one
            file.flush()
            os.fsync(file.fileno())
        prints = bytes(digests)
        content = content_of(prints, path, prefix)
        done.append(Cut(number, path, rows[0], len(rows), size, prints, prefix, form, content, rows))
    return done


def _renamed(line: bytes, prefix: str, number: int) -> bytes:
    """A line of ours under another id."""
    return b'{"custom_id":"%b%d%b' % (prefix.encode(), number, line[line.index(_AFTER_ID) :])


class _Shard:
    """A file while it is written: how many `lines` and bytes of `size` it has, and of which rows.

    These follow one another from `first` on, unless `gaps` names them. `ids` are those given, one a line.
    """

    def __init__(self, file: BinaryIO, prefix: str, first: int) -> None:
        self.prefix, self.first = prefix, first
        self.lines = self.size = 0
        self.digests, self.ids, self.forms = bytearray(), bytearray(), set[str]()
        self.gaps: array[int] | None = None
        self._file = file

    def add(self, lines: bytes, digests: bytes, rows: range, ids: Iterable[str] = ()) -> None:
        """Writes the lines of these rows."""
        self._file.write(lines)
        self.ids += "".join(f"{each}\n" for each in ids).encode()
        self.digests += digests
        self.lines += len(rows)
        self.size += len(lines)
        if self.gaps is not None:
            self.gaps.extend(rows)

    def skip(self, row: int) -> None:
        """Leaves out this row, which would be next."""
        if not self.lines:
            self.first = row + 1
        elif self.gaps is None:
            self.gaps = array("I", range(self.first, row))


class _Cutter:
    """Cuts one file after the other from one stream of prompts."""

    def __init__(
        self, prompts: Prompts, form: Form, folder: Path, samples: int, tick: Callable[[int], None]
    ) -> None:
        self.done: list[Cut] = []
        self._samples, self._count = samples, prompts.count
        self._items = iter(prompts.items)
        self._ids = iter(prompts.ids) if prompts.ids is not None else None
        if samples > 1:
            self._items = (item for item in prompts.items for _ in range(samples))
            self._ids = _sampled(prompts.ids, samples) if prompts.ids is not None else None
        self._form, self._folder, self._tick = form, folder, tick
        self._hash_head = _around(form.endpoint)[1] + form.text_head
        self._row = 0
        self._aside: BinaryIO | None = None

    @property
    def rows(self) -> int:
        """How many rows there are so far."""
        return self._row

    def many(self) -> bool:
        """Whether there are, or may be, so many rows that the first shard is to be a small one."""
        return self._count is None or self._count * self._samples >= SCOUT_FROM

    def tell(self) -> None:
        """Tells how many prompts were cut."""
        self._tick(self._row // self._samples)

    def one(self, max_lines: int) -> bool:
        """Writes one shard; False when there was nothing left to write."""
        number = len(self.done)
        prefix = f"{self._form.key}-{number}-" if self._ids is None else ""
        path = self._folder / f"shard-{number:04}.jsonl"
        with path.open("xb") as file:
            shard = _Shard(file, prefix, self._row)
            self._fill(shard, max_lines)
            file.flush()
            os.fsync(file.fileno())
        if not shard.lines:
            path.unlink()
            return False
        forms, digests = shard.forms, bytes(shard.digests)
        form = self._form.key if not forms else SEVERAL if len(forms) > 1 else forms.pop()
        content = _content(digests, prefix.encode() or bytes(shard.ids))
        self.done.append(
            Cut(
                number, path, shard.first, shard.lines, shard.size, digests, prefix, form, content, shard.gaps
            )
        )
        return True

    def _fill(self, shard: _Shard, max_lines: int) -> None:
        """Writes up to `max_lines` lines of what comes next, as many as the file may hold."""
        line = _line_of_text(self._form, shard.prefix)
        at_once = max(1, min(AT_ONCE, _HELD // len(line)))
        full = False
        while not full and shard.lines < max_lines:
            self.tell()
            block, failed = taken(self._items, min(at_once, max_lines - shard.lines))
            if failed is not None:
                if not block:
                    raise failed
                self._items = raising(failed)  # what came before it goes first
            elif not block:
                return
            full = not (self._in_one_go(shard, block, line) or self._one_by_one(shard, block))

    def _in_one_go(self, shard: _Shard, block: list[Any], line: bytes) -> bool:
        """Writes texts, each of them a row; False, with nothing done, where any needs a closer look."""
        if self._samples > 1 or not all_texts(block) or sum(map(len, block)) > _HELD:
            return False
        first, count = self._row, len(block)
        given = None if self._ids is None else list(islice(self._ids, count))
        try:
            texts = _each_escaped(block)
            names = range(shard.lines, shard.lines + count) if given is None else _each_escaped(given)
            lines = line * count % tuple(chain.from_iterable(zip(names, texts, strict=True)))
        except ValueError:
            lines = None
        if lines is None or shard.size + len(lines) > MAX_BYTES:
            self._ids = None if self._ids is None or given is None else chain(given, self._ids)
            return False
        head, tail = self._hash_head + b'"', b'"' + self._form.text_tail
        digests = map(xxhash.xxh3_128_digest, [head + text + tail for text in texts])
        shard.add(lines, b"".join(digests), range(first, first + count), given or ())
        self._row += count
        return True

    def _one_by_one(self, shard: _Shard, block: list[Any]) -> bool:
        """Writes prompts of any kind; False where the file is full, and the rest of them put back."""
        form, ids, samples = self._form, self._ids, self._samples
        middle, hash_head = _around(form.endpoint)
        given = ""
        for n, item in enumerate(block):
            row = self._row
            if type(item) is Skipped:
                self._skip(row, item, next(ids) if ids is not None else None)
                shard.skip(row)
                self._row += 1
                continue
            try:
                if type(item) is Line:
                    middle, hash_head = _around(item.url)
                    body = canonical(item.body)
                    shard.forms.add(form_of(item.url, item.body))
                else:
                    body = form.body(item)
                if ids is None:
                    line = b'{"custom_id":"%b%d%b%b}\n' % (shard.prefix.encode(), shard.lines, middle, body)
                else:
                    given = next(ids)
                    line = b'{"custom_id":%b%b%b}\n' % (_encode(given), middle[1:], body)
            except UnicodeEncodeError as exc:
                raise checks.surrogate_error(row // samples) from exc
            except InputError:
                raise
            except (TypeError, ValueError, RecursionError) as exc:
                raise InputError(f"Row {row // samples} cannot be written as JSON: {exc}.") from exc
            if shard.size + len(line) > MAX_BYTES:
                if len(line) > MAX_BYTES:
                    raise InputError(
                        f"Row {row // samples} alone is {len(line) / 1e6:,.0f} MB; Groq takes files of up to "
                        f"{MAX_BYTES / 1e6:,.0f} MB. Shorten it or split it."
                    )
                self._items = chain(block[n:], self._items)
                self._ids = chain((given,), ids) if ids is not None else None
                return False
            of_sample = _of_sample(row % samples + 1)
            digest = xxhash.xxh3_128_digest(hash_head + body + of_sample)
            shard.add(line, digest, range(row, row + 1), () if ids is None else (given,))
            self._row += 1
        return True

    def _skip(self, row: int, item: Skipped, given: str | None) -> None:
        if self._aside is None:
            self._aside = (self._folder / SKIPPED).open("xb")
        missing = item.missing.encode("utf-8", "replace").decode()
        self._aside.write(_encode(SkippedRow(row, missing, given)) + b"\n")

    def close(self) -> None:
        """Makes sure that what was written about skipped rows is on disk."""
        if self._aside is not None:
            self._aside.flush()
            os.fsync(self._aside.fileno())
            self._aside.close()


def _around(endpoint: str) -> tuple[bytes, bytes]:
    """What stands between a line's id and its body, and what its fingerprint begins with."""
    url = _encode(endpoint)
    return b'","method":"POST","url":%b,"body":' % url, endpoint.encode() + b"\n"


def _line_of_text(form: Form, prefix: str) -> bytes:
    """The line of a text, as a format of its id (or of the number that ends it) and of the text, escaped."""
    middle, _ = _around(form.endpoint)
    begin = b'{"custom_id":"%b' % prefix.encode()
    between, end = middle + form.text_head + b'"', b'"' + form.text_tail
    begin, between, end = (each.replace(b"%", b"%%") for each in (begin, between, end))
    return begin + (b"%d" if prefix else b"%b") + between + b"%b" + end + b"}\n"


_BETWEEN, _ESCAPED = "\x1f", rb"\u001f"  # a sign that hardly any text has


def _each_escaped(texts: list[str]) -> list[bytes]:
    """Each text as JSON without its quotes. Raises ValueError where it takes a look at each by itself.

    They are encoded as one: a text that is encoded itself keeps the bytes for as long as it lives, and the
    user's own would take twice the memory.
    """
    found = _encode(_BETWEEN.join(texts))[1:-1].split(_ESCAPED)
    if len(found) != len(texts):
        raise ValueError("a text holds what stands between texts")
    return found


def form_of(endpoint: str, body: Mapping[str, Any]) -> str:
    """The form that a whole request has: what it shares with those that differ in their messages alone."""
    options = {key: value for key, value in body.items() if key not in ("model", "messages")}
    return _form_of(endpoint, str(body.get("model")), canonical(options))


@lru_cache(maxsize=1_024)
def _form_of(endpoint: str, model: str, options: bytes) -> str:
    return Form(model, options=msgspec.json.decode(options), endpoint=endpoint).key


def _sampled(ids: Iterable[str], samples: int) -> Iterator[str]:
    """The ids of all samples of all prompts, as they come. Raises InputError where that makes one twice."""
    seen: set[str] = set()
    for given in ids:
        for found in (given, *(f"{given}~{n}" for n in range(2, samples + 1))):
            if found in seen:
                raise InputError(
                    f"The id {found!r} would be that of a sample of another row, too: ids may not end with "
                    f"~2 to ~{samples} here."
                )
            seen.add(found)
            yield found
