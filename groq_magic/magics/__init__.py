"""The IPython edge: `%%groq_batch` and `%groq`. What they do: `batch`, `groq`; what can be typed: `options`.

What Tab offers: `completion`, which asks `cursor` where it is and `variables` what there is.

Errors become one paragraph here and only here: `submit()` keeps its traceback. What sends and receives is
imported when a magic first needs it: loading takes no longer than the widgets do.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import traitlets
from IPython.core.completer import CompletionContext, Matcher, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from traitlets.config import Config

from groq_magic import errors, ledger
from groq_magic.costs import DEFAULT_LIMIT_USD
from groq_magic.errors import GroqMagicError, InputError, LedgerError
from groq_magic.magics import options
from groq_magic.prompts import MAX_PROMPTS
from groq_magic.settings import DEFAULT_MODEL, checked_model, limit
from groq_magic.shards import MAX_LINES

if TYPE_CHECKING:
    from groq_magic.answers import Answers

T = TypeVar("T")


class _Usd(traitlets.Float[float, Any]):
    """A number of USD, as `--max-cost` takes it."""

    def validate(self, obj: Any, value: Any) -> float:
        try:
            return limit(math.nan if value is None else value).usd
        except InputError as exc:
            raise traitlets.TraitError(f"GroqMagics.{self.name} is left as it was. {exc.message}") from None


@magics_class
class GroqMagics(Magics):
    """Settings of the Groq magics, for `%config GroqMagics`."""

    model = traitlets.Unicode(DEFAULT_MODEL, help="the model when --model is not given").tag(config=True)
    shard_rows = traitlets.Int(
        MAX_LINES, min=1, max=MAX_LINES, help="at most so many prompts in one file; Groq takes 50,000"
    ).tag(config=True)

    max_prompts = traitlets.Int(
        MAX_PROMPTS, min=1, help="at most so many prompts from a generator or a stream: it may be endless"
    ).tag(config=True)

    max_cost = _Usd(
        DEFAULT_LIMIT_USD,
        help="nothing is sent that is estimated to cost more USD; --max-cost says otherwise for one cell",
    ).tag(config=True)

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell, config=Config())
        self._take(shell.config)
        self.ip = shell  # `shell`, as Magics declares it, might be None
        self.beside: list[Answers] = []
        # The name is for `%config IPCompleter.disable_matchers`.
        self.tab: Matcher = context_matcher(identifier="groq_magic")(lambda context: self._offers(context))

    @traitlets.validate("model")
    def _checked_model(self, proposal: traitlets.Bunch) -> str:
        try:
            return checked_model(proposal.value)
        except InputError as exc:
            raise traitlets.TraitError(f"GroqMagics.model is left as it was. {exc.message}") from None

    def _take(self, config: Config) -> None:
        """Takes what the shell is configured with, one by one: a value that is refused is said and left out.

        `%config` leaves it there even so, and with it no magic could be loaded any more.
        """
        ours = config.get("GroqMagics", {})
        for name in list(ours):
            try:
                self.update_config(Config({"GroqMagics": {name: ours[name]}}))
            except traitlets.TraitError as exc:
                del ours[name]
                print(f"One setting is not taken: {errors.redact(str(exc))}")  # noqa: T201 (at loading)

    @no_var_expand
    @line_cell_magic
    def groq_batch(self, line: str, cell: str | None = None) -> Answers | None:
        """Replaced by `options.help_text`, below."""
        from groq_magic.magics import batch

        return self._at_edge(lambda: batch.run(self, line, cell))

    @no_var_expand
    @line_magic
    def groq(self, line: str) -> Any:
        """Replaced by `options.help_text`, below."""
        from groq_magic.magics import groq

        return self._at_edge(lambda: groq.run(self, line))

    groq_batch.__doc__ = groq.__doc__ = options.help_text()

    def _offers(self, context: CompletionContext) -> SimpleMatcherResult:
        from groq_magic.magics import completion

        return completion.offers(context, self.ip)

    def _at_edge(self, act: Callable[[], T]) -> T:
        """Does it; an error of ours is shown as its message alone, and still stops Run All."""
        try:
            return act()
        except GroqMagicError as exc:
            said = f"{type(exc).__name__}: {exc.message}"
            exc._render_traceback_ = lambda: [said]  # type: ignore[attr-defined]  # IPython's own hook
            raise exc.with_traceback(None) from None

    def next_cell(self, *_: object) -> None:
        """A cell begins: what the last one showed may be shown again."""
        for answers in self.beside:
            answers.beside_card = False
        self.beside.clear()


_loaded: GroqMagics | None = None


def load(shell: InteractiveShell) -> None:
    """Registers the magics; says in one line what this notebook has. Sends nothing."""
    global _loaded
    if _loaded is not None:
        return
    _loaded = GroqMagics(shell)
    shell.register_magics(_loaded)
    shell.events.register("pre_run_cell", _loaded.next_cell)
    shell.Completer.custom_matchers.append(_loaded.tab)
    if said := _greeting():
        print(said)  # noqa: T201 (one line, in the cell that loads)


def _greeting() -> str | None:
    """One line on what this notebook has under way or done; None where there is nothing."""
    try:
        named = ledger.current().named(ledger.notebook())
    except LedgerError as exc:
        return exc.message
    if not named:
        return None
    from groq_magic.magics import groq

    return groq.greeting(named)


def unload(shell: InteractiveShell) -> None:
    """Takes the magics away and stops watching. What was sent runs on; `%groq attach` takes all up again."""
    global _loaded
    if _loaded is None:
        return
    shell.events.unregister("pre_run_cell", _loaded.next_cell)
    with suppress(ValueError):  # somebody has replaced the list
        shell.Completer.custom_matchers.remove(_loaded.tab)
    for kind, names in _loaded.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    configured: list[Any] = shell.configurables
    configured.remove(_loaded)  # where Magics put it, for %config
    _loaded = None
    for name in ("groq_magic.runs", "groq_magic.card.widget"):  # where anything was sent, and shown
        if module := sys.modules.get(name):
            module.leave()
