import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from groq_magic import errors, keys, vaults
from groq_magic.errors import GroqMagicError, InputError, KeyMissing

KEY, OTHER = "gsk_fromEnvironment0001", "gsk_fromDotEnv00000002"
REAL = vaults.kept  # before the tests' own stand-in takes its place
TYPED, KEPT, COLABS = "gsk_typedHere00000003", "gsk_fromKeyring0000004", "gsk_fromColab00000005"


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key was typed, and this machine's keyring is not there."""
    keyring(monkeypatch, None)
    monkeypatch.setitem(sys.modules, "google.colab", None)
    monkeypatch.setattr(vaults, "kept", REAL)
    monkeypatch.setattr(vaults, "_silent", False)
    monkeypatch.setattr(vaults, "_last", {})
    yield
    keys.use(None)


def keyring(monkeypatch: pytest.MonkeyPatch, get: Callable[[str, str], str | None] | None) -> None:
    """From now on the library `keyring` is a stand-in whose `get_password` is `get`; None: there is none."""
    module = ModuleType("keyring") if get else None
    if module is not None:
        module.get_password = get
    monkeypatch.setitem(sys.modules, "keyring", module)


def colab(monkeypatch: pytest.MonkeyPatch, get: Callable[[str], str]) -> None:
    """From now on this is a kernel of Colab's, whose `userdata.get` is `get`."""
    userdata = ModuleType("google.colab.userdata")
    userdata.get = get
    for name, module in (("google", ModuleType("google")), ("google.colab", ModuleType("google.colab"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "google.colab.userdata", userdata)


def never(*_: str) -> str:
    """What must not be asked."""
    raise AssertionError("asked")


def dotenv(folder: Path, *lines: str) -> Path:
    """A `.env` with these lines."""
    path = folder / ".env"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_environment_comes_before_a_dotenv(tmp_path: Path) -> None:
    """Where both hold a key, the environment's is used."""
    dotenv(tmp_path, f"GROQ_API_KEY={OTHER}")
    found = keys.find({"GROQ_API_KEY": KEY}, tmp_path)
    assert (found.key, found.key_from) == (KEY, "GROQ_API_KEY")


@pytest.mark.parametrize("environ", [{}, {"GROQ_API_KEY": ""}, {"GROQ_API_KEY": "  "}])
def test_a_dotenv_beside_the_notebook_is_used(environ: dict[str, str], tmp_path: Path) -> None:
    """Without a key in the environment, an empty one included, the `.env` in the folder gives it."""
    path = dotenv(tmp_path, "# mine", f'GROQ_API_KEY="{OTHER}"')
    found = keys.find(environ, tmp_path)
    assert (found.key, found.key_from, found.base_url) == (OTHER, str(path), "https://api.groq.com")


def test_a_dotenv_in_a_parent_folder_is_used(tmp_path: Path) -> None:
    """A `.env` above the working folder counts, and the nearest one wins."""
    inner = tmp_path / "course" / "lesson"
    inner.mkdir(parents=True)
    dotenv(tmp_path, f"GROQ_API_KEY={KEY}")
    assert keys.find({}, inner).key == KEY
    dotenv(inner.parent, f"GROQ_API_KEY={OTHER}")
    assert keys.find({}, inner).key == OTHER


def test_the_working_folder_is_where_the_search_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder named, the process's own is taken."""
    dotenv(tmp_path, f"GROQ_API_KEY={OTHER}")
    monkeypatch.chdir(tmp_path)
    assert keys.find({}).key == OTHER


def test_a_dotenv_is_not_expanded(tmp_path: Path) -> None:
    """`$` in a value is text: a file cannot draw other variables into a key."""
    dotenv(tmp_path, "GROQ_API_KEY=gsk_${HOME}")
    assert keys.find({}, tmp_path).key == "gsk_${HOME}"


@pytest.mark.parametrize(
    ("notebook", "ways"),
    [(True, ("%groq sandbox", "%groq key", ".env")), (False, ("GROQ_API_KEY", ".env"))],
)
def test_without_a_key_the_error_names_the_ways_to_give_one(
    notebook: bool, ways: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key at all is an error that names what can be typed here; in a script no magic."""
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: object() if notebook else None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    dotenv(tmp_path, "OTHER=1")
    with pytest.raises(KeyMissing) as caught:
        keys.find({}, tmp_path)
    assert all(way in caught.value.message for way in ways)
    assert ("%groq" in caught.value.message) == notebook


# --- typed here, in a keyring, at Colab -----------------------------------------------------------------


def test_keys_are_looked_for_in_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed, the environment, `.env`, the keyring, Colab's secrets: each names its place."""
    keyring(monkeypatch, lambda service, user: KEPT)
    colab(monkeypatch, lambda name: COLABS)
    path = dotenv(tmp_path, f"GROQ_API_KEY={OTHER}")
    keys.use(keys.Key(TYPED))
    environ, found = {"GROQ_API_KEY": KEY}, []
    for over in (
        lambda: keys.use(None),
        environ.clear,
        path.unlink,
        lambda: keyring(monkeypatch, None),
        lambda: None,
    ):
        service = keys.find(environ, tmp_path)
        found.append((service.key, service.key_from))
        over()
    assert found == [
        (TYPED, "%groq key"),
        (KEY, "GROQ_API_KEY"),
        (OTHER, str(path)),
        (KEPT, "the keyring"),
        (COLABS, "Colab's secrets"),
    ]


def test_a_keyring_is_asked_for_our_own_entry_and_only_where_nothing_else_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a keyring nor Colab is asked where the environment has a key, or with `at_hand`."""
    asked: list[tuple[str, ...]] = []
    keyring(monkeypatch, lambda *names: asked.append(names))
    colab(monkeypatch, lambda *names: asked.append(names))
    keys.find({"GROQ_API_KEY": KEY}, tmp_path)
    for at_hand in (True, False):
        assert asked == []
        with pytest.raises(KeyMissing):
            keys.find({}, tmp_path, at_hand=at_hand)
    assert asked == [("groq_magic", "GROQ_API_KEY"), ("GROQ_API_KEY",)]


@pytest.mark.parametrize("said", [RuntimeError("No backend"), KeyError("locked"), None, "", "  ", 7])
def test_a_keyring_that_gives_nothing_counts_as_no_keyring(
    said: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises or returns in place of a key, the next place is looked at, and the line is ours."""

    def get(*_: str) -> str:
        if isinstance(said, Exception):
            raise said
        return said

    keyring(monkeypatch, get)
    colab(monkeypatch, get)
    with pytest.raises(KeyMissing) as caught:
        keys.find({}, tmp_path)
    assert caught.value.__context__ is None
    colab(monkeypatch, lambda name: COLABS)
    assert keys.find({}, tmp_path).key == COLABS


def test_a_keyring_that_hangs_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for somebody to unlock it costs its time once, and stands for no key from then on."""
    monkeypatch.setattr(vaults, "_ANSWERED_BY_S", 0.05)
    opened, asked = threading.Event(), []

    def get(*names: str) -> str:
        asked.append(names)
        opened.wait(30)
        return KEPT

    keyring(monkeypatch, get)
    for _ in range(2):
        with pytest.raises(KeyMissing):
            keys.find({}, tmp_path)
    opened.set()
    assert len(asked) == 1


def test_colab_is_asked_on_the_main_thread_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread has what the main thread was told, and asks nobody itself."""
    colab(monkeypatch, lambda name: COLABS)
    found: list[str] = []

    def look() -> None:
        try:
            found.append(keys.find({}, tmp_path).key)
        except KeyMissing:
            found.append("")

    for before in (lambda: None, look, lambda: colab(monkeypatch, never)):
        before()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == ["", COLABS, COLABS, COLABS]


def test_a_typed_key_does_not_go_where_a_dotenv_sends_it(tmp_path: Path) -> None:
    """The base URL of a `.env` is its own key's; a typed one and a kept one go where the environment says."""
    dotenv(tmp_path, f"GROQ_BASE_URL={URL}", f"GROQ_API_KEY={OTHER}")
    keys.use(keys.Key(TYPED))
    assert keys.find({}, tmp_path).base_url == keys.GROQ
    assert keys.find({"GROQ_BASE_URL": URL}, tmp_path).base_url == URL


@pytest.mark.parametrize(
    "pasted",
    [
        TYPED,
        f"  {TYPED}\n",
        f'"{TYPED}"',
        f"'{TYPED}',",
        f"`{TYPED}`",
        f"GROQ_API_KEY={TYPED}",
        f'GROQ_API_KEY = "{TYPED}"',
        f'"GROQ_API_KEY={TYPED}"',
        f"export GROQ_API_KEY='{TYPED}';",
        f'$env:GROQ_API_KEY="{TYPED}"',
        f'os.environ["GROQ_API_KEY"] = "{TYPED}"',
        f'"GROQ_API_KEY": "{TYPED}",',
        f"Bearer {TYPED}",
    ],
)
def test_a_key_is_understood_with_what_was_copied_around_it(pasted: str) -> None:
    """Quotes, the variable's name and a line's other signs are no part of the key."""
    found = keys.typed(pasted, {})
    assert found is not None
    assert (found.key, found.key_from) == (TYPED, "%groq key")


@pytest.mark.parametrize("pasted", ["", "  ", "\n", '""', "GROQ_API_KEY=", "GROQ_API_KEY=''"])
def test_nothing_typed_is_no_key(pasted: str) -> None:
    """An empty answer, with or without what stands around a key, is None."""
    assert keys.typed(pasted, {}) is None


@pytest.mark.parametrize("pasted", ["gsk_two words", "gsk_é", "gsk_a\ngsk_b", "x" * 1_001, "gsk_\x00"])
def test_what_can_be_no_key_is_refused_unseen(pasted: str) -> None:
    """One line says why, without what was typed."""
    with pytest.raises(InputError, match=r"^What was typed ") as caught:
        keys.typed(pasted, {})
    assert pasted[:6] not in caught.value.message


def test_an_import_asks_no_keyring() -> None:
    """`import groq_magic` and its client load neither keyring nor anything of Colab's."""
    code = "import sys, groq_magic.client; print({'keyring', 'google.colab'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


URL = "https://proxy.example"


@pytest.mark.parametrize(
    ("environ", "lines", "base_url"),
    [
        ({"GROQ_API_KEY": KEY, "GROQ_BASE_URL": URL}, [], URL),
        ({"GROQ_API_KEY": KEY}, [f"GROQ_BASE_URL={URL}"], keys.GROQ),
        ({"GROQ_API_KEY": KEY}, [f"GROQ_BASE_URL={URL}", f"GROQ_API_KEY={OTHER}"], keys.GROQ),
        ({}, [f"GROQ_BASE_URL={URL}", f"GROQ_API_KEY={OTHER}"], URL),
        (
            {"GROQ_BASE_URL": "https://mine.example"},
            [f"GROQ_BASE_URL={URL}", f"GROQ_API_KEY={OTHER}"],
            "https://mine.example",
        ),
        ({"GROQ_API_KEY": KEY, "GROQ_BASE_URL": " "}, [], keys.GROQ),
    ],
)
def test_a_base_url_of_a_dotenv_counts_only_with_its_key(
    environ: dict[str, str], lines: list[str], base_url: str, tmp_path: Path
) -> None:
    """A stranger's file cannot send the key of the environment elsewhere."""
    dotenv(tmp_path, *lines)
    found = keys.find(environ, tmp_path)
    assert (found.base_url, found.id) == (base_url, base_url)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://api.groq.com", "https://api.groq.com"),
        ("https://api.groq.com/", "https://api.groq.com"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com"),
        (" https://api.groq.com/openai/v1/ ", "https://api.groq.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://gateway.example/groq/openai/v1", "https://gateway.example/groq"),
    ],
)
def test_a_base_url_is_taken_with_and_without_its_path(given: str, root: str) -> None:
    """`/openai/v1` and a slash at the end make no other service."""
    assert keys.root(given) == root


@pytest.mark.parametrize(
    "given", ["api.groq.com", "ftp://api.groq.com", "https://", "", "http://[::1", "http://a:b", "x y"]
)
def test_what_is_no_base_url_is_refused(given: str) -> None:
    """Without scheme or host, or with a host that is none, an error says how a base URL begins."""
    with pytest.raises(InputError, match="is no base URL"):
        keys.root(given)


@pytest.mark.parametrize("scheme", ["https", "ftp"])
def test_a_password_in_a_base_url_is_refused_and_not_shown(scheme: str) -> None:
    """A user name or password in the URL is not used, and not repeated in the error."""
    with pytest.raises(InputError) as caught:
        keys.root(f"{scheme}://me:secret@proxy.example")
    assert "secret" not in str(caught.value)


BAD = ["gsk_with space", "gsk_with\nnewline", "gsk_with\ttab", "gsk_with\u00e9", "gsk_with\u200b", "gsk_\x00"]


@pytest.mark.parametrize("key", BAD)
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    """A space, line break or foreign sign in a key names its place and keeps the key to itself."""
    with pytest.raises(InputError, match="The key in GROQ_API_KEY holds") as caught:
        keys.find({"GROQ_API_KEY": key})
    assert "with" not in str(caught.value).replace("without", "")


def test_white_space_around_a_key_is_cut_off(tmp_path: Path) -> None:
    """A line break after a pasted key does no harm."""
    assert keys.find({"GROQ_API_KEY": f" {KEY}\n"}, tmp_path).key == KEY


def test_a_key_is_never_in_a_repr(tmp_path: Path) -> None:
    """What is printed of a service names its key's fingerprint at most."""
    found = keys.find({"GROQ_API_KEY": KEY}, tmp_path)
    assert KEY not in f"{found!r} {found} {found.key_fingerprint} {found.badge}"
    assert KEY[4:] not in repr(found)


def test_fingerprints_tell_keys_apart() -> None:
    """Eight hex digits, the same for the same key and others for another."""
    one, same, other = (keys.find({"GROQ_API_KEY": key}).key_fingerprint for key in (KEY, KEY, OTHER))
    assert one == same != other
    assert len(one) == 8
    assert int(one, 16) >= 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY} refused", "key gsk_… refused"),
        (f"{KEY},{OTHER}", "gsk_…,gsk_…"),
        ("Bearer gsk_a-b_C9'", "Bearer gsk_…'"),
        ("nothing here", "nothing here"),
    ],
)
def test_whatever_looks_like_a_key_is_blacked_out(text: str, shown: str) -> None:
    """Every key in a text is replaced, and the rest of it stays."""
    assert errors.redact(text) == shown


