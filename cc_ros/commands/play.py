"""play a rosbag2 (MCAP or sqlite3) in real time

Publishes the recorded messages as they are, with the QoS they were recorded with.

  cc-ros play my_bag --loop
  cc-ros play my_bag --rate 0.5 --clock --topics /camera/image_raw /camera/camera_info
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cc_ros.commands.options import add_settings, settings_of
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from cc_ros.nodes.bag_player import PlaySettings

    parser.add_argument("bag", type=Path, help="folder of a rosbag2, or a .mcap or .db3 file")
    add_settings(parser, PlaySettings)
    parser.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="play only these")
    parser.add_argument(
        "--remap",
        metavar="FROM:=TO",
        action="append",
        default=[],
        help="publish a topic under another name; repeatable",
    )


def main(options: argparse.Namespace) -> int:
    """Play until the end or until interrupted."""
    need_ros()
    from tqdm import tqdm

    from cc_ros.nodes.bag_player import Played, PlaySettings, play

    remap = {}
    for rule in options.remap:
        old, arrow, new = rule.partition(":=")
        if not arrow or not old or not new:
            raise CCError(f"--remap wants FROM:=TO, got {rule!r}")
        remap[old] = new
    with tqdm(total=1.0, bar_format="{percentage:3.0f}%|{bar}| {n:.1f}/{total:.1f} s{postfix}", disable=None) as bar:

        def show(played: Played) -> None:
            bar.total = played.length
            bar.n = min(played.position, played.length)
            bar.set_postfix_str(f"{played.messages} messages")

        with stop_on_signals() as stop:
            played = play(
                options.bag,
                settings_of(PlaySettings, options),
                topics=options.topics,
                remap=remap,
                stop=stop,
                progress=show,
            )
    for topic, why in played.left_out.items():
        print(f"left out {topic}: {why}", file=sys.stderr)
    if played.unheard:
        names = ", ".join(played.unheard)
        print(f"nobody listened to {names} within {options.wait:g} s (--topics plays what it names)", file=sys.stderr)
    print(f"played {played.messages} messages, {played.position:.1f} s of {played.length:.1f} s")
    return 0
