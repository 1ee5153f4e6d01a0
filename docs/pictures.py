"""Make the pictures of the documentation: ``make pictures``.

Those of a rendered room come from the bundled bag, that of a real one from OpenCV's samples (``apt install
opencv-doc``), those of the live page need Chromium (``apt install chromium``); where these are missing they stay as
they are. ``PAGE_BAG``, and ``PAGE_REMAPS`` of its topics, show another recording on the page, such as one of a camera
that walks: the bundled one only turns, so that its map is empty.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from cc_ros.commands.demo import BAG, BAG_REMAPS
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
CLI = [sys.executable, "-m", "cc_ros.cli"]
DESKTOP, PHONE = {"width": 1280, "height": 1060}, {"width": 390, "height": 844}
PAGE_WIDTHS = {"page.jpg": 680, "page_phone.jpg": 390}  # pixels
PATIENCE = 120.0  # seconds


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
    _live_page()


def _live_page() -> None:
    """Play the bag to the nodes, ask the page a question, and write what a browser on a desk and on a phone shows."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("no Chromium on this machine: the pictures of the live page stay as they are")
        return
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1e3 * PATIENCE)
    bag, remaps = os.environ.get("PAGE_BAG", str(BAG)), os.environ.get("PAGE_REMAPS", " ".join(BAG_REMAPS)).split()
    with _running("up", "--backend", "flow", "--web", "0", *_remaps(remaps)) as said, sync_playwright() as playwright:
        address = said("open ").split("open ")[1].split()[0]
        said("active after")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        desk = browser.new_page(viewport=DESKTOP)
        desk.goto(address)
        expect(desk.locator("#nodes .ok").first).to_be_visible()
        subprocess.run([*CLI, "play", bag, "--wait", "20", "--rate", "0.2"], env=_apart(), check=True)
        shown = desk.locator("#frames figure:not([data-marks=''])").last
        first, second = str(shown.get_attribute("data-marks")).split(", ")[:2]
        phone = browser.new_page(viewport=PHONE, device_scale_factor=2)
        phone.goto(address)
        for page, name in ((desk, "page.jpg"), (phone, "page_phone.jpg")):
            page.fill("#text", f"Is {first} left of {second}?")
            page.click("#ask")
            expect(page.locator("#answers article .answer").first).not_to_be_empty()
            expect(page.locator(".live.on img")).to_be_visible()
            shot = cv2.imdecode(np.frombuffer(page.screenshot(full_page=page is desk), np.uint8), cv2.IMREAD_COLOR)
            width = PAGE_WIDTHS[name]
            size = width, round(shot.shape[0] * width / shot.shape[1])
            _write(name, cv2.resize(shot, size, interpolation=cv2.INTER_AREA))
        browser.close()


def _apart() -> dict[str, str]:
    """Return an environment apart from other robots."""
    apart = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return {**os.environ, **apart, "PYTHONUNBUFFERED": "1"}


def _remaps(rules: list[str]) -> list[str]:
    return [part for rule in rules for part in ("--remap", rule)]


@contextmanager
def _running(*arguments: str) -> Iterator[Callable[[str], str]]:
    """Run a ``cc-ros`` command, and yield what waits until it has said something and returns that line."""
    lines: list[str] = []
    program = subprocess.Popen(
        [*CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_apart()
    )
    assert program.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(program.stdout.readline, "")), daemon=True)
    reader.start()

    def said(text: str) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and program.poll() is None:
            for line in lines:
                if text in line:
                    return line
            time.sleep(0.1)
        raise RuntimeError(f"no {text!r} in: {''.join(lines)}")

    try:
        yield said
    finally:
        program.terminate()
        program.wait(30)


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
