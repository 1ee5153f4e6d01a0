"""The ``cc-ros`` command."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from cc_ros import __version__
from cc_ros.errors import CCError

COMMANDS = ("demo", "run", "up", "play", "ask", "follow", "memory", "web", "mcp", "sim", "eval", "doctor")


def main(args: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="cc-ros",
        description="Spatial memory for multimodal language models on ROS 2: tracks every object in a camera stream, "
        "keeps a few frames with the same number on the same object, and answers questions about the scene.",
        epilog="Begin with: cc-ros demo",
    )
    parser.add_argument("--version", action="version", version=f"cc_ros {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    given = sys.argv[1:] if args is None else args
    wanted = given[:1] if given and given[0] in COMMANDS else COMMANDS  # the other modules need not load
    modules = {name: importlib.import_module(f"cc_ros.commands.{name}") for name in wanted}
    for name, module in modules.items():
        text = (module.__doc__ or "").strip()
        command = subparsers.add_parser(
            name,
            help=text.splitlines()[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(command)
    options = parser.parse_args(given)
    try:
        return modules[options.command].main(options)
    except CCError as error:
        print(f"cc-ros {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as in `cc-ros run --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
