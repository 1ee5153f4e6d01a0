"""Spatial memory for multimodal language models on ROS 2, after *Coarse Correspondences* (CVPR 2025)."""

# The interfaces (cc_ros.msg, .srv, .action) are generated into the installed package of the same name;
# a source checkout that comes first on sys.path has to look there as well.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
__version__ = "0.1.0"
