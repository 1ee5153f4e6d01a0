"""Make the pictures of the documentation: ``make pictures``.

Those of a rendered room come from the bundled bag, that of a real one from OpenCV's samples (``apt install
opencv-doc``); where these are missing it stays as it is.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from cc_ros.commands.demo import BAG
from cc_ros.frame import Frame
from cc_ros.keyframes import ArrayPicture, Candidate, Keyframes, KeyframeSettings, MarkedKeyframe
from cc_ros.keyframes.drawing import draw_labels
from cc_ros.sources.open import open_source
from cc_ros.tracking.factory import make_tracker

DOCS = Path(__file__).resolve().parent
OFFICE = Path("/usr/share/doc/opencv-doc/examples/data")  # left01.jpg ..: a camera stands in an office
OFFICE_SHOWN = (8, 10)  # of them, by number
FRAMES = 4
HEIGHT = 300  # pixels of a keyframe in the row of them
GAP = 8
CLOSE_UP = 150  # pixels around a mark


def main() -> None:
    """Follow the bag and the office, and write the pictures."""
    rendered()
    if OFFICE.is_dir():
        office()
    else:
        print(f"docs/office.jpg stays as it is: there is no {OFFICE} (apt install opencv-doc)")


def rendered() -> None:
    """Follow the bag and write its pictures."""
    keyframes, tracker = Keyframes(KeyframeSettings(frames=FRAMES)), make_tracker("flow")
    overlay: np.ndarray | None = None
    with open_source(BAG) as source:
        for index, frame in enumerate(source):
            tracked = tracker.step(frame)
            sure = {track.id: track.confidence for track in tracked.tracks}
            begun = {track.id: track.first_seen for track in tracked.tracks}
            picture = ArrayPicture(frame.image)
            keyframes.store.offer(
                Candidate(index, frame.stamp, picture, tracked.labels, None, frame.intrinsics, frame.pose, sure, begun)
            )
            if overlay is None or index % 15 == 0:
                overlay = draw_labels(frame.image, tracked.labels)
    tracker.close()
    marked = keyframes.marked()
    assert overlay is not None  # the bag has frames
    _write("keyframes.jpg", _row([_decoded(keyframe) for keyframe in marked]))
    _write("overlay.jpg", overlay)
    _write("mark.jpg", _close_up(marked))


def office() -> None:
    """Follow the pictures of an office, one a second, and write two of them."""
    shown = sorted(OFFICE.glob("left[01]*.jpg"))
    keyframes, tracker = Keyframes(KeyframeSettings(frames=len(shown))), make_tracker("flow")
    for index, path in enumerate(shown):
        image = cv2.imread(str(path))
        tracked = tracker.step(Frame(image, float(index)))
        sure = {track.id: track.confidence for track in tracked.tracks}
        keyframes.store.offer(Candidate(index, float(index), ArrayPicture(image), tracked.labels, confidences=sure))
    tracker.close()
    marked = [keyframe for keyframe in keyframes.marked() if keyframe.index in OFFICE_SHOWN]
    _write("office.jpg", _row([_decoded(keyframe) for keyframe in marked]))


def _decoded(keyframe: MarkedKeyframe) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(keyframe.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def _row(images: list[np.ndarray]) -> np.ndarray:
    """Return the pictures side by side, HEIGHT pixels high."""
    small = [
        cv2.resize(image, (round(image.shape[1] * HEIGHT / image.shape[0]), HEIGHT), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts = [part for image in small for part in (image, gap)]
    return np.hstack(parts[:-1])


def _close_up(keyframes: list[MarkedKeyframe]) -> np.ndarray:
    """Return the same object in two keyframes, cut out around its mark: the largest that two of them show."""
    shown = [(mark.area, mark.id) for keyframe in keyframes for mark in keyframe.marks]
    ids = [id for _, id in sorted(shown, reverse=True) if sum(other == id for _, other in shown) > 1]
    cuts = []
    for keyframe in keyframes:
        for mark in keyframe.marks:
            if mark.id == ids[0]:
                x = int(np.clip(mark.x, CLOSE_UP, keyframe.width - CLOSE_UP))
                y = int(np.clip(mark.y, CLOSE_UP, keyframe.height - CLOSE_UP))
                cuts.append(_decoded(keyframe)[y - CLOSE_UP : y + CLOSE_UP, x - CLOSE_UP : x + CLOSE_UP])
    return _row(cuts[:2])


def _write(name: str, image: np.ndarray) -> None:
    cv2.imwrite(str(DOCS / name), image, [cv2.IMWRITE_JPEG_QUALITY, 80])
    print(f"docs/{name}: {image.shape[1]}x{image.shape[0]}, {(DOCS / name).stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
