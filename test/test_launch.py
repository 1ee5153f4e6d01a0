"""launch/cc.launch.py and config/cc.yaml, against small stand-ins for launch and launch_ros."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("rclpy")

import yaml

from cc_ros.errors import SettingsError
from cc_ros.nodes.registry import NODES, as_yaml, parameters

ROOT = Path(__file__).resolve().parents[1]


class _Record:
    """Keeps what it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.__dict__.update(kwargs)


class _Configuration:
    def __init__(self, name: str) -> None:
        self.name = name

    def perform(self, context: dict[str, str]) -> str:
        return context[self.name]


class _Argument(_Record):
    @property
    def name(self) -> str:
        return self.args[0]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Return a function: launch arguments given -> (declared arguments, nodes)."""
    stand_ins = {
        "launch": {"LaunchDescription": list},
        "launch.actions": {"DeclareLaunchArgument": _Argument, "OpaqueFunction": _Record},
        "launch.substitutions": {"LaunchConfiguration": _Configuration},
        "launch_ros": {},
        "launch_ros.actions": {"LifecycleNode": _Record, "Node": _Record},
        "ament_index_python": {},
        "ament_index_python.packages": {"get_package_share_directory": lambda name: str(tmp_path / name)},
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)

    def launch(**given: str) -> tuple[dict[str, _Argument], dict[str, _Record]]:
        entities = runpy.run_path(str(ROOT / "launch" / "cc.launch.py"))["generate_launch_description"]()
        declared = {entity.name: entity for entity in entities if isinstance(entity, _Argument)}
        unknown = set(given) - set(declared)
        assert not unknown, f"not declared: {unknown}"
        context = {name: argument.default_value for name, argument in declared.items()} | given
        functions = [entity.function for entity in entities if not isinstance(entity, _Argument)]
        return declared, {node.executable: node for function in functions for node in function(context)}

    yield launch


def test_every_topic_and_parameter_is_a_documented_launch_argument(launched: Any) -> None:
    declared, nodes = launched()
    assert {"image", "camera_info", "depth", "odom", "cc/goal", "namespace", "params_file", "use_sim_time"} <= set(
        declared
    )
    assert {f"{node.name}.{name}" for node in NODES for name, _ in parameters(node)} <= set(declared)
    assert all(argument.description for argument in declared.values())
    assert set(nodes) == {node.name for node in NODES}


def test_what_is_given_reaches_its_node_and_nothing_else_overrides_the_file(launched: Any) -> None:
    _, nodes = launched()
    for node in nodes.values():
        path, given = node.parameters
        assert path.endswith("cc_ros/config/cc.yaml")
        assert set(given) == {"use_sim_time"}
        assert given["use_sim_time"] is False
        assert ("image", "image") in node.remappings
    _, nodes = launched(
        **{
            "image": "/camera/image_raw",
            "cc/goal": "goal_pose",
            "namespace": "robot1",
            "params_file": "/my.yaml",
            "use_sim_time": "true",
            "cc_tracker.flow.preset": "2",
            "cc_tracker.silence": "3.5",
            "cc_keyframes.mark.outline": "false",
            "cc_reasoner.model": "4",
        }
    )
    tracker, keyframes, reasoner = (nodes[name] for name in ("cc_tracker", "cc_keyframes", "cc_reasoner"))
    assert tracker.parameters == ["/my.yaml", {"flow.preset": 2, "silence": 3.5, "use_sim_time": True}]
    assert keyframes.parameters[1] == {"mark.outline": False, "use_sim_time": True}
    assert reasoner.parameters[1] == {"model": "4", "use_sim_time": True}
    for node in nodes.values():
        assert {("image", "/camera/image_raw"), ("cc/goal", "goal_pose")} <= set(node.remappings)
        assert node.namespace == "robot1"


@pytest.mark.parametrize(
    ("text", "meant"), [("yes", True), ("on", True), ("1", True), ("TRUE", True), ("no", False), ("Off", False)]
)
def test_true_and_false_have_many_spellings(launched: Any, text: str, meant: bool) -> None:
    _, nodes = launched(**{"use_sim_time": text, "cc_keyframes.mark.overlay": text})
    assert nodes["cc_keyframes"].parameters[1] == {"mark.overlay": meant, "use_sim_time": meant}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("cc_keyframes.frames", "abc", "frames must be int, got 'abc'"),
        ("cc_keyframes.frames", "65", "at most 64"),
        ("cc_keyframes.mark.outline", "maybe", "outline must be true or false, got 'maybe'"),
        ("cc_keyframes.camera.camera_x", "nan", "camera_x must be a finite number"),
        ("use_sim_time", "ja", "true or false, got 'ja'"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(launched: Any, name: str, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"launch argument {name}: .*{told}"):
        launched(**{name: text})


def test_the_parameter_file_is_that_of_the_code() -> None:
    text = (ROOT / "config" / "cc.yaml").read_text()
    assert text == as_yaml(), "python -m cc_ros.nodes.registry > config/cc.yaml"
    content = yaml.safe_load(text)
    for node in NODES:
        values = content[f"/**/{node.name}"]["ros__parameters"]
        assert values == {name: knob.default for name, knob in parameters(node)}
        assert all(type(values[name]) is knob.type for name, knob in parameters(node))
