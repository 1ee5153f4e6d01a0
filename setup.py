"""The pip way to install: compiles the interfaces with the CMakeLists.txt that colcon uses.

colcon never runs this file, since package.xml says ament_cmake.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Command, Distribution, find_packages, setup
from setuptools.command.build import build

HERE = Path(__file__).resolve().parent
SITE = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
MISSING = ("tf2_msgs",)  # interfaces of others of which there are no wheels; folders of cmake/
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "cc_ros" / "__init__.py").read_text())[1]


class BuildInterfaces(Command):
    """Configure, build and install with CMake into a staging folder, then ship that tree."""

    user_options: list = []
    editable_mode = False

    def initialize_options(self):
        self.build_base = None

    def finalize_options(self):
        self.set_undefined_options("build", ("build_base", "build_base"))

    def get_source_files(self):
        folders = (*("msg", "srv", "action"), *(f"cmake/{name}/msg" for name in MISSING))
        return [str(p.relative_to(HERE)) for folder in folders for p in (HERE / folder).glob("*.*")]

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}

    def run(self):
        base = (HERE / self.build_base / f"ros.{sysconfig.get_platform()}-{sys.version_info.minor}").resolve()
        work, stage = base / "build", base / "stage"
        shutil.rmtree(base, ignore_errors=True)  # a configuration made in another environment does not fit this one
        self._cmake(HERE, work, stage)
        for name in MISSING:
            self._cmake(HERE / "cmake" / name, work / name, stage)
        sources = {p.relative_to(HERE) for p in (HERE / "cc_ros").rglob("*") if p.is_file()}
        data: dict[str, list[str]] = {}
        for path in sorted(stage.rglob("*")):
            rel = path.relative_to(stage)
            if not path.is_file() or rel.parts[0] == "include" or "__pycache__" in rel.parts:
                continue
            if rel.suffix in (".c", ".in") or ".egg-info" in str(rel) or rel.parts[:2] == ("lib", "cc_ros"):
                continue  # build leftovers, and the programs that pip makes from entry_points
            if rel.is_relative_to(SITE) and rel.relative_to(SITE) in sources:
                continue  # hand-written: build_py or the editable path provides it
            data.setdefault(str(rel.parent), []).append(os.path.relpath(path, HERE))
        # In place: install_data, made early by an editable install, holds this same list.
        self.distribution.data_files.extend(sorted(data.items()))

    def _cmake(self, source: Path, work: Path, stage: Path) -> None:
        import rosidl_pycommon  # from the wheels of build-system.requires

        prefix = Path(rosidl_pycommon.__file__).resolve().parents[4]
        path = [str(prefix / SITE), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = os.environ | {
            "AMENT_PREFIX_PATH": str(prefix),
            "CMAKE_PREFIX_PATH": str(prefix),
            "PYTHONPATH": os.pathsep.join(path),
        }
        configure = [
            *("cmake", "-S", source, "-B", work, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF"),
            f"-DCMAKE_INSTALL_PREFIX={stage}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            f"-DCMAKE_PROJECT_INCLUDE={HERE / 'cmake' / 'ros_wheels.cmake'}",
        ]
        for command in (configure, ["cmake", "--build", work], ["cmake", "--install", work]):
            subprocess.run(list(map(str, command)), check=True, env=env)


class BinaryDistribution(Distribution):
    """A wheel for this platform, with files outside the Python package."""

    def has_ext_modules(self):
        return True

    def has_data(self):
        # An editable install asks this before it runs install_data; otherwise it leaves the interfaces out.
        return True


build.sub_commands = [*build.sub_commands, ("build_interfaces", None)]

setup(
    name="cc_ros",
    version=VERSION,
    description="Spatial memory for multimodal language models on ROS 2",
    license="Apache-2.0",
    packages=find_packages(include=["cc_ros", "cc_ros.*"]),
    package_data={
        "cc_ros": ["py.typed", "data/*/*", "data/sot/*/*"],
        "cc_ros.evaluation": ["*.j2"],
        "cc_ros.reasoning.measured": ["*.lark"],
        "cc_ros.reasoning.prompts": ["text/*"],
        "cc_ros.sim": ["*.j2"],
        "cc_ros.runs": ["*.css", "*.j2"],
        "cc_ros.tracking.objects": ["*.npz", "NOTICE"],
        "cc_ros.web": ["page/*"],
    },
    # Makes an editable install a plain path entry: an import hook would lose against site-packages/cc_ros, where
    # the generated msg, srv and action live.
    package_dir={"": "."},
    data_files=[],
    python_requires=">=3.10,<3.15",
    install_requires=[
        # The lowest versions are those of Ubuntu 24.04 where it has them, and tried by `make test-lowest`.
        "anyio>=4.10",
        "jinja2>=3.1.2",
        # Not its successor "lark": both are the module lark, and the ROS wheels bring this one. That works as well.
        "lark-parser>=0.12",
        "numpy>=1.26",
        "openai>=3",
        "opencv-python-headless>=4.6",  # the same OpenCV as opencv-python, without the GUI that needs libGL
        "psutil>=5.9.8",
        "pydantic>=2.10",  # reads JSON that ends within a text
        "pyyaml>=6.0.1",
        "rosbags>=0.11",  # 0.10 reads folders alone, no .mcap or .db3 by itself
        "scipy>=1.11.4",
        "threadpoolctl>=3.1",
        "tqdm>=4.66",
        "ros-kilted-action-msgs",
        "ros-kilted-ament-index-python",
        "ros-kilted-diagnostic-msgs",
        "ros-kilted-geometry-msgs",
        "ros-kilted-lifecycle-msgs",
        "ros-kilted-nav-msgs",
        "ros-kilted-rclpy",
        "ros-kilted-rmw-fastrtps-cpp",
        "ros-kilted-rosgraph-msgs",
        "ros-kilted-sensor-msgs",
        "ros-kilted-std-msgs",
        "ros-kilted-std-srvs",
        "ros-kilted-visualization-msgs",
    ],
    extras_require={
        # lmms-eval reaches into what filelock 4 moved; pycocoevalcap alone is enough for `cc-ros eval`.
        "eval": ["filelock<4", "lmms-eval==0.7.3", "pycocoevalcap>=1.2"],
        "onnx": ["onnxruntime>=1.17"],  # runs the network that sees objects in half the time
        "rerun": ["rerun-sdk>=0.26"],  # recordings for its viewer
        "ray": ["ray>=2.9"],  # spreads evaluations, and the bags of a fleet, over a cluster
        "sam2": ["sam2==1.1.0", "torch>=2.5"],
        "sim": ["mujoco>=3.3"],
        "web": ["starlette>=0.40", "uvicorn>=0.31.1", "websockets>=13"],  # the live page
        "mcp": ["mcp>=2.3"],  # the server of tools for agents
        "test": [
            *("mujoco>=3.3", "onnxruntime>=1.17", "hypothesis>=6.90", "pytest>=8", "pytest-timeout>=2.2"),
            *("starlette>=0.40", "uvicorn>=0.31.1", "websockets>=13", "mcp>=2.3", "playwright>=1.45"),
        ],
        "docs": ["mkdocs-material>=9.6", "mkdocstrings[python]>=0.30", "ruff>=0.6"],
        "lint": ["mypy>=1.11", "ruff>=0.6"],
    },
    entry_points={
        "console_scripts": [
            "cc-ros = cc_ros.cli:main",
            "cc_tracker = cc_ros.nodes.tracker:main",
            "cc_keyframes = cc_ros.nodes.keyframes:main",
            "cc_reasoner = cc_ros.nodes.reasoner:main",
            "cc_navigator = cc_ros.nodes.navigator:main",
        ],
        "lmms_eval.models": ["coarse_correspondences = cc_ros.evaluation.lmms.manifest:MANIFEST"],
    },
    cmdclass={"build_interfaces": BuildInterfaces},
    distclass=BinaryDistribution,
)
