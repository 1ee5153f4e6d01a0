"""The simulated robot over ROS: camera, odometry and clock out, ``cmd_vel`` in."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

import numpy as np
from geometry_msgs.msg import TransformStamped, Twist
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from cc_ros.errors import CCError
from cc_ros.msg import Tracks
from cc_ros.nodes.camera import SENSOR_QOS
from cc_ros.nodes.convert.images import image_message
from cc_ros.nodes.convert.poses import pose_message
from cc_ros.nodes.convert.stamps import nanoseconds, to_time
from cc_ros.nodes.mounting import STATIC_QOS
from cc_ros.sim.settings import SimSettings
from cc_ros.sim.simulation import Simulation
from cc_ros.sim.world import Pose, World

ODOM_RATE = 30.0  # odometry messages a second, about
FAR = 10.0  # metres from which on depth is unknown
LATE = 0.1  # seconds behind the wall clock after which simulated time goes slower instead of catching up
AHEAD = 2  # pictures that the tracker may be behind where the simulator waits for it
LOST = 2.0  # seconds after which a picture counts as lost on its way
ODOM, BASE, CAMERA = "odom", "base_link", "camera_optical"
T = TypeVar("T")


class SimNode(Node):
    """Publishes image, depth (16UC1, mm), camera_info, odom and /clock; tf as well where tf2_msgs is installed.

    :param make: makes the world; called in the thread of :meth:`run`.
    :param on_picture: told in that thread each picture, HxWx3 uint8 BGR, and where the robot truly was.
    :param wait_for_tracker: let no time pass while the tracker is behind, so that a slow machine is slow, not wrong.
    """

    def __init__(
        self,
        make: Callable[[], World],
        settings: SimSettings = SimSettings(),
        seed: int = 0,
        on_picture: Callable[[np.ndarray, Pose], None] | None = None,
        wait_for_tracker: bool = False,
        **options: Any,
    ) -> None:
        super().__init__("cc_sim", **options)
        self._make = make
        self._settings = settings
        self._seed = seed
        self._on_picture = on_picture
        self._simulation: Simulation | None = None
        self._calls: queue.SimpleQueue[tuple[Callable[[Simulation], Any], Future[Any]]] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[tuple[float, float]] = queue.SimpleQueue()
        self._under_way: deque[tuple[int, float]] = deque()  # stamps of pictures that are being tracked, and since when
        self._tracked = threading.Condition()
        self.ready = threading.Event()
        """Set once pictures come."""
        self.pictures = 0
        self.measure_pace()
        self.images_on = self.odometry_on = True
        """What to publish; to find out what happens without."""
        qos = QoSProfile(depth=5)
        self._image = self.create_publisher(Image, "image", qos)
        self._depth = self.create_publisher(Image, "depth", qos)
        self._info = self.create_publisher(CameraInfo, "camera_info", qos)
        self._odom = self.create_publisher(Odometry, "odom", QoSProfile(depth=50))
        self._time = self.create_publisher(Clock, "/clock", qos)
        self._tf: Any = None
        self.create_subscription(Twist, "cmd_vel", self._on_command, 1)
        self._waits = wait_for_tracker
        if wait_for_tracker:
            self.create_subscription(Tracks, "cc/tracks", self._on_tracks, SENSOR_QOS)

    def call(self, work: Callable[[Simulation], T], seconds: float = 60.0) -> T:
        """Do something with the simulation between two of its steps; from any thread but that of :meth:`run`.

        :raises CCError: it was not done in time.
        """
        future: Future[T] = Future()
        self._calls.put((work, future))
        try:
            return future.result(seconds)
        except FutureTimeout as error:
            raise CCError(f"the simulator has not responded for {seconds:g} s") from error

    def measure_pace(self) -> None:
        """Begin to measure anew how fast it goes."""
        self._measured = time.monotonic(), self.pictures

    def pace(self) -> str:
        """Return how fast it goes, for people."""
        since, before = self._measured
        return f"{(self.pictures - before) / max(time.monotonic() - since, 1e-3):.1f} pictures a second"

    def run(self, stop: threading.Event) -> None:
        """Simulate until ``stop`` is set, no faster than asked for."""
        self._simulation = simulation = Simulation(self._make, self._settings.drift, self._seed)
        try:
            self._announce_frames()
            steps = max(1, round(ODOM_RATE / self._settings.hz))
            seconds = 1 / (self._settings.hz * steps)
            due = time.monotonic()
            while not stop.is_set():
                self._wait_for_tracker(stop)
                self._picture(simulation)
                for _ in range(steps):
                    self._take_commands(simulation)
                    simulation.advance(seconds)
                    self._place(simulation)
                    due = self._wait(due + seconds / self._settings.speed, stop)
        finally:
            simulation.world.close()

    def _wait(self, due: float, stop: threading.Event) -> float:
        """Wait until a step is due; return when it was, which moves on where the machine is too slow."""
        left = due - time.monotonic()
        if left > 0:
            stop.wait(left)
        elif left < -LATE:
            due -= left
        return due

    def _wait_for_tracker(self, stop: threading.Event) -> None:
        """Wait until few enough pictures are under way; one that was lost is waited for no longer than ``LOST``."""
        with self._tracked:
            while len(self._under_way) >= AHEAD and not stop.is_set():
                left = self._under_way[0][1] + LOST - time.monotonic()
                if left <= 0:
                    self._under_way.popleft()
                self._tracked.wait(max(0.0, min(left, 0.1)))

    def _on_tracks(self, message: Tracks) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._tracked:
            while self._under_way and self._under_way[0][0] <= stamp:
                self._under_way.popleft()
            self._tracked.notify_all()

    def _take_commands(self, simulation: Simulation) -> None:
        while not self._commands.empty():
            simulation.base.command(*self._commands.get(), simulation.now)
        while not self._calls.empty():
            work, future = self._calls.get()
            try:
                future.set_result(work(simulation))
            except Exception as error:  # whoever called is told
                future.set_exception(error)

    def _on_command(self, message: Twist) -> None:
        self._commands.put((message.linear.x, message.angular.z))

    def _picture(self, simulation: Simulation) -> None:
        header = Header(stamp=to_time(round(simulation.now * 1e9)), frame_id=CAMERA)
        view = simulation.view()
        if self._on_picture is not None:
            self._on_picture(view.picture, simulation.world.pose())
        if self.images_on:
            if self._waits:
                with self._tracked:
                    self._under_way.append((round(simulation.now * 1e9), time.monotonic()))
            self._info.publish(self._calibration(simulation, header))
            self._image.publish(image_message(header, view.picture, "bgr8"))
            if self._depth.get_subscription_count():
                millimetres = (1000 * view.depth + 0.5).astype(np.uint16)
                millimetres[view.depth >= FAR] = 0
                self._depth.publish(image_message(header, millimetres, "16UC1"))
        self.pictures += 1
        self.ready.set()

    def _calibration(self, simulation: Simulation, header: Header) -> CameraInfo:
        camera = simulation.world.camera
        matrix = camera.matrix()
        info = CameraInfo(header=header, width=camera.width, height=camera.height, distortion_model="plumb_bob")
        info.d = [0.0] * 5
        info.k = matrix.ravel().tolist()
        info.r = np.eye(3).ravel().tolist()
        info.p = np.column_stack([matrix, np.zeros(3)]).ravel().tolist()
        return info

    def _place(self, simulation: Simulation) -> None:
        stamp = to_time(round(simulation.now * 1e9))
        self._time.publish(Clock(clock=stamp))
        if not self.odometry_on:
            return
        message = Odometry(header=Header(stamp=stamp, frame_id=ODOM), child_frame_id=BASE)
        message.pose.pose = pose_message(_matrix(simulation.odometry.pose))
        message.twist.twist.linear.x = simulation.base.linear
        message.twist.twist.angular.z = simulation.base.angular
        self._odom.publish(message)
        if self._tf is not None and self._tf.get_subscription_count():
            self._tf.publish(_transforms(message.header, BASE, message.pose.pose))

    def _announce_frames(self) -> None:
        """Publish where the camera sits, and tf, where the message is installed."""
        assert self._simulation is not None
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:  # there are no wheels of it
            return
        self._tf = self.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))
        self._fixed = self.create_publisher(TFMessage, "/tf_static", STATIC_QOS)
        header = Header(stamp=to_time(round(self._simulation.now * 1e9)), frame_id=BASE)
        self._fixed.publish(_transforms(header, CAMERA, pose_message(self._simulation.world.camera.in_base())))


def _matrix(pose: Pose) -> np.ndarray:
    """Return a pose on the floor as 4x4."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(pose.yaw), -np.sin(pose.yaw)], [np.sin(pose.yaw), np.cos(pose.yaw)]]
    matrix[:2, 3] = pose.x, pose.y
    return matrix


def _transforms(header: Header, child: str, pose: Any) -> Any:
    """Return a ``tf2_msgs/TFMessage`` of one transform."""
    from tf2_msgs.msg import TFMessage

    message = TransformStamped(header=header, child_frame_id=child)
    place = message.transform.translation
    place.x, place.y, place.z = pose.position.x, pose.position.y, pose.position.z
    message.transform.rotation = pose.orientation
    return TFMessage(transforms=[message])
