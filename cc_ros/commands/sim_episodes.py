"""Navigation episodes of ``cc-ros sim``: the simulator, the nodes, a model and a driver, put together."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from tqdm import tqdm

from cc_ros.client import SpatialMemory
from cc_ros.commands.beside import nodes_beside
from cc_ros.commands.signals import INTERRUPTED
from cc_ros.errors import CCError, NodeError, SettingsError
from cc_ros.evaluation.benchmarks.r2r import Rules
from cc_ros.sim.building import Building, build
from cc_ros.sim.driver import STALE, Driver
from cc_ros.sim.episodes import Episode, building_of, make_episodes, read_episodes, write_episodes
from cc_ros.sim.marks import FILL
from cc_ros.sim.report import write_results
from cc_ros.sim.running import mounting, simulated
from cc_ros.sim.scripted_model import ScriptedModel, Shown
from cc_ros.sim.settings import SimSettings
from cc_ros.sim.steering import Steps
from cc_ros.sim.trial import Trial, Trials
from cc_ros.sim.world import MujocoWorld, Pose, World

START = 180.0  # seconds that the nodes may take to start on a busy machine
A_BUILDING = 4  # episodes, then comes the next seed
NODES = ("tracker", "keyframes", "reasoner")  # cc_navigator would drive the same base
PARAMETERS = ("cc_keyframes:frames:=12", "cc_keyframes:marks:=30", "cc_keyframes:marks_each:=4")
READABLE = (f"cc_keyframes:mark.fill:={FILL}", "cc_keyframes:mark.outline:=false")  # by the scripted model


def run_episodes(
    options: argparse.Namespace,
    settings: SimSettings,
    stop: threading.Event,
    episodes: Sequence[Episode],
    on_trial: Callable[[Trial], object],
    rules: Rules | None = None,
) -> int:
    """Run episodes; return 0 where all were reached, 130 interrupted.

    :param options: of ``cc-ros sim``.
    :param episodes: none = those that the options ask for.
    :param on_trial: told each one that has ended.
    :param rules: of discrete actions; None = the robot is driven by speeds.
    :raises CCError: something that is needed is missing, or the nodes do not run.
    """
    episodes = episodes or asked_for(options)
    options.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        run = _Run(options, settings, stop, stack, episodes[0], rules)
        for episode in tqdm(episodes, desc="episodes", unit="episode"):
            trial = run.follow(episode)
            if trial is None:
                break
            on_trial(trial)
        run.finish()
    return INTERRUPTED if stop.is_set() else int(not run.all_reached())


def world_maker(episode: Episode, scenes: Any) -> Callable[[], World]:
    """Return what makes the world that an episode takes place in.

    :param scenes: folder of Habitat's scenes, or None.
    """
    building = building_of(episode.scene)
    if building is not None:
        return lambda: MujocoWorld(building)
    from cc_ros.sim.habitat import HabitatWorld

    return lambda: HabitatWorld(episode.scene, scenes, episode.height)


def asked_for(options: argparse.Namespace) -> list[Episode]:
    """Return the episodes that the options of ``cc-ros sim`` ask for; ours are written into their folder.

    :raises CCError: the file of episodes cannot be read or holds none.
    """
    if options.episodes_file is not None:
        given = read_episodes(options.episodes_file)[: options.episodes]
        if not given:
            raise SettingsError(f"{options.episodes_file} holds no episodes")
        return given
    episodes: list[Episode] = []
    seed = options.seed
    while len(episodes) < options.episodes:
        wanted = min(A_BUILDING, options.episodes - len(episodes))
        episodes += make_episodes(build(seed, options.rooms), wanted, seed)
        seed += 1
    episodes = [replace(episode, id=str(number)) for number, episode in enumerate(episodes, 1)]
    options.out.mkdir(parents=True, exist_ok=True)
    write_episodes(options.out / "episodes.json.gz", episodes)
    return episodes


class _Run:
    """Everything that runs while episodes are followed.

    :param stack: ends it all.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        settings: SimSettings,
        stop: threading.Event,
        stack: ExitStack,
        first: Episode,
        rules: Rules | None,
    ) -> None:
        self._options, self._settings, self._stop = options, settings, stop
        self._rules = rules
        scripted = not (options.real_model or options.base_url or options.model)
        if scripted and building_of(first.scene) is None:
            raise SettingsError("the scripted model knows our own rooms alone; give --real-model or --base-url")
        self._done: list[Trial] = []
        self._buildings: dict[str, Building] = {}
        self._shown = Shown()
        self._newest: np.ndarray | None = None
        self._scene = first.scene
        make = world_maker(first, options.scenes)
        self._sim = stack.enter_context(
            simulated(make, settings, stop, options.seed, on_picture=self._on_picture, wait_for_tracker=True)
        )
        world: World = self._sim.call(lambda simulation: simulation.world)
        self._model = stack.enter_context(ScriptedModel(self._shown, world.under)) if scripted else None
        self._nodes = stack.enter_context(nodes_beside(options.out / "nodes.log", self._arguments(world)))
        self._memory = stack.enter_context(SpatialMemory(name="cc_sim_client", wait=START))
        self._wait_for_keyframes()
        spun = stack.enter_context(_spun("cc_sim_driver"))
        sim = self._sim
        steps = None
        if rules is not None:
            steps = Steps(rules, lambda ahead, turn: sim.call(lambda simulation: simulation.act(ahead, turn)))
        stale = max(STALE, 2.5 / settings.hz)
        driver = Driver(spun, world.camera, world.radius, stop, stale, tracks=True, steps=steps)
        self._trials = Trials(self._sim, self._memory, driver, self._jpeg, stop)
        self._sim.measure_pace()

    def follow(self, episode: Episode) -> Trial | None:
        """Run one episode and write the results so far; return None where it was interrupted, which is no episode."""
        if episode.scene != self._scene:
            make = world_maker(episode, self._options.scenes)
            self._sim.call(lambda simulation: simulation.change(make))
            self._scene = episode.scene
            if self._model is not None:
                self._model.under = self._sim.call(lambda simulation: simulation.world).under
        self._shown.clear()
        self._need_nodes()
        try:
            trial = self._trials.run(episode)
        except NodeError as error:
            raise CCError(self._failed(str(error))) from error
        self._need_nodes()  # without them it was no episode
        if self._stop.is_set():
            return None
        self._done.append(trial)
        building = building_of(episode.scene)
        if building is not None:
            self._buildings[episode.scene] = building
        self._write()
        outcome = trial.outcome
        if outcome is not None:
            reached = "reached" if outcome.success else "NOT reached"
            tqdm.write(f"{episode.id}. {episode.instruction} {reached}, {outcome.left:.2f} m left; {trial.said[-1]}")
        return trial

    def finish(self) -> None:
        """Say how it went."""
        if not self._done:
            return
        figures = self._write()
        print(f"SR {figures['sr']:.2f} {figures['intervals']['sr']}, SPL {figures['spl']:.2f}, "
              f"{figures['collisions']} collisions in {figures['episodes']} episodes; {self._sim.pace()}")  # fmt: skip
        print(f"{self._options.out / 'report.html'}, {self._options.out / 'metrics.json'}")

    def all_reached(self) -> bool:
        """Return whether every episode was a success."""
        return all(trial.outcome is not None and trial.outcome.success for trial in self._done)

    def _write(self) -> dict[str, Any]:
        model = "scripted, it sees what lies under the marks" if self._model else self._options.model or "as configured"
        moved = max(trial.moved_after_stop for trial in self._done)
        facts = {"model": model, "odometry's drift": f"{100 * self._settings.drift:g} %", "pace": self._sim.pace(),
                 "largest movement after a stop": f"{100 * moved:.1f} cm"}  # fmt: skip
        if self._rules is not None:
            facts["rules"] = str(self._rules)
        return write_results(self._options.out, self._done, self._buildings, facts)

    def _arguments(self, world: World) -> list[str]:
        rules = PARAMETERS + (READABLE if self._model else ())
        arguments = ["--backend", self._options.backend, "--use-sim-time", *mounting(world.camera), "--nodes", *NODES]
        arguments += [word for rule in rules for word in ("--param", rule)]
        base_url = self._model.base_url if self._model else self._options.base_url
        for flag, value in (("--base-url", base_url), ("--model", self._options.model)):
            arguments += [flag, value] if value else []
        return arguments

    def _on_picture(self, picture: np.ndarray, pose: Pose) -> None:
        self._shown.add(picture, pose)
        self._newest = picture

    def _jpeg(self) -> bytes:
        assert self._newest is not None
        return cv2.imencode(".jpg", self._newest, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()

    def _wait_for_keyframes(self) -> None:
        """Wait until the nodes have tracked pictures."""
        print("starting the nodes ...", flush=True)
        deadline = time.monotonic() + START
        while True:
            try:
                self._memory.keyframes(timeout=5.0)
                return
            except NodeError as error:
                if self._nodes.poll() is not None or time.monotonic() > deadline:
                    raise CCError(self._failed(str(error))) from error
            if self._stop.wait(0.2):
                raise KeyboardInterrupt

    def _need_nodes(self) -> None:
        """Check that the nodes have not ended.

        :raises CCError: they have.
        """
        if not self._stop.is_set() and self._nodes.poll() is not None:
            raise CCError(self._failed(f"the nodes ended, with status {self._nodes.returncode}"))

    def _failed(self, what: str) -> str:
        log = self._options.out / "nodes.log"
        tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
        return f"{what}; the nodes said ({log}):\n  {tail}"


@contextmanager
def _spun(name: str) -> Iterator[Node]:
    """Yield a node that a thread of its own spins."""
    node = rclpy.create_node(
        name, start_parameter_services=False, parameter_overrides=[Parameter("use_sim_time", value=True)]
    )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    over = threading.Event()

    def spin() -> None:
        while not over.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin, name=name)
    thread.start()
    try:
        yield node
    finally:
        over.set()
        thread.join(5.0)
        executor.shutdown(2.0)
        node.destroy_node()
