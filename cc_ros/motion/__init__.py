"""From a move to velocities: speed profiles, what ends a move, and what is in the robot's way."""
