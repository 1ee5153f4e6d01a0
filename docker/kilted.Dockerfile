# cc_ros on ROS 2 Kilted (Ubuntu 24.04). From the root of the repository:
#   docker build -f docker/kilted.Dockerfile -t cc_ros:kilted .
#   docker run --rm --net=host --ipc=host -e OPENAI_API_KEY cc_ros:kilted \
#     ros2 launch cc_ros cc.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
#   docker run --rm cc_ros:kilted ros2 run cc_ros cc-ros demo --out /tmp/demo
FROM ros:kilted-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
WORKDIR /ws

# What changes seldom comes first: the packages by what package.xml names, then those that have no key of rosdep.
COPY package.xml src/cc_ros/package.xml
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip \
 && rosdep update --rosdistro $ROS_DISTRO \
 && rosdep install --from-paths src --ignore-src -y --dependency-types=buildtool --dependency-types=build \
      --dependency-types=exec --skip-keys=python3-openai-pip \
 && rm -rf /var/lib/apt/lists/*
# Debian's own packages cannot be uninstalled by pip, only passed over: Ubuntu 24.04 has older ones of the first two.
RUN pip install --ignore-installed "typing_extensions>=4.14" "pydantic>=2.10" \
 && pip install "openai>=3" "rosbags>=0.11" "threadpoolctl>=3.1"

COPY . src/cc_ros
RUN source /opt/ros/$ROS_DISTRO/setup.bash \
 && colcon build --install-base /opt/cc_ros --merge-install --cmake-args -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release \
 && rm -rf build log src

# The image's own entry point sources ROS alone.
RUN sed -i 's|^exec |source /opt/cc_ros/setup.bash --\nexec |' /ros_entrypoint.sh
CMD ["ros2", "launch", "cc_ros", "cc.launch.py"]
