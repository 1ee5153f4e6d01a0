"""rosbag2 recordings."""
