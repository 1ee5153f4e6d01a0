"""What the commands that use ROS share: a clear word where ROS is missing, and safe defaults for a laptop."""

from __future__ import annotations

from cc_ros.dds import prepare
from cc_ros.errors import CCError


def need_ros() -> None:
    """Prepare the environment for rclpy and see that it can be had.

    :raises CCError: rclpy or the compiled interfaces are missing.
    """
    try:
        import rclpy  # noqa: F401
    except ImportError as error:
        raise CCError(
            f"ROS 2 is not to be found ({error}): source /opt/ros/<distro>/setup.bash, or install the wheels by "
            "`make demo` in a checkout (`cc-ros run` works without ROS)"
        ) from error
    try:
        import cc_ros.srv  # noqa: F401
    except ImportError as error:
        raise CCError(
            f"the interfaces of cc_ros are not compiled ({error}): `pip install -e .` in the checkout, or "
            "`colcon build` and `source install/setup.bash`"
        ) from error
    prepare()
