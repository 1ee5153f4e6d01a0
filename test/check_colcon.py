"""See that a colcon installation of cc_ros works: usage: check_colcon.py INSTALL_PREFIX (run by `make colcon`)."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import cc_ros, cc_ros.msg, cc_ros.nodes.tracker
from cc_ros.srv import SpatialQuery
from cc_ros.action import SpatialQuery as Action
from cc_ros.nodes.registry import NODES
print(cc_ros.__file__)
print(cc_ros.msg.__file__)
print(*(node.name for node in NODES))
"""


def main() -> int:
    prefix = Path(sys.argv[1]).resolve()
    site = next(prefix.glob("lib/python3*/site-packages"))
    inherited = {k: v for k, v in os.environ.items() if k not in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH")}
    environment = inherited | {
        "PYTHONPATH": str(site),
        "LD_LIBRARY_PATH": str(prefix / "lib"),
        "AMENT_PREFIX_PATH": os.pathsep.join([str(prefix), str(Path(sys.prefix).resolve())]),
    }
    ran = subprocess.run(
        check=False,
        args=[sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
    )
    assert ran.returncode == 0, ran.stderr
    *files, names = ran.stdout.splitlines()
    for line in files:
        assert Path(line).is_relative_to(prefix), f"{line} does not come from {prefix}"
    for name in (*names.split(), "cc-ros"):
        assert os.access(prefix / "lib" / "cc_ros" / name, os.X_OK), f"lib/cc_ros/{name} is missing"
    command = [sys.executable, str(prefix / "lib" / "cc_ros" / "cc-ros"), "--version"]
    ran = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60, cwd="/")
    assert ran.returncode == 0 and ran.stdout.startswith("cc_ros "), ran.stderr
    for file in ("package.xml", "launch/cc.launch.py", "config/cc.yaml", "srv/SpatialQuery.srv"):
        assert (prefix / "share" / "cc_ros" / file).is_file(), f"share/cc_ros/{file} is missing"
    assert (site / "cc_ros" / "data" / "room102_pan" / "metadata.yaml").is_file()
    print(f"{prefix} works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