@pytest.mark.parametrize(
    "error",
    [
        GroqMagicError(f"a {KEY}"),
        InputError(f"a {KEY}"),
        errors.Refused(401, "invalid_api_key", f"Invalid API Key {KEY}"),
        errors.NoReply(f"a {KEY}", maybe_done=False),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_of_ours_holds_a_key(error: GroqMagicError) -> None:
    """Neither text, repr, message nor traceback of an error shows a key that was in its words."""
    shown = "".join(traceback.format_exception(error)) + f"{error} {error!r} {error.message} {error.args}"
    assert KEY not in shown
    assert "gsk_…" in shown


@pytest.mark.parametrize(
    ("service_id", "base_url", "badge"),
    [
        ("sandbox:1", "file:///tmp/x", "SANDBOX: not a model"),
        ("sandbox:1", "http://127.0.0.1:8000", "SANDBOX: not a model"),
        ("https://api.groq.com", "https://api.groq.com", "api.groq.com"),
        ("http://localhost:8000", "http://localhost:8000", "localhost:8000"),
    ],
)
def test_the_badge_says_where_prompts_go(service_id: str, base_url: str, badge: str) -> None:
    """A host by its name, a sandbox as what it is."""
    assert keys.badge(service_id, base_url) == badge


def test_a_dotenv_without_a_key_hides_none_above_it(tmp_path: Path) -> None:
    """The nearest `.env` that holds a key is used, not the nearest file of that name."""
    (tmp_path / ".env").write_text("GROQ_API_KEY=gsk_above\n")
    below = tmp_path / "below"
    below.mkdir()
    (below / ".env").write_text("OTHER=1\n")
    assert keys.find({}, below).key == "gsk_above"


def test_a_dotenv_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    """A `.env` that cannot be read is one clear line."""
    (tmp_path / ".env").write_bytes(b"GROQ_API_KEY=\xff\xfe")
    with pytest.raises(InputError, match="is a text file in UTF-8"):
        keys.find({}, tmp_path)


def test_a_traceback_with_its_variables_shows_no_key(tmp_path: Path) -> None:
    """What a traceback prints of the frames, the variables' reprs, holds no part of a bad key."""
    with pytest.raises(InputError) as caught:
        keys.find({"GROQ_API_KEY": "gsk_half other-half"}, tmp_path)
    frame = caught.value.__traceback__
    shown = ""
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == keys.__file__:
            shown += repr({k: v for k, v in frame.tb_frame.f_locals.items() if k != "environ"})
        frame = frame.tb_next
    assert "_service" not in shown  # only variables
    assert "other-half" not in shown
