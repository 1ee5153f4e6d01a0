"""For all tests."""

from hypothesis import settings

from cc_ros.process import prepare_process

# Machines that run tests are busy: how long one example takes says nothing.
settings.register_profile("cc_ros", deadline=None)
settings.load_profile("cc_ros")

prepare_process()  # as ours are
