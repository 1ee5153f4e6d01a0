"""simulate a robot in furnished rooms, and prove navigation in them

Without --episodes: publishes image, depth, camera_info, odom and /clock of a simulated robot and drives it by cmd_vel,
until Ctrl-C; the nodes run beside it by the line that it prints. With --episodes: runs the nodes too, follows that many
instructions ("Go to the red sofa, and stop in front of it."), and leaves report.html, metrics.json and the episodes in
R2R_VLNCE's format. There a scripted model answers from what lies under the marks of the pictures that it is sent; with
--real-model, the one of your key or of --base-url does.

  cc-ros sim --seed 3 --rooms 2
  cc-ros sim --episodes 10 --out demo-nav
  cc-ros sim --episodes-file R2R_VLNCE_v1-3/val_unseen/val_unseen.json.gz --episodes 50   # with Habitat installed
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cc_ros.commands.options import add_settings, settings_of
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.dds import apart
from cc_ros.errors import SettingsError
from cc_ros.sim.settings import SimSettings

if TYPE_CHECKING:
    from cc_ros.evaluation.benchmarks.r2r import Rules
    from cc_ros.sim.episodes import Episode
    from cc_ros.sim.trial import Trial
    from cc_ros.sim.world import World

REPORT_PERIOD = 10.0  # seconds between two lines that say how fast it goes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the rooms and what stands in them; default 0"
    )
    parser.add_argument("--rooms", type=int, default=2, metavar="N", help="rooms side by side, 1 to 6; default 2")
    add_settings(parser, SimSettings)
    parser.add_argument(
        "--headless",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="--no-headless opens MuJoCo's window on the rooms; not with episodes",
    )
    navigation = parser.add_argument_group("navigation episodes")
    navigation.add_argument("--episodes", type=int, metavar="N", help="follow so many instructions, then report")
    navigation.add_argument("--episodes-file", type=Path, metavar="JSON", help="episodes of R2R_VLNCE, instead of ours")
    navigation.add_argument("--scenes", type=Path, metavar="DIR", help="where Habitat's scenes lie")
    navigation.add_argument("--out", type=Path, default=Path("demo-nav"), metavar="DIR", help="default demo-nav")
    navigation.add_argument("--backend", default="flow", help="tracking, as for `cc-ros up`; default flow")
    navigation.add_argument("--real-model", action="store_true", help="ask the model that the environment configures")
    navigation.add_argument("--base-url", metavar="URL", help="ask the model at this endpoint")
    navigation.add_argument("--model", metavar="NAME", help="its name")


def main(options: argparse.Namespace) -> int:
    """Simulate until interrupted, or run the episodes; return 0 where all of them were reached."""
    settings = settings_of(SimSettings, options)
    if options.episodes is None and options.episodes_file is None:
        need_ros()
        return _simulate(options, settings)
    if options.episodes is not None and options.episodes < 1:
        raise SettingsError(f"--episodes wants at least 1, not {options.episodes}")
    return follow(options, settings)


def follow(
    options: argparse.Namespace,
    settings: SimSettings,
    episodes: Sequence[Episode] = (),
    on_trial: Callable[[Trial], object] = lambda trial: None,
    rules: Rules | None = None,
) -> int:
    """Run episodes; return 0 where all of them were reached, 130 interrupted.

    :param options: of this command.
    :param episodes: instead of those that the options ask for.
    :param on_trial: told each one that has ended.
    :param rules: of discrete actions; None = the robot is driven by speeds.
    """
    apart()
    need_ros()
    from cc_ros.commands.sim_episodes import run_episodes

    with stop_on_signals() as stop:
        return run_episodes(options, settings, stop, episodes, on_trial, rules)


def _simulate(options: argparse.Namespace, settings: SimSettings) -> int:
    from cc_ros.sim.building import build
    from cc_ros.sim.running import mounting, simulated
    from cc_ros.sim.world import MujocoWorld

    building = build(options.seed, options.rooms)

    def make() -> World:
        return MujocoWorld(building, window=not options.headless)

    with stop_on_signals() as stop, simulated(make, settings, stop, options.seed) as node:
        names = ", ".join(placed.piece.name for placed in building.placed)
        print(f"{len(building.rooms)} rooms with {names}")
        print(
            f"{settings.hz:g} pictures a second on image and depth; drive by cmd_vel; Ctrl-C ends it. The nodes for it:"
        )
        camera = node.call(lambda simulation: simulation.world.camera)
        print("  cc-ros up --use-sim-time " + " ".join(mounting(camera)), flush=True)
        while not stop.wait(REPORT_PERIOD):
            print(node.pace(), flush=True)
    return 0
