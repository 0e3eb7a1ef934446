"""The command line: `groq-magic demo` and `groq-magic sandbox` (also `python -m groq_magic …`)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from groq_magic import __version__
from groq_magic.errors import GroqMagicError


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

    from groq_magic.sandbox import serve

    if args.home is not None:
        serve(args.home, args.host, args.port, args.pace)
        return 0
    with tempfile.TemporaryDirectory(prefix="groq-magic-sandbox-") as home:
        serve(home, args.host, args.port, args.pace)
    return 0


if __name__ == "__main__":
    sys.exit(main())
