"""A simulator: seeded furnished rooms, a differential-drive robot with a camera, and navigation episodes in them."""

HOW_TO_INSTALL = "the simulator needs MuJoCo: pip install 'cc_ros[sim]'"
HOW_TO_RENDER = "MuJoCo cannot render here: apt install libegl1 libgl1-mesa-dri, or libosmesa6 and set MUJOCO_GL=osmesa"
