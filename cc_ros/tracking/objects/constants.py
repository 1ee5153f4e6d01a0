"""Numbers of the object network: the format of its outputs, fixed by its training, and how they become objects.

Sensitivity is noted where it was measured (``docs/design.md``, ``benchmarks/RESULTS.md``); the rest was not varied.
"""

from __future__ import annotations

# Format: what ``benchmarks/train_objects.py`` trained; a change needs new weights.
SIDE, MULTIPLE = (
    384,
    32,
)  # pixels: longer side of the input, divisor of both; AP50 with 320, 448: 0.18, 0.17
FEATURES = 24  # channels that masks are told apart by
PIXEL_CHANNELS = 2 + FEATURES  # thing, boundary, features
CELL_CHANNELS = 6 + FEATURES  # quality, bias, centre y and x, size y and x, weights of the features
STRIDE, CELL = 4, 8  # pixels of the input between two pixels, and two cells, of the output
REACH = 32.0  # pixels, unit of a cell's offset to the centre of its object
SIZE = 32.0  # pixels, size of an object where the network says 0

# Decoding.
SECOND_SIDE = 320  # pixels: longer side in a second look; with 288 recall of 5 % in photographs is 0.06 less
CANDIDATES, LEAST_QUALITY = 64, 0.12  # cells that become masks: at most so many, of at least this quality
OUTLINE_GAIN = 1.5  # a good mask has a mean boundary probability of 0.5; AP50 0.207, without this evidence 0.195
# Least score of a region that SAM 2 is asked about: recall of 5 % in photographs 0.47, with one look and 0.3 as much on
# background and 0.38.
REGION_SCORE = 0.25
SAME = 0.5  # IoU from which two candidates are one object
INSIDE = 0.75  # share of a candidate inside a better one that makes it a part of that one
LEFT = 0.5  # share of a mask that better objects must leave of it
