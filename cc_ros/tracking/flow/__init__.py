"""Objects detected by a small network, carried by optical flow."""
