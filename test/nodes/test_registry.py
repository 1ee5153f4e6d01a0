"""The one list of nodes: each is there, knows its name, and is known to both builds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cc_ros.nodes.registry import NODES, NodeEntry

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / "CMakeLists.txt").read_text()
SETUP = (ROOT / "setup.py").read_text()


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.name)
def test_a_node_has_the_name_of_its_entry(node: NodeEntry) -> None:
    pytest.importorskip("rclpy")
    assert node.load().name == node.name


def test_the_list_can_be_read_without_ros() -> None:
    code = "import sys, cc_ros.nodes.registry; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_module_that_holds_a_node_has_an_entry() -> None:
    modules = (ROOT / "cc_ros" / "nodes").glob("*.py")
    holding = {path.stem for path in modules if re.search(r"^class \w+\(BaseNode\):", path.read_text(), re.MULTILINE)}
    assert holding == {node.module for node in NODES}


def test_cmake_makes_a_program_of_every_node() -> None:
    made = set(re.findall(r"\b(cc_\w+):nodes\.(\w+)", CMAKE))
    assert made == {(node.name, node.module) for node in NODES}, "foreach(executable ...) in CMakeLists.txt"


def test_setup_makes_a_program_of_every_node() -> None:
    made = set(re.findall(r'"(\w+) = cc_ros\.nodes\.(\w+):main"', SETUP))
    assert made == {(node.name, node.module) for node in NODES}, "console_scripts in setup.py"
