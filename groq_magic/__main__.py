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
    sandbox.add_argument("--port", type=int, default=0, help="0 takes a free one (%(default)s)")
    sandbox.add_argument("--home", type=Path, help="folder of its store (default: a new one that is removed)")
    sandbox.add_argument(
        "--pace", type=_seconds, default=0.0, metavar="S", help="seconds that a batch takes (%(default)s)"
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
        default=os.environ.get(keys.SANDBOX_TOKEN) or None,
        help="the only key that is let in (default: $GROQ_MAGIC_SANDBOX_TOKEN, else any gsk_…)",
    )
    sandbox.set_defaults(run=_sandbox)
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds: 0 or more")
    return value


def _demo(args: argparse.Namespace) -> int:
    from groq_magic import demo

    return demo.lab(args.out) if args.lab else demo.play(args.out)


def _sandbox(args: argparse.Namespace) -> int:
    import tempfile

    from groq_magic import sandbox

    if args.rules:
        for name, says in sandbox.RULES.items():
            print(f"{name}={'|'.join(sandbox.choices(name))}\n    {says}")
        return 0
    try:
        rules = sandbox.chosen(args.rule)
    except ValueError as exc:
        raise InputError(f"--rule: {exc}. groq-magic sandbox --rules explains them.") from None
    if args.token is not None and (len(args.token) < 8 or not args.token.isascii() or " " in args.token):
        raise InputError("--token: at least 8 characters, no spaces.")
    with contextlib.ExitStack() as stack:
        home = args.home or stack.enter_context(tempfile.TemporaryDirectory(prefix="groq-magic-sandbox-"))
        sandbox.serve(home, args.host, args.port, args.pace, rules=rules, token=args.token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
