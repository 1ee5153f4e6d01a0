#!/usr/bin/env python3
"""Pictures with objects to learn from: photographs, rendered rooms, videos, and objects pasted into others.

usage: objects_data.py DATA ROOMS PICTURES.npz

Gathers what ``train_objects.py`` learns from in one file. DATA has photos/, davis/, real/ and rooms/; ROOMS is made by
  python -m benchmarks.rooms ROOMS --paths views --wild --rooms $(seq 301 360)
  python -m benchmarks.rooms ROOMS --paths views --rooms $(seq 401 460)
Every fifth photograph, two sequences of DAVIS and two rooms are never learned from.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cc_ros.tracking.objects.constants import STRIDE

HEIGHT, WIDTH = 288, 384  # of the pictures that the network learns from, as large as it sees them later
KEPT = 480  # pixels; the longer side of the pictures in memory
NONE, THING, STUFF, UNKNOWN = 0, 1, 2, 255  # background; an object; object-like, one or several; not known
ROOM_OBJECT = 7  # ids of rendered rooms from here on are objects: the rug and the furniture
HELD_OUT = 5  # every so many photographs, the last of them, nothing is learned from
DAVIS_HELD_OUT, ROOMS_HELD_OUT = ("dog", "libby"), ("room103_revisit", "room104_pan")
WORLD = ("photographs", "davis", "unlabelled")  # kinds of pictures that are not made by us
DONORS = ("photographs", "davis")  # kinds whose things are pasted

# COCO's stuff that a robot's owner would call an object.
OBJECT_STUFF = {
    "banner", "blanket", "cardboard", "counter", "curtain", "door-stuff", "flower", "fruit", "light", "mirror-stuff",
    "pillow", "shelf", "tent", "towel", "window-blind", "window-other", "table-merged", "cabinet-merged",
    "paper-merged", "food-other-merged", "rug-merged",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what its segments are.

    :param image: HxWx3 uint8 BGR.
    :param segments: HxW int16, 0..n-1.
    :param kinds: n uint8, NONE, THING, STUFF or UNKNOWN.
    """

    image: np.ndarray
    segments: np.ndarray
    kinds: np.ndarray


def _picture(image: np.ndarray, ids: np.ndarray, kind_of: dict[int, int], other: int) -> Picture:
    scale = min(KEPT / max(image.shape[:2]), 1)
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    distinct, index = np.unique(ids, return_inverse=True)
    segments = cv2.resize(index.reshape(ids.shape).astype(np.int16), size, interpolation=cv2.INTER_NEAREST)
    kinds = np.array([kind_of.get(int(i), other) for i in distinct], np.uint8)
    return Picture(cv2.resize(image, size, interpolation=cv2.INTER_AREA), segments, kinds)


def photographs(folder: Path, held_out: bool) -> list[Picture]:
    """Return the photographs that are learned from, or those that are not."""
    found = []
    for number, entry in enumerate(json.loads((folder / "segments.json").read_text())):
        if (number % HELD_OUT == HELD_OUT - 1) != held_out:
            continue
        colour = cv2.imread(str(folder / "masks" / entry["mask"])).astype(np.int64)
        ids = colour[..., 2] + 256 * colour[..., 1] + 65536 * colour[..., 0]
        kinds = {0: UNKNOWN}
        for s in entry["segments"]:
            stuff = THING if s["isthing"] else STUFF if s["category"] in OBJECT_STUFF else NONE
            kinds[s["id"]] = UNKNOWN if s["iscrowd"] else stuff
        picture = _picture(cv2.imread(str(folder / "images" / entry["image"])), ids, kinds, UNKNOWN)
        found.append(_with_whole_stuff(picture))
    return found


