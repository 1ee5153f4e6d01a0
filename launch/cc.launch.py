"""Start the nodes; every topic and parameter is a launch argument.

ros2 launch cc_ros cc.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info cc_tracker.backend:=flow
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from cc_ros.errors import SettingsError
from cc_ros.nodes.registry import NODES, parameters
from cc_ros.settings import WORDS

INPUTS = {
    "image": "camera images, sensor_msgs/Image; image/compressed moves along",
    "camera_info": "calibration, sensor_msgs/CameraInfo",
    "depth": "depth registered to the image, sensor_msgs/Image",
    "odom": "odometry of base_link, nav_msgs/Odometry",
    "map": "map or costmap in the frame of the odometry, nav_msgs/OccupancyGrid; goals keep clear of it",
    "cc/stop": "any message stops what cc_navigator drives, std_msgs/Empty or Bool",
}
OUTPUTS = {
    "cc/goal": "places to go to, geometry_msgs/PoseStamped; goal_pose for Nav2",
    "cmd_vel": "velocities while an instruction is followed, geometry_msgs/Twist or TwistStamped",
}


def nodes(context):
    """Return the nodes with the arguments that were given; an argument left empty leaves the parameter file's value."""

    def value(name):
        return LaunchConfiguration(name).perform(context)

    def flag(name):
        text = value(name).strip().lower()
        if text not in WORDS:
            raise SettingsError(f"launch argument {name}: it must be true or false, got {text!r}")
        return WORDS[text]

    def parsed(name, knob):
        try:
            return knob.parse(value(name))
        except SettingsError as error:
            raise SettingsError(f"launch argument {name}: {error}") from error

    remappings = [(topic, value(topic)) for topic in (*INPUTS, *OUTPUTS)]
    actions = []
    for node in NODES:
        given = {}
        for name, knob in parameters(node):
            argument = f"{node.name}.{name}"
            if value(argument):
                given[name] = parsed(argument, knob)
        given["use_sim_time"] = flag("use_sim_time")
        actions.append(
            LifecycleNode(
                package="cc_ros",
                executable=node.name,
                name=node.name,
                namespace=value("namespace"),
                parameters=[value("params_file"), given],
                remappings=remappings,
                output="screen",
            )
        )
    return actions


def generate_launch_description():
    """Declare the arguments and start the nodes."""
    config = Path(get_package_share_directory("cc_ros")) / "config" / "cc.yaml"
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="puts all names below it"),
        DeclareLaunchArgument("params_file", default_value=str(config), description="parameters of the nodes"),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="go by /clock"),
    ]
    for topic, text in (INPUTS | OUTPUTS).items():
        arguments.append(DeclareLaunchArgument(topic, default_value=topic, description=text))
    for node in NODES:
        for name, knob in parameters(node):
            text = f"{knob.help}; default {knob.default!r}"
            arguments.append(DeclareLaunchArgument(f"{node.name}.{name}", default_value="", description=text))
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])
