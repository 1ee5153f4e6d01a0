"""The ROS 2 nodes: messages, parameters, QoS and timing around the steps."""
