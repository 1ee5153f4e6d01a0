"""run the three nodes: tracker, keyframes, reasoner

Starts cc_tracker, cc_keyframes and cc_reasoner and brings them to active, without `ros2 launch`. Ctrl-C stops them.

  cc-ros up --remap image:=/camera/image_raw --remap camera_info:=/camera/camera_info
  cc-ros up --base-url http://127.0.0.1:8000/v1 --model my-model

Remapping `image` moves `image/compressed` along. Parameters are listed in config/cc.yaml.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

from cc_ros.commands.ros import need_ros

NODES = ("tracker", "keyframes", "reasoner")
# option -> (node, parameter)
SHORTCUTS = {
    "backend": ("cc_tracker", "backend"),
    "base_url": ("cc_reasoner", "base_url"),
    "model": ("cc_reasoner", "model"),
    "preset": ("cc_reasoner", "preset"),
    "frames": ("cc_keyframes", "frames"),
    "marks": ("cc_keyframes", "marks"),
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
    parser.add_argument("--backend", help="tracking: auto, flow or sam2")
    parser.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint of the model")
    parser.add_argument("--model", metavar="NAME", help="the model's name; the key comes from the environment")
    parser.add_argument("--preset", metavar="NAME", help="kind of server: openai, gemini, claude, vllm, ollama, ...")
    parser.add_argument("--frames", metavar="M", help="keyframes of an episode")
    parser.add_argument("--marks", metavar="K", help="objects that get a mark")
    parser.add_argument(
        "--nodes",
        nargs="+",
        choices=NODES,
        default=list(NODES),
        metavar="NODE",
        help="only some of: " + ", ".join(NODES),
    )
    parser.add_argument("--processes", action="store_true", help="one process a node, instead of one for all")


def ros_arguments(options: argparse.Namespace) -> list[str]:
    """Return the options as ROS arguments."""
    arguments = ["--ros-args"]
    if options.params_file:
        arguments += ["--params-file", options.params_file]
    for rule in options.remap:
        arguments += ["-r", rule]
    if options.namespace:
        arguments += ["-r", f"__ns:=/{options.namespace.strip('/')}"]
    for option, (node, parameter) in SHORTCUTS.items():
        value = getattr(options, option)
        if value is not None:
            # quoted, or YAML would take a model called "4" for a number
            text = value if option in ("frames", "marks") else f'"{value}"'
            arguments += ["-p", f"{node}:{parameter}:={text}"]
    for rule in options.param:
        arguments += ["-p", rule]
    if options.use_sim_time:
        arguments += ["-p", "use_sim_time:=true"]
    return arguments


def main(options: argparse.Namespace) -> int:
    """Run the nodes until interrupted."""
    need_ros()
    arguments = ros_arguments(options)
    if options.processes:
        commands = [[sys.executable, "-m", f"cc_ros.nodes.{name}", *arguments] for name in options.nodes]
        return _run_processes(commands)
    from cc_ros.nodes.keyframes import KeyframesNode
    from cc_ros.nodes.reasoner import ReasonerNode
    from cc_ros.nodes.spin import main_of
    from cc_ros.nodes.tracker import TrackerNode

    kinds = {"tracker": TrackerNode, "keyframes": KeyframesNode, "reasoner": ReasonerNode}
    return main_of([kinds[name] for name in options.nodes], arguments)


def _run_processes(commands: list[list[str]]) -> int:
    """Run until a signal comes or one process ends; then stop the others and return the worst exit status."""
    from cc_ros.sources.player import stop_on_signals

    processes = []
    with stop_on_signals() as stop:
        try:
            for command in commands:
                processes.append(subprocess.Popen(command))
            while not stop.wait(0.2) and all(process.poll() is None for process in processes):
                pass
        finally:
            for process in processes:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 10
            for process in processes:
                try:
                    process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    return max(abs(process.returncode) for process in processes)
