"""Private numbers of the flow backend, by the module that reads them; what users set is in ``flow/settings.py``.

The comments name the unit, and how sensitive the figures of ``benchmarks/RESULTS.md`` are where that was measured.
Everything else was chosen once and not varied. A number is in image shares, seconds or log odds unless it says more.
"""

from __future__ import annotations

# matching: detections and carried masks to objects
NEW_SCORE, KNOWN_SCORE = 0.20, 0.12  # least score of a new object, and of one that continues a track
# The same of a new object that was looked for twice: with 0.20 recall of 5 % in photographs is 0.49 instead of 0.55.
NEW_SCORE_TWICE = 0.15
SUPPORT = 0.3  # score that a candidate gains by continuing a track
CONTINUES_IOU, CONTINUES_COVER = 0.3, 0.6  # IoU, or share of a track inside a candidate, that continues the track
# Share of the overlap with a track without an id from which that with a named one counts more: a chair keeps its number
# when a young track lies over it, and a table does not take that of the cup on it.
NAMED_OVERLAP = 0.5
CARRIED_ODDS = 2.0  # log odds of a carried mask
MASK_MEMORY = 0.7  # log odds that a carried mask adds to a detected one
CARRIED_ON_THINGS = 0.35  # least mean probability of "thing" under a carried mask

# automatic: tracks from one detection pass to the next
SCORE_FADE = 1.0  # 1/s, how fast the score of a track that is only carried falls
DIFFERENT_COSINE = 0.5  # of two descriptors of different objects; 95 of 100 pairs of one object are above 0.71
REJOIN_SECONDS = 0.35  # s since the last detection of a track that lost its place
REJOIN_COSINE = 0.75  # least cosine of the descriptors
REJOIN_REACH = 0.4  # largest distance from where it should be, shares of the image

# track_table: ids and confidence
# Sum of its squared scores until an object gets an id: a sure one gets it at once, an unsure one after 4 passes. Where
# the scene moves by so many images a second, half of it is enough: things are soon out of view. With 0.3 at any speed 8
# pans have pair_recall 0.74 and a looped bedroom 38 ids in a minute; so they have 0.80 and 35. At any speed a quarter
# stays: without, 142 instead of 127 ids in a walk, and no pan gains; with a third 120, but pans find less.
PROOF_EVIDENCE, PROOF_SPEED, PROOF_LEAST = 0.36, 0.35, 0.09
SAME_COSINE, SAME_COSINE_LEAD = 0.65, 0.05  # of two descriptors of one object at one place; lead over any other
# Cosines that a distance of one image costs, and the most that any costs: with 0.5, or with nothing from a distance of
# 0.1, one child in the bedroom gets the number of another.
SAME_DISTANCE, SAME_FAR = 1.0, 0.2
# Share of the way that the scene moved meanwhile, by which a place may be off: with 0.4 nothing changes, with 0.15 one
# pair fewer in a walk of 7, with 0 four fewer.
PLACE_DRIFT = 0.25
# Pixels that the flow may be off by in each frame: with 0 a camera that stands still seems to have moved by a third of
# the image after 200 frames, and in the bedroom one child gets the number of the other.
FLOW_ERROR = 1.0
# Share of a new object's score below which what continues a track is only a part that was left behind: where it looks
# alike, the new one is the track. With 0.7 it is the same; without, a child that jumps gets another number.
LEFT_BEHIND = 0.5
SAME_PLACE = 0.1  # share of the image; nearer to where a lost object should be, a similar one is that one
DESCRIPTOR_RATE = 0.2  # share of a new descriptor in the running mean
# Score, averaged over passes -> share of such masks that lie on an object: measured on photographs that the network
# was not trained on (``benchmarks/tracking.py --only photos``). Measure again after every change of the network.
EXPECTED_IOU, RIGHT_SHARE = (0.0, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8, 1.0), (0.0, 0.3, 0.45, 0.55, 0.72, 0.8, 0.95, 1.0)
OFTEN_BONUS, OFTEN_DETECTIONS = 0.1, 10.0  # score gained by many detections, and how many make 63 % of it
SLIVER, SLIVER_OF_PEAK = 0.001, 0.02  # shares of the image and of an object's largest size below which it is not shown

# depth: which depth images are used, and what they part
DEPTH_NEAR, DEPTH_FAR = 0.1, 20.0  # m; outside, a depth is no measurement or of no use
MIN_MEASURED = 0.2  # share of the image that must have depth
MAX_NOISE = 0.03  # share of the median distance
JUMP, JUMP_OF_NOISE = 0.03, 6.0  # least jump between two surfaces: share of the distance, multiple of the noise
MIN_JUMPS = 0.002  # share of the image; fewer jumps do not tell whether depth and image fit
EDGE_GAIN, EDGE_GAIN_RATE = 1.01, 0.5  # least ratio of edges at jumps to edges beside them; weight of a new frame
PART_SHARE = 0.2  # share of a mask that each of its parts must have
PARTS_APART = 0.12  # distance of two parts, share of their depth
PARTED_SCORE = 0.5  # factor on the score of a mask that falls into parts
OTHER_PART_ODDS = -5.0  # log odds of the other parts

