"""A simulator: seeded furnished rooms, a differential-drive robot with a camera, and navigation episodes in them."""
