"""Options that name a time: ``--since`` and ``--until``, in plain words."""

from __future__ import annotations

import argparse
import time

from cc_ros.errors import SettingsError
from cc_ros.keyframes import KeyframeRequest
from cc_ros.reasoning.when import instant

_HOW = "2026-11-25, '2026-11-25 14:30', 14:30, yesterday, 'this morning', '2 hours ago'"


def add_window(parser: argparse._ActionsContainer) -> None:
    """Add the options of a window."""
    parser.add_argument("--since", metavar="WHEN", default="", help=f"only from then on: {_HOW}")
    parser.add_argument("--until", metavar="WHEN", default="", help="only up to then, such a day included")
    parser.add_argument("--episode", metavar="N", type=int, default=0, help="only this one of `cc-ros memory list`")


def window_of(options: argparse.Namespace, near: int = 0) -> KeyframeRequest:
    """Return the window that the options name.

    :param near: only keyframes that show this mark; 0 = any.
    :raises SettingsError: a time that is none, or an end before the begin.
    """
    now = time.time()
    try:
        since = instant(options.since, now)[0] if options.since else 0.0
        until = instant(options.until, now)[1] if options.until else 0.0
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if options.episode < 0:
        raise SettingsError(f"--episode must be 1 or more, got {options.episode}")
    request = KeyframeRequest(since=since, until=until, episode=options.episode, near=near)
    request.check()
    return request
