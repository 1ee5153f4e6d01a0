"""Objects seen by a small network, carried by optical flow."""
