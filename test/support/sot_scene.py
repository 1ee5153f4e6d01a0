"""A small SOT scene: a camera pans over a row of boxes, of which no picture shows more than a part."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, FRAMES, STEP = 160, 120, 9, 40
FIRST, BOXES = 11, 6  # ids of the boxes, from left to right
COLOURS = ((40, 40, 200), (200, 80, 20), (30, 160, 60), (20, 180, 220), (180, 40, 160), (120, 120, 30))
NAMES = ("red box", "blue box", "green box", "yellow box", "purple box", "teal box")


def panorama() -> tuple[np.ndarray, np.ndarray]:
    """Return the whole picture and its true ids."""
    width = WIDTH + STEP * (FRAMES - 1)
    image = np.full((HEIGHT, width, 3), 200, np.uint8)
    ids = np.zeros((HEIGHT, width), np.uint16)
    for number, colour in enumerate(COLOURS):
        left = 20 + number * 80
        image[40:90, left : left + 44] = colour
        ids[40:90, left : left + 44] = FIRST + number
    return image, ids


def questions(name: str) -> list[dict[str, object]]:
    """Return six questions with their answers in turns."""
    rows: list[dict[str, object]] = []
    for number, (asked, other) in enumerate([(0, 4), (5, 1), (1, 5), (4, 0), (0, 5), (5, 0)]):
        left, kind = asked < other, "observer" if number < 4 else "perspective"
        text = (
            f"Is the {NAMES[asked]} left or right of the {NAMES[other]}?"
            if kind == "observer"
            else f"You stand at the {NAMES[other]} and face the camera. Is the {NAMES[asked]} on your left or right?"
        )
        rows.append(
            {
                **{"id": str(number), "kind": kind, "video": "A", "question": f"{text} ({name})"},
                "answer": "left" if left == (kind == "observer") else "right",
                "objects": [FIRST + asked, FIRST + other],
            }
        )
    return rows


def write_scene(folder: Path, name: str = "row") -> Path:
    """Write a scene into a folder of its name, and return that."""
    out = folder / name
    out.mkdir(parents=True)
    image, ids = panorama()
    film = cv2.VideoWriter(str(out / "A.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
    maps = []
    for number in range(FRAMES):
        film.write(np.ascontiguousarray(image[:, number * STEP : number * STEP + WIDTH]))
        maps.append(ids[:, number * STEP : number * STEP + WIDTH])
    film.release()
    np.savez_compressed(out / "A.npz", ids=np.array(maps))
    scene = {
        **{"scene": name, "videos": {"A": "A.avi"}, "truth": {"A": "A.npz"}},
        "objects": {str(FIRST + number): box for number, box in enumerate(NAMES)},
        "questions": questions(name),
    }
    (out / "sot.json").write_text(json.dumps(scene))
    return out