# memory/views: ORB features of earlier views
VIEW_INLIERS, VIEW_AGREEING = 20, 0.6  # least features on one homography: number, and share of the matches
VIEW_BITS = 60  # Hamming distance; descriptors farther apart do not match
VIEW_STRONG, VIEWS_TRIED = 120, 2  # features of each view that vote for the views to try, and how many are tried
VIEW_EXPLAINED = 0.99  # share of the image; once so much is explained, no further view is tried

# memory/places: cells of space, with depth and odometry
CELL_SIZE = 0.06  # m
CELL_COLOUR = 25  # Lab levels (0..255); a cell that differs by more shows something else now
CELL_AGREEING = 0.6  # share of the cells found that must look as before, and agree with the flow
CELL_PIXELS = 200  # pixels; fewer do not tell whether the pose is right

# memory/shapes: given objects that are hidden
SHAPE_FADE, SHAPE_FADE_HIDDEN = 0.17, 0.7  # left of a remembered shape after 1 s; of one that is mostly hidden
SHAPE_FAINT = 0.05  # probability below which a pixel of a shape is forgotten

# memory/search: given objects that move and are lost
SEARCH_RATE = 1.0  # 1/s, how fast the colours of an object and of everything else adapt
SEARCH_ODDS = 1.5  # least mean log odds of what may be the object
SEARCH_SMALLEST, SEARCH_LARGEST = 0.4, 2.5  # times the area that the object had
SEARCH_TAKEN = 0.2  # share of a superpixel; with more, it belongs to another object
SEARCH_RIVAL = 0.4  # share of the best place's evidence; a second place with more makes the search undecided

# mask_follower: the vote of each superpixel
COLOUR_WEIGHT, PLACED_COLOUR_WEIGHT, MOTION_WEIGHT = 1.5, 0.5, 2.0
NETWORK_WEIGHT = 1.0  # J on DAVIS 0.687, 0.746, 0.738 with 0, 1, 2 (earlier weights)
NETWORK_LIMIT = 3.0  # log odds; the network's vote is clipped to this
OUTLINE_BLUR = 0.1  # sizes of the object, how far the carried outline may be off
SHAPE_WEIGHT = 0.5  # of the remembered shape where the carried mask has lost it
COLOUR_RATE = 2.5  # 1/s, how fast the colours of an object adapt
EXEMPLAR_PERIOD = 1 / 12  # s between two exemplars
MOSTLY_VISIBLE = 0.6  # share of an object; with less in view nothing is learned of its motion
MOVES_RATE = 2.5  # 1/s, how fast the estimate adapts whether an object moves
MIN_PIXELS = 20  # pixels; fewer are no object
WINDOW_MARGIN, WINDOW_PIXELS = 0.5, 8  # sizes of an object and pixels: how far it may move between two redraws
BACK_AGREEING = 0.5  # share of the place where a lost object is expected that must turn out to be it
LEAST_CHANCE = 0.01  # probability of an object where it is least expected
NOWHERE_ODDS = -6.0  # log odds too far from the object

# prompted: how often the memories are asked
RECALL_PERIOD, LEARN_PERIOD, SEARCH_PERIOD = 0.3, 0.5, 0.3  # s: views while nothing is lost; colours; search
MOVES = 0.3  # of ``MaskFollower.moves`` (0..1), from which an object counts as moving
WHOLE_VISIBLE = 0.8  # share of an object that must be in view to learn its colours
STAYED = 0.7  # share of a carried object that must be where it was remembered, if it rests
HELD_SECONDS = 0.5  # s over which the agreement of carried and redrawn masks is averaged

# appearance: colours
COLOUR_FLOOR = 3e-5  # share of a histogram below which a colour tells nothing
COLOUR_LIMIT = 4.0  # log odds; no single cue decides alone
FIRST_FRAME = 0.6  # weight of the first frame, the only one that was given rather than estimated
EXEMPLAR_LIGHT, EXEMPLAR_CHROMA, EXEMPLAR_PLACE = 12.0, 6.0, 0.35  # reach of a vote: Lab levels, sizes of the object
EXEMPLAR_PRIOR = 1e-3  # area that votes must outweigh, squared sizes of the object

# object_motion: affine motions
MOTION_SCALE, MOTION_FAR = 2.0, 6.0  # pixels of residual: one unit of log odds, and the limit
MOTION_LEAD = 0.3  # how much better than chance motion must separate an object from its surroundings
MOTION_INSIDE, MOTION_OUTSIDE = 0.6, 0.05  # shares from which, and up to which, a pixel surely is the object or not

# superpixels, superpixel_shares
FLAT = 1.5  # Lab levels a pixel; places with a smaller gradient grow into one superpixel
LINK_COLOUR, LINK_LEAST = 10.0, 0.02  # Lab: fall of the link between neighbours with their difference, and its floor
SMOOTHNESS = 0.1  # weight of neighbours against a superpixel's own evidence
WALK_SWEEPS = 25  # iterations of the random walk
