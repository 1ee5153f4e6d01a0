"""Private numbers of the ``auto`` backend. Not varied, unless a comment gives a figure."""

from __future__ import annotations

# tracker
MOTION_WIDTH = 320  # pixels; images are shrunk to this to find the motion
MATCH_IOU = 0.3  # from which a mask of the slow tracker and one of the fast tracker are one object
UNCOVERED = 0.5  # share of a fast tracker's object that the slow one must leave open for it to be shown
LONGEST_WAIT = 0.2  # s; slower cameras need no waiting

# flow_chain
CORRECT_EVERY = 10  # frames, in which drift comes to half a pixel; IoU 30 frames late 0.905, uncorrected 0.869 (pans)
DRIFT = 0.01  # of the image's width; a correction by more has found something else

# worker
CLOSE_SECONDS = 10.0  # s that closing waits for a tracker that is being made, its weights fetched for instance
PAUSE, LONGEST_PAUSE = 30.0, 600.0  # s until a tracker that failed is made anew, doubled each time
