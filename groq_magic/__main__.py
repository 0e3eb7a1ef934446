"""The command line: `groq-magic demo` and `groq-magic sandbox` (also `python -m groq_magic …`)."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

from groq_magic import __version__, keys
from groq_magic.errors import GroqMagicError, InputError


def main(argv: list[str] | None = None) -> int:
    """Runs the command; the exit code. A problem is one line on standard error."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except GroqMagicError as exc:
        print(exc.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="groq-magic", description="Groq's Batch API in notebooks.")
    parser.add_argument("--version", action="version", version=f"groq_magic {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="play the first notebook on the sandbox: no key, no network")
    demo.add_argument(
        "--out", type=Path, default=Path("groq-magic-demo"), help="folder for what it makes (%(default)s)"
    )
    demo.add_argument("--lab", action="store_true", help="open JupyterLab on a copy instead")
    demo.set_defaults(run=_demo)

    sandbox = commands.add_parser("sandbox", help="serve the sandbox on a socket and print its URL")
    sandbox.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    sandbox.add_argument("--port", type=_port, default=0, metavar="N", help="port (default: a free one)")
    sandbox.add_argument("--home", type=Path, help="folder of its store (default: a new one that is removed)")
    sandbox.add_argument(
        "--pace",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="seconds that a batch takes (%(default)s: it is completed at the first look)",
    )
    sandbox.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME=CHOICE",
        help="where Groq's documents disagree (--rules lists them); may be given often",
    )
    sandbox.add_argument("--rules", action="store_true", help="list the rules, their choices and defaults")
    sandbox.add_argument(
        "--token",
        help="the only key that is let in, of 8 characters or more "
        "(default: $GROQ_MAGIC_SANDBOX_TOKEN, else any gsk_…)",
    )
    sandbox.set_defaults(run=_sandbox)
    return parser


_LONGEST_PACE_S = 30 * 86_400


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LONGEST_PACE_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more (a month at most)")
    return value


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _demo(args: argparse.Namespace) -> int:
    from groq_magic import demo

    return demo.lab(args.out) if args.lab else demo.play(args.out)


def _sandbox(args: argparse.Namespace) -> int:
    import tempfile

    from groq_magic import sandbox

    if args.rules:
        for name, says in sandbox.RULES.items():
            print(f"{name}={'|'.join(sandbox.choices(name))}\n    {says}")
        print("\nThe first choice of each is the default.")
        return 0
    try:
        rules = sandbox.chosen(args.rule)
    except ValueError as exc:
        raise InputError(f"--rule: {exc}. groq-magic sandbox --rules explains them.") from None
    token = args.token if args.token is not None else os.environ.get(keys.SANDBOX_TOKEN) or None
    if token is not None and (
        len(token) < 8 or not token.isascii() or not token.isprintable() or " " in token
    ):
        where = "--token" if args.token is not None else keys.SANDBOX_TOKEN
        raise InputError(f"{where}: at least 8 characters of ASCII, no spaces.")
    with contextlib.ExitStack() as stack:
        home = args.home or stack.enter_context(tempfile.TemporaryDirectory(prefix="groq-magic-sandbox-"))
        sandbox.serve(home, args.host, args.port, args.pace, rules=rules, token=token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