def _with_whole_stuff(picture: Picture) -> Picture:
    """Take object-like stuff that is all in one piece for an object."""
    kinds = picture.kinds.copy()
    for segment in np.flatnonzero(kinds == STUFF).tolist():
        mask = (picture.segments == segment).astype(np.uint8)
        areas = cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA]
        if areas.size and areas.max() > 0.85 * areas.sum():
            kinds[segment] = THING
    return Picture(picture.image, picture.segments, kinds)


def video(path: Path, every: int = 1) -> list[np.ndarray]:
    """Return every so many frames of a video."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        found, image = capture.read()
        if not found:
            return frames[::every]
        frames.append(image)


def room(folder: Path, every: int) -> list[Picture]:
    """Return frames of a rendered room."""
    ids = np.load(folder / "ids.npz")["ids"][::every]
    return [
        _picture(image, i, {int(k): THING for k in np.unique(i) if k >= ROOM_OBJECT}, NONE)
        for image, i in zip(video(folder / "rgb.mp4", every), ids, strict=True)
    ]


def davis(folder: Path, sequence: str, every: int) -> list[Picture]:
    """Return frames of a sequence; what is not its object is not known."""
    found = []
    for path in sorted((folder / "JPEGImages/480p" / sequence).glob("*.jpg"))[::every]:
        mask = cv2.imread(str(folder / "Annotations/480p" / sequence / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        found.append(_picture(cv2.imread(str(path)), (mask > 127).astype(np.int64), {1: THING}, UNKNOWN))
    return found


def unlabelled(images: list[np.ndarray]) -> list[Picture]:
    """Return pictures of which nothing is known: background for pasted objects."""
    return [_picture(image, np.zeros(image.shape[:2], np.int64), {}, UNKNOWN) for image in images]


def shapes(count: int, seed: int) -> list[Picture]:
    """Return drawings of rectangles, ellipses and polygons, the simplest of objects."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        grain = rng.normal(0, rng.uniform(0, 12), (240, 320, 1)) + rng.integers(0, 256, 3)
        coarse = rng.normal(0, rng.uniform(0, 40), (rng.integers(2, 12), rng.integers(2, 16), 3)).astype(np.float32)
        image = np.clip(grain + cv2.resize(coarse, (320, 240)), 0, 255).astype(np.uint8)
        segments = np.zeros((240, 320), np.int16)
        number = int(rng.integers(1, 9))
        for n in range(1, number + 1):
            x, y, w, h = rng.integers(10, 310), rng.integers(10, 230), rng.integers(12, 110), rng.integers(12, 110)
            mask = np.zeros((240, 320), np.uint8)
            kind = rng.integers(3)
            if kind == 0:
                box = cv2.boxPoints(
                    ((float(x), float(y)), (float(w), float(h)), float(rng.choice([0, rng.uniform(0, 90)])))
                )
                cv2.fillPoly(mask, [box.astype(np.int32)], 1)
            elif kind == 1:
                cv2.ellipse(
                    mask, (int(x), int(y)), (int(w // 2), int(h // 2)), float(rng.uniform(0, 180)), 0, 360, 1, -1
                )
            else:
                points = rng.normal(0, 0.5, (8, 2)) * [w, h] + [x, y]
                cv2.fillConvexPoly(mask, cv2.convexHull(points.astype(np.int32)), 1)
            paint = np.full((240, 320, 3), rng.integers(0, 256, 3), np.float32)
            if rng.random() < 0.4:
                spots = rng.integers(0, 256, (int(rng.integers(8, 40)), int(rng.integers(8, 40)), 3)).astype(np.float32)
                paint = cv2.resize(
                    spots, (320, 240), interpolation=int(rng.choice([cv2.INTER_NEAREST, cv2.INTER_LINEAR]))
                )
            paint += rng.normal(0, rng.uniform(0, 6), paint.shape)
            image[mask > 0] = np.clip(paint, 0, 255)[mask > 0]
            segments[mask > 0] = n
        found.append(Picture(image, segments, np.array([NONE] + [THING] * number, np.uint8)))
    return found


Pictures = dict[str, list[Picture]]  # by kind


def gathered(data: Path, rooms: Path) -> Pictures:
    """Return all pictures to learn from but the shapes."""
    sequences = sorted(p.name for p in (data / "davis/JPEGImages/480p").iterdir() if p.name not in DAVIS_HELD_OUT)
    given = sorted(p.parent for p in (data / "rooms").glob("*/ids.npz") if p.parent.name not in ROOMS_HELD_OUT)
    videos = [f for path in sorted((data / "real").glob("*.mp4")) for f in video(path, 4)]
    videos += [cv2.imread(str(p)) for p in sorted((data / "real/kitchen").glob("*.color.jpg"))[::2]]
    return {
        "photographs": photographs(data / "photos", held_out=False),
        "rooms": [p for folder in given for p in room(folder, 8)],
        "rendered": [p for path in sorted(rooms.glob("*_views/ids.npz")) for p in room(path.parent, 1)],
        "davis": [p for name in sequences for p in davis(data / "davis", name, 4)],
        "unlabelled": unlabelled(videos),
    }


def save(path: Path, pictures: Pictures) -> None:
    """Write pictures into one file, images as JPEG and segments as PNG."""
    parts = {}
    for kind, some in pictures.items():
        for number, picture in enumerate(some):
            quality = 92 if kind == "photographs" else 75
            image = cv2.imencode(".jpg", picture.image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            segments = cv2.imencode(".png", picture.segments.astype(np.uint16))[1]
            parts |= {
                f"{kind}/{number}/image": image,
                f"{kind}/{number}/segments": segments,
                f"{kind}/{number}/kinds": picture.kinds,
            }
    np.savez(path, **parts)


def load(path: Path) -> Pictures:
    """Read what ``save`` wrote."""
    found: Pictures = {}
    with np.load(path) as parts:
        for name in parts.files:
            kind, number, part = name.split("/")
            if part == "image":
                segments = cv2.imdecode(parts[f"{kind}/{number}/segments"], cv2.IMREAD_UNCHANGED).astype(np.int16)
                picture = Picture(cv2.imdecode(parts[name], 1), segments, parts[f"{kind}/{number}/kinds"])
                found.setdefault(kind, []).append(picture)
    return found


class Sampler:
    """Draws pictures to learn from: a part of one, changed in colour, with objects of others pasted into it.

    :param pictures: to draw from.
    :param shares: by kind, how often to take one of them.
    """

    def __init__(self, pictures: Pictures, shares: dict[str, float], rng: np.random.Generator) -> None:
        self._groups = {kind: pictures[kind] for kind in shares if pictures.get(kind)}
        self._donors = [picture for kind in DONORS for picture in pictures.get(kind, [])]
        weights = np.array([shares[kind] for kind in self._groups])
        self._weights, self._rng = weights / weights.sum(), rng

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Return an image (HEIGHTxWIDTHx3 uint8), segments (int16), kinds (n uint8), and if it shows the world."""
        rng = self._rng
        kind = str(rng.choice(list(self._groups), p=self._weights))
        picture = self._groups[kind][rng.integers(len(self._groups[kind]))]
        image, segments = self._part(picture)
        kinds = picture.kinds
        if rng.random() < 0.3:
            image = self._papered(image, segments, kinds)
        for _ in range(rng.integers(0, 7)):
            kinds = self._pasted(image, segments, kinds)
        return self._coloured(image), segments, kinds, kind in WORLD

    def _part(self, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
        rng, (height, width) = self._rng, picture.segments.shape
        fit = min(WIDTH / width, HEIGHT / height)
        zoom = rng.uniform(0.85, 1.25) if rng.random() < 0.55 else rng.uniform(1.2, 2.6)
        stretch, turn = rng.uniform(0.85, 1.18), np.radians(rng.normal(0, 4))
        flip = -1 if rng.random() < 0.5 else 1
        sx, sy = fit * zoom * stretch, fit * zoom
        c, s = np.cos(turn), np.sin(turn)
        matrix = np.array([[flip * sx * c, -sy * s], [flip * sx * s, sy * c]])
        room = np.maximum(np.array([sx * width - WIDTH, sy * height - HEIGHT]) / 2, 0)
        slack = np.maximum(np.array([WIDTH - sx * width, HEIGHT - sy * height]) / 2, 0)
        shift = rng.uniform(-1, 1, 2) * (room + slack)
        offset = np.array([WIDTH, HEIGHT]) / 2 + shift - matrix @ (np.array([width, height]) / 2)
        affine = np.column_stack([matrix, offset]).astype(np.float32)
        size, mirrored = (WIDTH, HEIGHT), cv2.BORDER_REFLECT_101
        shrunk = picture.image
        if min(sx, sy) < 0.6:
            shrunk = cv2.GaussianBlur(shrunk, (0, 0), 0.4 / min(sx, sy))
        image = cv2.warpAffine(shrunk, affine, size, flags=cv2.INTER_LINEAR, borderMode=mirrored)
        segments = cv2.warpAffine(picture.segments, affine, size, flags=cv2.INTER_NEAREST, borderMode=mirrored)
        return image, segments

    def _papered(self, image: np.ndarray, segments: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Give one segment of a rendered or plain picture the texture of a photograph."""
        rng, present = self._rng, np.unique(segments)
        one = int(rng.choice(present))
        if kinds[one] == UNKNOWN:
            return image
        donor = self._donors[rng.integers(len(self._donors))].image
        size = int(rng.integers(40, min(donor.shape[:2]) - 1))
        y, x = rng.integers(0, donor.shape[0] - size), rng.integers(0, donor.shape[1] - size)
        texture = cv2.resize(donor[y : y + size, x : x + size], (WIDTH, HEIGHT)).astype(np.float32)
        mask = (segments == one).astype(np.float32)[..., None]
        light = texture / np.maximum(texture.mean(axis=(0, 1)), 8)
        strength = rng.uniform(0.3, 1.0)
        changed = image * (1 - strength + strength * light)
        return np.clip(image * (1 - mask) + mask * changed, 0, 255).astype(np.uint8)

    def _pasted(self, image: np.ndarray, segments: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Paste a thing of another picture, in place; return the kinds with the new segment's."""
        rng = self._rng
        donor = self._donors[rng.integers(len(self._donors))]
        area = np.bincount(donor.segments.ravel(), minlength=len(donor.kinds)) / donor.segments.size
        things = np.flatnonzero((donor.kinds == THING) & (area > 0.004))
        if not len(things):
            return kinds
        mask = (donor.segments == rng.choice(things)).astype(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        scale = np.exp(rng.uniform(np.log(18), np.log(200))) / max(w, h)
        scale = min(scale, 2.0)
        size = max(round(w * scale * rng.uniform(0.9, 1.1)), 1), max(round(h * scale), 1)
        if min(size) < 5:
            return kinds
        thing = cv2.resize(donor.image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask[y : y + h, x : x + w], size, interpolation=cv2.INTER_NEAREST)
        if rng.random() < 0.5:
            thing, mask = thing[:, ::-1], mask[:, ::-1]
        left, top = (
            rng.integers(-size[0] // 3, WIDTH - 2 * size[0] // 3),
            rng.integers(-size[1] // 3, HEIGHT - 2 * size[1] // 3),
        )
        rows, columns = slice(max(top, 0), min(top + size[1], HEIGHT)), slice(max(left, 0), min(left + size[0], WIDTH))
        inner = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        if rows.stop <= rows.start or columns.stop <= columns.start or not mask[inner].any():
            return kinds
        soft = cv2.GaussianBlur(mask[inner].astype(np.float32), (0, 0), rng.uniform(0.4, 1.0))[..., None]
        shown = thing[inner].astype(np.float32) * rng.uniform(0.75, 1.25)
        image[rows, columns] = np.clip(soft * shown + (1 - soft) * image[rows, columns], 0, 255).astype(np.uint8)
        segments[rows, columns][mask[inner] > 0] = len(kinds)
        return np.append(kinds, np.uint8(THING))

    def _coloured(self, image: np.ndarray) -> np.ndarray:
        rng = self._rng
        changed = image.astype(np.float32)
        changed = 255 * (changed / 255) ** np.exp(rng.normal(0, 0.25))
        changed = changed * rng.uniform(0.65, 1.3) + rng.uniform(-20, 20)
        changed *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
        grey = changed.mean(axis=2, keepdims=True)
        colourful = 0.0 if rng.random() < 0.1 else rng.uniform(0.5, 1.4)
        changed = grey + colourful * (changed - grey)
        kind = rng.random()
        if kind < 0.25:
            changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.5, 1.6))
        elif kind < 0.4:
            length = int(rng.integers(3, 10))
            kernel = np.zeros((length, length), np.float32)
            cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
            changed = cv2.filter2D(changed, -1, kernel / max(kernel.sum(), 1))
        if rng.random() < 0.3:
            changed += rng.normal(0, rng.uniform(2, 12), changed.shape)
        changed = np.clip(changed, 0, 255).astype(np.uint8)
        if rng.random() < 0.3:
            quality = int(rng.integers(25, 90))
            changed = cv2.imdecode(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
        return changed


@dataclass(frozen=True, slots=True)
class Targets:
    """What the network should say of one picture; h x w is every STRIDE-th pixel.

    :param thing: h x w uint8: 0, 1 or UNKNOWN.
    :param boundary: h x w float32, 0 or 1.
    :param owner: h x w int16, 0 = none, 1..n the objects.
    :param known: h x w bool, where a cell that is no centre of an object surely is none.
    :param shape: n x 4 float32: centre y, x and spread y, x, in pixels.
    """

    thing: np.ndarray
    boundary: np.ndarray
    owner: np.ndarray
    known: np.ndarray
    shape: np.ndarray


LEAST = 6  # pixels of an object at STRIDE, to be one to learn from


def targets(segments: np.ndarray, kinds: np.ndarray) -> Targets:
    """Return what the network should say of a picture."""
    edge = np.zeros(segments.shape, np.uint8)
    edge[:, 1:] |= segments[:, 1:] != segments[:, :-1]
    edge[1:] |= segments[1:] != segments[:-1]
    edge = cv2.dilate(edge, np.ones((3, 3), np.uint8))
    half = STRIDE // 2
    low, kind = segments[half::STRIDE, half::STRIDE], kinds[segments][half::STRIDE, half::STRIDE]
    thing = np.where(kind == UNKNOWN, UNKNOWN, kind > 0).astype(np.uint8)
    owner, shape = np.zeros(low.shape, np.int16), []
    known = (kind == NONE) | (kind == THING)
    for segment in np.unique(low).tolist():
        mine = low == segment
        if kinds[segment] != THING:
            continue
        y, x = np.nonzero(mine)
        if len(y) < LEAST:
            known &= ~mine
            continue
        owner[mine] = len(shape) + 1
        place = STRIDE * (np.stack([y, x]) + 0.5)
        shape.append([*place.mean(axis=1), *np.maximum(place.std(axis=1), STRIDE / 2)])
    table = np.array(shape, np.float32).reshape(-1, 4)
    return Targets(thing, edge[half::STRIDE, half::STRIDE].astype(np.float32), owner, known, table)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    pictures = gathered(Path(sys.argv[1]), Path(sys.argv[2]))
    save(Path(sys.argv[3]), pictures)
    print(", ".join(f"{len(some)} {kind}" for kind, some in pictures.items()))
