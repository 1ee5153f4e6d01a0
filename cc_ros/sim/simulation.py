"""A world, a base and a clock, advanced together; no ROS in it."""

from __future__ import annotations

from collections.abc import Callable

from cc_ros.sim.robot import Base, Odometry
from cc_ros.sim.world import Pose, View, World

APART = 0.5  # seconds without contact after which another contact is another collision
ACTION = 0.25  # seconds of one action: a video to the tracker, and over within 0.5 s of whatever stops the driver
PAUSE = 10.0  # seconds that the clock skips where the robot is put elsewhere: nothing from before is near in time


class Simulation:
    """One robot in a world.

    :param make: makes the world, in the thread that will render it.
    :param drift: of the odometry, see :class:`~cc_ros.sim.robot.Odometry`.
    """

    def __init__(self, make: Callable[[], World], drift: float = 0.0, seed: int = 0) -> None:
        self.world = make()
        self.base = Base()
        self.now = 1.0
        """Seconds of simulated time; 0 would mean "no stamp"."""
        self._drift = drift
        self._seed = seed
        self.restart(self.world.pose())

    def change(self, make: Callable[[], World]) -> None:
        """Move to another world."""
        self.world.close()
        self.world = make()
        self.restart(self.world.pose())

    def restart(self, pose: Pose) -> None:
        """Put the robot somewhere, at rest, with its odometry at zero."""
        self.world.place(pose)
        self.base.halt()
        self._acting = 0.0  # seconds left of an action
        self._seed += 1
        self.now += PAUSE
        self.odometry = Odometry(self._drift, self._seed, self.world.pose())
        self.trail = [self.world.pose()]
        """Where the robot truly was, a pose a step."""
        self.collisions = 0
        """Times that it touched something."""
        self._touched = -APART

    def act(self, ahead: float, turn: float) -> float:
        """Begin to move by exactly so many metres ahead and radians to the left, or as far as there is room.

        Commanded speeds count for nothing meanwhile. Return when it is done, in simulated seconds.
        """
        self.base.linear, self.base.angular, self._acting = ahead / ACTION, turn / ACTION, ACTION
        return self.now + ACTION

    def advance(self, seconds: float) -> None:
        """Drive for a while."""
        if self._acting:
            part = min(seconds, self._acting)
            touched = self.world.move(self.base.linear * part, self.base.angular * part)
            self._acting -= part
            if not self._acting:
                self.base.halt()
        else:
            self.base.advance(self.now, seconds)
            touched = self.world.step(self.base.linear, self.base.angular, seconds)
        self.now += seconds
        if touched:
            self.collisions += self.now - self._touched > APART
            self._touched = self.now
        pose = self.world.pose()
        self.odometry.advance(pose)
        self.trail.append(pose)

    def view(self) -> View:
        """Return what the camera sees now."""
        return self.world.view()
