"""check the installation, the weights, the model's endpoint, and whether images arrive

Prints one line a check, and what to do about each that fails. Exit status 0 = nothing failed.

  cc-ros doctor
  cc-ros doctor --remap image:=/camera/image_raw --base-url http://127.0.0.1:8000/v1
"""

from __future__ import annotations

import argparse
import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cc_ros.commands.ros import need_ros
from cc_ros.dds import small_buffers
from cc_ros.errors import CCError
from cc_ros.nodes.registry import NODES

PACKAGES = (
    "numpy",
    "opencv",
    "scipy",
    "threadpoolctl",
    "anyio",
    "openai",
    "pydantic",
    "rosbags",
    "jinja2",
    "lark-parser",
    "tqdm",
    "psutil",
    "yaml",
)
MODULES = {"opencv": "cv2", "lark-parser": "lark"}
EXTRAS = (("uvicorn", "web", "the live page (`cc-ros web`)"), ("mcp", "mcp", "the server for agents (`cc-ros mcp`)"))
LISTEN = 3.0  # seconds for a publisher of images to be found, and then for images to arrive


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; ``level`` is ok, note or FAIL."""

    level: str
    what: str
    advice: str = ""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--remap", metavar="FROM:=TO", action="append", default=[], help="as given to `cc-ros up`")
    parser.add_argument("--namespace", metavar="NS", default="", help="of the robot's nodes")
    parser.add_argument("--base-url", metavar="URL", default="", help="the model's endpoint")
    parser.add_argument("--model", metavar="NAME", default="", help="the model's name")
    parser.add_argument("--preset", metavar="NAME", default="", help="kind of server")
    parser.add_argument("--no-graph", action="store_true", help="do not look for topics and nodes")


def main(options: argparse.Namespace) -> int:
    """Run all checks; return 1 where one failed."""
    failed = False
    for finding in _findings(options):
        failed |= finding.level == "FAIL"
        print(f"{finding.level:4}  {finding.what}", flush=True)
        if finding.advice:
            print("      " + finding.advice.replace("\n", "\n      "), flush=True)
    return int(failed)


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    yield from _checked("the installation", _installation())
    yield from _checked("ROS 2", _ros())
    yield from _checked("Nav2", _nav2())
    yield from _checked("the weights", _weights())
    yield from _checked("the simulator", _simulator())
    yield from _checked("model", _endpoint(options))
    yield from _checked("evaluation", _evaluation())
    if not options.no_graph and importlib.util.find_spec("rclpy"):
        yield from _checked("topics and nodes", _graph(options))


def _checked(what: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Pass on what a check finds; one that fails itself is a finding as well, and the others still run."""
    try:
        yield from findings
    except Exception as error:
        kind = "" if isinstance(error, CCError) else f"{type(error).__name__}: "
        yield Finding("FAIL", f"{what}: {kind}{error}")


def _installation() -> Iterator[Finding]:
    version = platform.python_version()
    if not (3, 10) <= sys.version_info[:2] <= (3, 14):
        yield Finding("FAIL", f"Python {version}", "ROS 2 and its wheels need Python 3.10 to 3.14")
    else:
        yield Finding("ok", f"Python {version} on {platform.platform(terse=True)}, {os.cpu_count()} cores")
    missing = [name for name in PACKAGES if importlib.util.find_spec(MODULES.get(name, name)) is None]
    if missing:
        yield Finding("FAIL", f"missing packages: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        import cv2
        import numpy as np

        yield Finding(
            "ok",
            f"packages: numpy {np.__version__}, OpenCV {cv2.__version__}, "
            f"openai {importlib.metadata.version('openai')}",
        )
    for module, extra, what in EXTRAS:
        if importlib.util.find_spec(module) is None:
            yield Finding("note", f"{what} is not installed", f"pip install 'cc_ros[{extra}]'")


def _ros() -> Iterator[Finding]:
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    try:
        need_ros()
    except CCError as error:
        yield Finding("FAIL", "ROS 2", str(error))
        return
    transport = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "of cc_ros")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "the default middleware")
    yield Finding("ok", f"ROS 2: domain {domain}, discovery {reach}, {middleware}, transports {transport}")
    limit = small_buffers()
    if limit:
        yield Finding(
            "note",
            f"socket buffers of at most {limit} bytes: best-effort images that are not compressed may be lost",
            "sudo sysctl -w net.core.rmem_max=16777216",
        )


