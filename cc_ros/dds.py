"""How images travel: a Fast DDS profile that hears publishers on every transport, set before the first node is made.

Fast DDS as it comes loses most best-effort images above half a megabyte: they pass through shared memory of that size,
which the publisher makes. Its answer, ``FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA``, works between programs that all have
it, but those that do not, such as a camera driver started elsewhere, cannot even be seen; and with
``ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST`` the ROS middleware sets it aside. The profiles beside this module listen
on UDP with large buffers, which every publisher can send to, and speak TCP with those that use LARGE_DATA.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROFILES = Path(__file__).parent / "data" / "fastdds"
OLDER_DISTROS = ("humble", "iron", "jazzy")  # with Fast DDS 2, which knows the variable under another name
BUFFERS = 4_000_000  # bytes of a socket's buffer from which on images up to 1280x720 get through
DOMAINS = 100  # of ports below those that Linux gives out by itself
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def prepare() -> None:
    """Set the environment of this process and its children, unless a profile or transports were chosen already.

    Call it before ``rclpy.init``. ``LARGE_DATA`` counts as not chosen, since the profile covers it.
    """
    from rclpy.utilities import get_rmw_implementation_identifier

    variable = f"{'FASTRTPS' if os.environ.get('ROS_DISTRO') in OLDER_DISTROS else 'FASTDDS'}_DEFAULT_PROFILES_FILE"
    chosen = os.environ.get("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA") != "LARGE_DATA" or variable in os.environ
    if chosen or "fastrtps" not in get_rmw_implementation_identifier():
        return
    local = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST"
    local |= os.environ.get("ROS_LOCALHOST_ONLY") == "1"
    if local:
        if "ROS_STATIC_PEERS" in os.environ:
            return
        # The middleware would replace the transports; the profile itself stays on this host.
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
        os.environ.pop("ROS_LOCALHOST_ONLY", None)
    os.environ.pop("FASTDDS_BUILTIN_TRANSPORTS", None)  # it would win over the profile
    os.environ[variable] = str(PROFILES / ("localhost.xml" if local else "network.xml"))


def apart() -> None:
    """Keep this process and its children apart from other robots on this network and machine, unless told otherwise.

    They get a ROS domain that nobody on this machine uses.
    """
    if "ROS_DOMAIN_ID" not in os.environ:
        domains = [1 + (os.getpid() + number) % DOMAINS for number in range(DOMAINS)]  # two at once begin elsewhere
        os.environ["ROS_DOMAIN_ID"] = str(next(filter(_is_free, domains), domains[0]))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def _is_free(domain: int) -> bool:
    """Whether the first participant's port of a domain is free (RTPS 2.3, section 9.6.1.1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", 7400 + 250 * domain + 10))
        except OSError:
            return False
    return True


def small_buffers() -> int:
    """Return the kernel's limit for a socket's receive buffer in bytes where it is too small for images, else 0."""
    try:
        limit = int(RMEM_MAX.read_text())
    except OSError:  # not Linux
        return 0
    return limit if limit < BUFFERS else 0
