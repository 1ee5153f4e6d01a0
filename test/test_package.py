"""What the package says of itself in several places is the same in all of them, and can be read by their readers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cc_ros import __version__

ROOT = Path(__file__).resolve().parents[1]
SETUP = (ROOT / "setup.py").read_text()
REQUIREMENTS = dict(re.findall(r'^ {8}"([a-z0-9-]+)(?:>=([0-9.]+))?",', SETUP, re.MULTILINE))


def padded(version: str) -> list[int]:
    return [*map(int, version.split(".")), 0, 0][:3]


def test_the_lowest_versions_that_are_tried_are_those_that_are_allowed() -> None:
    lines = [line for line in (ROOT / "test" / "lowest.txt").read_text().splitlines() if not line.startswith("#")]
    tried = dict(line.split("==") for line in lines)
    allowed = {name: version for name, version in REQUIREMENTS.items() if version}
    assert set(tried) == set(allowed)
    for name, version in allowed.items():
        assert padded(tried[name])[: len(version.split("."))] == padded(version)[: len(version.split("."))], name


@pytest.mark.parametrize("file", ["setup.py", "Makefile", "README.md", "cc_ros/commands/doctor.py"])
def test_every_place_names_the_same_interpreters(file: str) -> None:
    text = (ROOT / file).read_text()
    assert re.search(r'>=3\.10,<3\.15"|3\.10 to 3\.14|\(3, 10\) <= .* <= \(3, 14\)', text)


def test_package_xml_and_the_changelog_are_read_by_catkin_pkg() -> None:
    package = pytest.importorskip("catkin_pkg.package").parse_package(str(ROOT))
    assert package.version == __version__
    assert {url.type for url in package.urls} == {"repository", "bugtracker"}
    pytest.importorskip("docutils")
    catkin = pytest.importorskip("catkin_pkg.changelog")
    # what catkin_prepare_release makes of it
    text = (
        (ROOT / "CHANGELOG.rst")
        .read_text()
        .replace("Forthcoming\n-----------", "0.2.0 (2026-01-01)\n------------------")
    )
    changelog = catkin.populate_changelog_from_rst(catkin.Changelog("cc_ros"), text)
    (version, _, content), *_ = changelog.foreach_version()
    assert version == "0.2.0"
    assert len(list(content[0])) > 5


def test_the_dockerfiles_install_what_setup_requires() -> None:
    # ROS itself and what rosdep knows come from package.xml
    package = {element.text or "" for element in ET.parse(ROOT / "package.xml").getroot()}
    known = {"opencv-python-headless": "python3-opencv", "pyyaml": "python3-yaml", "openai": "", "pydantic": ""}
    for distro in ("jazzy", "kilted", "lyrical"):
        text = (ROOT / "docker" / f"{distro}.Dockerfile").read_text()
        assert f"FROM ros:{distro}-ros-base" in text
        piped = set(re.findall(r'"([a-z_]+)>=', text))
        for name, version in REQUIREMENTS.items():
            if name in piped:
                assert f'"{name}>={version}"' in text
            elif not name.startswith("ros-") and name != "anyio":  # anyio comes with openai
                assert known.get(name, f"python3-{name}") in package, name