def _nav2() -> Iterator[Finding]:
    if importlib.util.find_spec("nav2_msgs") is None:
        yield Finding("note", "nav2_msgs is not installed: no `driver: nav2`; `apt install ros-$ROS_DISTRO-nav2-msgs`")
    else:
        yield Finding("ok", "nav2_msgs is installed: `driver: nav2` is possible")


def _weights() -> Iterator[Finding]:
    from cc_ros.tracking.sam2.settings import Sam2Settings

    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("sam2") is None:
        yield Finding(
            "note",
            "SAM 2 is not installed: tracking uses `flow`",
            "pip install sam2==1.1.0; docs/guide/backends.md says how without a GPU",
        )
        return
    import torch

    from cc_ros.tracking.sam2.weights import weights_here

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    yield Finding("ok", f"torch {torch.__version__}, {gpu}")
    if weights_here(Sam2Settings()):
        yield Finding("ok", "SAM 2 weights are here")
    else:
        yield Finding("note", "SAM 2 weights are not here", "`--backend sam2` fetches them on first use")


def _simulator() -> Iterator[Finding]:
    from cc_ros.sim import HOW_TO_INSTALL, HOW_TO_RENDER

    if importlib.util.find_spec("mujoco") is None:
        yield Finding("note", "the simulator is not installed: no `cc-ros sim`", HOW_TO_INSTALL)
        return
    version = importlib.metadata.version("mujoco")
    library = {"egl": "EGL", "osmesa": "OSMesa"}.get(os.environ.get("MUJOCO_GL", "egl"))
    if library is not None and ctypes.util.find_library(library) is None:
        yield Finding("note", f"MuJoCo {version}, but no {library}: the simulator has no pictures", HOW_TO_RENDER)
    else:
        yield Finding("ok", f"the simulator: MuJoCo {version}")


def _evaluation() -> Iterator[Finding]:
    from cc_ros.evaluation.metrics.java import coco_folder, find_java

    try:
        find_java()
        coco_folder("meteor.meteor")
    except CCError as error:
        yield Finding("note", "`cc-ros eval scanqa` cannot score", str(error))
    else:
        yield Finding("ok", "Java and pycocoevalcap for `cc-ros eval scanqa`")


def _endpoint(options: argparse.Namespace) -> Iterator[Finding]:
    from cc_ros.reasoning.llm.probe import probe
    from cc_ros.reasoning.settings import ReasonerSettings
    from cc_ros.settings import checked

    settings = checked(
        ReasonerSettings, {"base_url": options.base_url, "model": options.model, "preset": options.preset}
    )
    probed = probe(settings, os.environ)
    level = {True: "ok", False: "FAIL", None: "note"}[probed.usable]
    yield Finding(level, f"model: {probed.text}", probed.where)


def _graph(options: argparse.Namespace) -> Iterator[Finding]:
    import rclpy

    from cc_ros.nodes.runtime import init

    init(["--ros-args", *(item for rule in options.remap for item in ("-r", rule))])
    try:
        node = rclpy.create_node("cc_doctor", namespace=options.namespace, start_parameter_services=False)
        yield from _listen(node)
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _listen(node: object) -> Iterator[Finding]:
    import rclpy

    from cc_ros.nodes.camera import SENSOR_QOS, ImageInput
    from cc_ros.nodes.graph import explain_silence

    arrivals: list[float] = []
    listening = ImageInput(node, "auto", lambda message: arrivals.append(time.monotonic()))  # type: ignore[arg-type]
    waited_on = listening.topics()
    begun, found = time.monotonic(), False
    while time.monotonic() - begun < LISTEN:
        rclpy.spin_once(node, timeout_sec=0.1)  # type: ignore[arg-type]
        if not found and listening.publishers():  # on a busy machine it takes a while to find them
            begun, found = time.monotonic(), True
    here = node.get_namespace()  # type: ignore[attr-defined]
    running = {name for name, space in node.get_node_names_and_namespaces() if space == here}  # type: ignore[attr-defined]
    names = [node.name for node in NODES]
    missing = [name for name in names if name not in running]
    if missing:
        yield Finding("note", f"not running: {', '.join(missing)}", "start them by `cc-ros up`")
    else:
        yield Finding("ok", f"running: {', '.join(names)}")
    if len(arrivals) > 1:
        rate = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])
        yield Finding("ok", f"images arrive on {listening.topics()[0][0]}, {rate:.0f} a second")
    else:
        why = explain_silence(node, waited_on, SENSOR_QOS)  # type: ignore[arg-type]
        yield Finding("note" if missing else "FAIL", f"no images within {LISTEN:.0f} s", "\n".join(why))
