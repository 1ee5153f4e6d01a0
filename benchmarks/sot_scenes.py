"""Make the small SOT scenes that come with the package from rendered rooms.

usage: python benchmarks/sot_scenes.py --rooms DIR --out cc_ros/data/sot --names room101_pan room104_pan ...
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from cc_ros.evaluation.benchmarks.rooms import room_scene
from cc_ros.evaluation.benchmarks.sot import SCENE_FILE

EVERY = 2  # frame of the room that is kept
SIZE, TRUTH_SIZE = (320, 240), (160, 120)
FPS = 15


def make(room: Path, out: Path) -> None:
    scene = room_scene(room)
    out.mkdir(parents=True, exist_ok=True)
    capture = cv2.VideoCapture(str(room / scene["videos"]["A"]))
    film = cv2.VideoWriter(str(out / "A.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), FPS, SIZE)
    with np.load(room / scene["truth"]["A"]) as file:
        truth = file["ids"][::EVERY]
    number = 0
    while True:
        good, image = capture.read()
        if not good:
            break
        if number % EVERY == 0:
            film.write(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA))
        number += 1
    film.release()
    small = [cv2.resize(ids, TRUTH_SIZE, interpolation=cv2.INTER_NEAREST) for ids in truth]
    np.savez_compressed(out / "A.npz", ids=np.array(small, np.uint8))
    scene |= {"videos": {"A": "A.mp4"}, "truth": {"A": "A.npz"}}
    (out / SCENE_FILE).write_text(json.dumps(scene, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    options = parser.parse_args()
    for name in options.names:
        make(options.rooms / name, options.out / name)


if __name__ == "__main__":
    main()
