"""run the nodes on live topics

Starts them and brings them to active, without `ros2 launch`. Ctrl-C stops them.

  cc-ros up --remap image:=/camera/image_raw --remap camera_info:=/camera/camera_info
  cc-ros up --base-url http://127.0.0.1:8000/v1 --model my-model

  cc-ros up --web     # and a page to look at, http://127.0.0.1:8600

Remapping `image` moves `image/compressed` along. Parameters are listed in config/cc.yaml.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import yaml

from cc_ros.commands.beside import beside, end
from cc_ros.commands.ros import need_ros
from cc_ros.commands.signals import stop_on_signals
from cc_ros.commands.web import PORT, need_web
from cc_ros.errors import SettingsError
from cc_ros.nodes.registry import NODES

# option -> (node, parameter)
SHORTCUTS = {
    "backend": ("cc_tracker", "backend"),
    "base_url": ("cc_reasoner", "base_url"),
    "model": ("cc_reasoner", "model"),
    "preset": ("cc_reasoner", "preset"),
    "frames": ("cc_keyframes", "frames"),
    "marks": ("cc_keyframes", "marks"),
    "memory": ("cc_keyframes", "memory_dir"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--params-file", metavar="YAML", help="parameters, laid out like config/cc.yaml")
    parser.add_argument(
        "--remap", metavar="FROM:=TO", action="append", default=[], help="e.g. image:=/camera/image_raw; repeatable"
    )
    parser.add_argument(
        "--param", metavar="NODE:NAME:=VALUE", action="append", default=[], help="e.g. cc_tracker:flow.preset:=2"
    )
    parser.add_argument("--namespace", metavar="NS", help="put all names below this, for several robots side by side")
    parser.add_argument("--use-sim-time", action="store_true", help="go by /clock (with `cc-ros play --clock`)")
    parser.add_argument("--backend", help="tracking, as for `cc-ros run`")
    parser.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint of the model")
    parser.add_argument("--model", metavar="NAME", help="the model's name; the key comes from the environment")
    parser.add_argument("--preset", metavar="NAME", help="kind of server: openai, gemini, claude, vllm, ollama, ...")
    parser.add_argument("--frames", type=int, metavar="M", help="keyframes of an episode")
    parser.add_argument("--marks", type=int, metavar="K", help="objects that get a mark")
    parser.add_argument("--memory", metavar="DIR", help="keep what is seen there, over restarts")
    names = [node.module for node in NODES]
    parser.add_argument(
        "--nodes",
        nargs="+",
        choices=names,
        default=names,
        metavar="NODE",
        help="only some of: " + ", ".join(names),
    )
    parser.add_argument(
        "--web",
        type=int,
        nargs="?",
        const=PORT,
        metavar="PORT",
        help=f"serve the live page on this machine too, as `cc-ros web` does; default {PORT}",
    )
    parser.add_argument("--processes", action="store_true", help="one process a node, instead of one for all")


def ros_arguments(options: argparse.Namespace, folder: Path) -> list[str]:
    """Return the options as ROS arguments.

    :param folder: where to put a parameter file; ``-p NODE:NAME:=VALUE`` would miss nodes in a namespace.
    :raises SettingsError: a ``--param`` that is none.
    """
    arguments = ["--ros-args"]
    if options.params_file:
        arguments += ["--params-file", options.params_file]
    for rule in options.remap:
        arguments += ["-r", rule]
    if options.namespace:
        arguments += ["-r", f"__ns:=/{options.namespace.strip('/')}"]
    given = _parameters(options)
    if given:
        path = folder / "given.yaml"
        path.write_text(yaml.safe_dump({f"/**/{node}": {"ros__parameters": values} for node, values in given.items()}))
        arguments += ["--params-file", str(path)]
    if options.use_sim_time:
        arguments += ["-p", "use_sim_time:=true"]
    return arguments


def _parameters(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {}
    for option, (node, parameter) in SHORTCUTS.items():
        value = getattr(options, option)
        if value is not None:
            given.setdefault(node, {})[parameter] = value
    for rule in options.param:
        name, arrow, value = rule.partition(":=")
        node, colon, parameter = name.partition(":")
        if not (arrow and colon and node and parameter):
            raise SettingsError(f"--param wants NODE:NAME:=VALUE, as in cc_tracker:flow.preset:=2; got {rule!r}")
        try:
            given.setdefault(node, {})[parameter] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"--param {rule!r}: the value is not YAML") from error
    return given


def main(options: argparse.Namespace) -> int:
    """Run the nodes until interrupted."""
    need_ros()
    if options.web is not None:
        need_web()
    with tempfile.TemporaryDirectory(prefix="cc_ros_") as folder, _web(options):
        return _run(options, ros_arguments(options, Path(folder)))


def _web(options: argparse.Namespace) -> AbstractContextManager[Any]:
    """Serve the live page meanwhile, in a process of its own: its work is none of the tracker's."""
    if options.web is None:
        return nullcontext()
    return beside("web", "--port", str(options.web), "--namespace", options.namespace or "")


def _run(options: argparse.Namespace, arguments: list[str]) -> int:
    if options.processes:
        commands = {name: [sys.executable, "-m", f"cc_ros.nodes.{name}", *arguments] for name in options.nodes}
        return _run_processes(commands)
    from cc_ros.nodes.runtime import main_of

    return main_of([node.load() for node in NODES if node.module in options.nodes], arguments)


def _run_processes(commands: Mapping[str, list[str]]) -> int:
    """Run until a signal comes or one process ends; then stop the others and return the worst exit status."""
    processes: list[subprocess.Popen[bytes]] = []
    with stop_on_signals() as stop:
        try:
            for command in commands.values():
                processes.append(subprocess.Popen(command))
            while not stop.wait(0.2) and all(process.poll() is None for process in processes):
                pass
        finally:
            end(processes)
    for name, process in zip(commands, processes, strict=True):
        if process.returncode:
            print(f"cc-ros up: the {name} process ended with status {process.returncode}", file=sys.stderr)
    return max(abs(process.returncode) for process in processes)
