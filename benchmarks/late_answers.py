"""How well a map that comes late is moved to now: true maps of rendered rooms, carried by optical flow.

Prints Markdown: the mean IoU of an object in view then and now, by how many frames late the map is; and the same when
the steps of the flow are only added up and never compared with the frame of the map itself.

  python benchmarks/late_answers.py --data DIR            # DIR/rooms/NAME/ with rgb.mp4 and ids.npz
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from cc_ros.tracking.auto import constants
from cc_ros.tracking.auto.flow_chain import FlowChain
from cc_ros.tracking.optical_flow import DisFlow

LATE = (10, 20, 30, 60, 90)  # frames
STARTS = 4  # maps of each room
SMALLEST = 400  # pixels of an object in view


def grey(image: np.ndarray) -> np.ndarray:
    size = (constants.MOTION_WIDTH, round(image.shape[0] * constants.MOTION_WIDTH / image.shape[1]))
    return cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)


def read(path: Path) -> list[np.ndarray]:
    capture, images = cv2.VideoCapture(str(path)), []
    while True:
        found, image = capture.read()
        if not found:
            return images
        images.append(grey(image))


def carried(images: list[np.ndarray], ids: np.ndarray) -> dict[int, list[float]]:
    """Return the IoU of each object by frames of delay."""
    optical_flow = DisFlow(1)
    found = defaultdict(list)
    last = len(images) - LATE[0] - 1
    for start in np.linspace(0, last, STARTS).astype(int):
        chain = FlowChain(images[start])
        for late, (before, now) in enumerate(zip(images[start:], images[start + 1 :], strict=False), start=1):
            if late > LATE[-1]:
                break
            chain.extend(optical_flow.motion(before, now))
            chain.correct_drift(now, optical_flow)
            if late in LATE:
                then, truth = ids[start].astype(np.uint16), ids[start + late]
                labels, seen = chain.carry(then, then.shape)
                for i in np.unique(then[then > 0]):
                    true, got = (truth == i) & seen, labels == i
                    if true.sum() >= SMALLEST:
                        found[late].append(float((true & got).sum() / (true | got).sum()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    every = constants.CORRECT_EVERY
    print(f"| frames late | {' | '.join(map(str, LATE))} |\n|---|{'---|' * len(LATE)}")
    for room in sorted((options.data / "rooms").iterdir()):
        images = read(room / "rgb.mp4")
        with np.load(room / "ids.npz") as arrays:
            ids = arrays[arrays.files[0]]
        for name, constants.CORRECT_EVERY in (("", every), (", only added up", 10**9)):
            found = carried(images, ids)
            cells = [f"{np.mean(found[late]):.3f}" if found[late] else "" for late in LATE]
            print(f"| {room.name}{name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
