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
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.commands.options import add_settings, settings_of
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.errors import CCError, SettingsError
from cc_ros.sim.settings import SimSettings

if TYPE_CHECKING:
    from cc_ros.sim.camera import Camera
    from cc_ros.sim.node import SimNode
    from cc_ros.sim.world import World

START = 180.0  # seconds that the nodes may take to start on a busy machine
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
    # Apart from other robots on this network and machine.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    need_ros()
    from cc_ros.commands.sim_episodes import run_episodes

    with stop_on_signals() as stop:
        return run_episodes(options, settings, stop)


def mounting(camera: Camera) -> list[str]:
    """Return the options of ``cc-ros up`` that tell the nodes where the camera sits."""
    values = {"camera_x": camera.x, "camera_z": camera.z, "camera_pitch": camera.pitch}
    nodes = ("cc_tracker", "cc_keyframes")
    return [
        word
        for node in nodes
        for name, value in values.items()
        for word in ("--param", f"{node}:camera.{name}:={value}")
    ]


def _simulate(options: argparse.Namespace, settings: SimSettings) -> int:
    from cc_ros.sim.building import build
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


@contextmanager
def simulated(
    make: Callable[[], World], settings: SimSettings, stop: threading.Event, seed: int, **options: Any
) -> Iterator[SimNode]:
    """Run the simulated robot in threads of this process; yield its node once pictures come.

    :param options: of :class:`~cc_ros.sim.node.SimNode`.

    :raises CCError: it cannot be simulated or rendered here.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from cc_ros.nodes.runtime import init
    from cc_ros.sim.node import SimNode

    init(["--ros-args"])
    node = SimNode(make, settings, seed, **options)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    over = threading.Event()
    failed: list[Exception] = []

    def simulate() -> None:
        try:
            node.run(over)
        except Exception as error:  # told in the thread that waits
            failed.append(error)
            node.ready.set()
            stop.set()

    def spin() -> None:
        while not over.is_set():
            executor.spin_once(timeout_sec=0.1)

    threads = [threading.Thread(target=work, name=f"cc_sim_{work.__name__}") for work in (simulate, spin)]
    for thread in threads:
        thread.start()
    try:
        if not node.ready.wait(START):
            raise CCError(f"the simulator showed no picture within {START:.0f} s")
        if not failed:
            yield node
    finally:
        over.set()
        for thread in threads:
            thread.join(5.0)
        executor.shutdown(2.0)
        node.destroy_node()
        rclpy.try_shutdown()
    if failed:
        raise failed[0]
