"""Render furnished rooms with exact instance ids, to fit and to judge trackers on.

usage: python -m benchmarks.rooms OUT_DIR --rooms 201 202 .. --paths pan revisit walk [--wild] [--prefix room]

Needs ``pip install vtk numba`` (vtk 9.2 or newer; draws off screen through EGL and Mesa). Writes OUT_DIR/roomN_PATH:
rgb.mp4     640x480 frames
ids.npz     "ids" uint16 [n, H, W]: 1 floor, 2 ceiling, 3-6 walls, 7 rug, 11.. furniture
frames.json fps, K, and T_world_cam of each frame (OpenCV camera to world, metres, z up), visible_px of each object
scene.json  objects with category, colour, centroid, box, and outline on the floor
depth.npz   "depth_mm" uint16 [n, H, W], for walks
The number of a room is the seed of its furniture. pan: 90 frames, 30 a second, the camera turns left to right on the
spot. revisit: 360 frames, it turns right, waits, and turns back. walk: 60 frames, 10 a second, it moves along an arc;
rewalk: along another one. removed, moved: a pan of the same room without one of its chairs or plants, or with that
elsewhere ("changed" in scene.json).
views: 12 unrelated pictures from anywhere in the room, with jagged edges: they are for fitting, which shrinks them.
--wild puts any pattern on anything, adds clutter and unusual furniture, uneven light, and the faults of cheap cameras.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks.rooms.layout import FIRST_OBJECT, Furnisher, Room, room_lights
from benchmarks.rooms.light import Camera, Lights, Rasteriser, looking, shade

WIDTH, HEIGHT, FOCAL = 640, 480, 320 / np.tan(np.radians(31))
STANDING = 1.5  # metres: what of a thing is lower is in a robot's way, and in its outline
FINE = 2  # pictures are drawn this many times larger and shrunk


FPS = {"pan": 30, "revisit": 30, "removed": 30, "moved": 30, "walk": 10, "rewalk": 10, "views": 30}
WALKS, CHANGES = ("walk", "rewalk"), ("removed", "moved")
CHANGING = ("chair", "armchair", "potted plant")


def poses(path: str, room: Room, rng: np.random.Generator) -> np.ndarray:
    """Return the camera-to-world matrices (n x 4 x 4) of a path through a room."""
    if path in WALKS:
        place, yaw, pitch, roll = walking(room, rng)
    elif path == "views":
        place, yaw, pitch, roll = anywhere(room, rng)
    else:
        eased = (1 - np.cos(np.linspace(0, np.pi, 150 if path == "revisit" else 90))) / 2
        there_and_back = np.concatenate([eased, np.ones(60), eased[::-1]])
        place, yaw, pitch, roll = turning(room, rng, there_and_back if path == "revisit" else eased)
    forward = np.column_stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    return np.array([looking(*one) for one in zip(place, forward, roll, strict=True)])


def turning(room: Room, rng: np.random.Generator, share: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return places, yaws, pitches and rolls (radians) of a camera that turns on the spot, held by hand."""
    sway = cv2.GaussianBlur(rng.normal(0, 1, (2, len(share))), (0, 0), 9) * 4
    place = np.tile(room.camera, (len(share), 1))
    return place, np.radians(152 - 124 * share), np.radians(-10 + 0.5 * sway[0]), np.radians(0.3 * sway[1])


def walking(room: Room, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return the same of a camera that moves aside and back, and ahead, while it turns."""
    t = np.linspace(0, 1, 60)
    aside = rng.uniform(1.2, 2.2) * rng.choice([-1, 1]) * np.sin(np.pi * t) ** 2
    step = np.column_stack([aside, 0.9 * np.sin(np.pi / 2 * t), 0.02 * np.sin(40 * t)])
    yaw = np.radians(135 - 90 * np.sin(1.5 * t) / np.sin(1.5))
    return room.camera + step, yaw, np.full(60, np.radians(-10)), np.zeros(60)


def anywhere(room: Room, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return the same of twelve unrelated pictures."""
    half = np.array(room.size[:2]) / 2 - 0.5
    place = rng.uniform([-half[0], -half[1], 0.7], [half[0], 0.2 * half[1], 1.8], (12, 3))
    yaw, pitch = np.radians(rng.uniform(20, 160, 12)), np.radians(rng.uniform(-25, 0, 12))
    return place, yaw, pitch, np.radians(rng.normal(0, 2, 12))


class Studio:
    """A room ready to be drawn."""

    def __init__(self, room: Room, lamps: Lights, ambient: np.ndarray, rasteriser: Rasteriser) -> None:
        self._room, self._lamps, self._ambient, self._rasteriser = room, lamps, ambient, rasteriser

    def draw(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return light (HxWx3 float32), ids (HxW uint16) and depth (HxW float32, metres)."""
        views = self._rasteriser.views(camera)
        ids = np.append(self._room.scene.ids, 0)[views.part].astype(np.uint16)
        return shade(self._room.scene, views, camera, self._lamps, self._ambient), ids, views.depth

    def frame(self, pose: np.ndarray, fine: int = FINE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return light, ids and depth as one frame of the film shows them."""
        light, ids, depth = self.draw(Camera(pose, FOCAL * fine, WIDTH * fine, HEIGHT * fine))
        if fine == 1:
            return light, ids, depth
        light = cv2.resize(light, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        return light, ids[fine // 2 :: fine, fine // 2 :: fine], depth[fine // 2 :: fine, fine // 2 :: fine]


class Panorama:
    """All that is seen from one place: drawn and developed once, then cut into frames."""

    def __init__(self, studio: Studio, place: np.ndarray, brightness: float) -> None:
        width, height = 2 * round(FOCAL), 2 * round(1.3 * FOCAL)
        self._matrix = np.array([[FOCAL * FINE, 0, width / 2 - 0.5], [0, FOCAL * FINE, height / 2 - 0.5], [0, 0, 1]])
        self._turns = [
            looking(place, np.array([np.cos(yaw) * 0.985, np.sin(yaw) * 0.985, -0.174]))[:3, :3]
            for yaw in np.radians(np.linspace(2, 178, 6))
        ]
        sides = []
        for turn in self._turns:
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = turn, place
            sides.append(studio.draw(Camera(pose, FOCAL * FINE, width, height))[:2])
        exposure = exposed(np.concatenate([light[::8, ::8] for light, _ in sides]), brightness)
        self._sides = [(developed(light, exposure), ids) for light, ids in sides]
        x, y = np.meshgrid((np.arange(WIDTH) + 0.5 - WIDTH / 2) / FOCAL, (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / FOCAL)
        self._rays = np.stack([x, y, np.ones_like(x)], axis=2).astype(np.float32)

    def frame(self, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return picture (uint8 BGR) and ids (uint16)."""
        size = (WIDTH * FINE, HEIGHT * FINE)
        picture, ids = np.zeros((*size[::-1], 3), np.uint8), np.zeros(size[::-1], np.uint16)
        back = np.linalg.inv([[FOCAL * FINE, 0, size[0] / 2 - 0.5], [0, FOCAL * FINE, size[1] / 2 - 0.5], [0, 0, 1]])
        best = np.full((HEIGHT, WIDTH), 9.0, np.float32)
        for side, (shown, numbers) in zip(self._turns, self._sides, strict=True):
            turn = side.T @ pose[:3, :3]
            if turn[2, 2] < 0.5:  # too far aside
                continue
            across, _, along = np.moveaxis(self._rays @ turn.T.astype(np.float32), 2, 0)
            off = np.abs(across) / np.maximum(along, 0.01)
            mine = cv2.resize((off < best).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            best = np.minimum(best, off)
            plane = self._matrix @ turn @ back
            for source, target, how in ((shown, picture, cv2.INTER_LINEAR), (numbers, ids, cv2.INTER_NEAREST)):
                cv2.copyTo(cv2.warpPerspective(source, plane, size, flags=how | cv2.WARP_INVERSE_MAP), mine, target)
        half = FINE // 2
        return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), ids[half::FINE, half::FINE]


def exposed(light: np.ndarray, brightness: float) -> float:
    """Return the exposure that puts the upper quarter of the light there."""
    return brightness / float(np.percentile(light, 75))


def developed(light: np.ndarray, exposure: float) -> np.ndarray:
    """Return the picture (uint8 BGR) of light with soft highlights."""
    bright = light[..., ::-1] * exposure
    bright = 1.06 * bright / (1 + 0.15 * bright)
    coded = np.where(bright < 0.0031308, 12.92 * bright, 1.055 * np.maximum(bright, 1e-6) ** (1 / 2.4) - 0.055)
    return np.round(255 * np.clip(coded, 0, 1)).astype(np.uint8)


class CheapCamera:
    """Blur, noise, colour cast and JPEG damage; the same in all frames of a film."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._blur, self._noise = max(rng.uniform(-0.5, 1.3), 0.0), max(rng.uniform(-4, 9), 0.0)
        self._cast, self._quality = rng.uniform(0.88, 1.12, 3), int(rng.integers(35, 100))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        picture = image.astype(np.float32) * self._cast
        if self._blur > 0.2:
            picture = cv2.GaussianBlur(picture, (0, 0), self._blur)
        grain = self._rng.normal(0, 1, (HEIGHT // 2, WIDTH // 2, 3)), self._rng.normal(0, 1, picture.shape)
        picture += self._noise * (0.5 * cv2.resize(grain[0], (WIDTH, HEIGHT)) + 0.6 * grain[1])
        bytes_ = cv2.imencode(
            ".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, self._quality]
        )[1]
        return cv2.imdecode(bytes_, cv2.IMREAD_COLOR)


def render(seed: int, paths: list[str], wild: bool, prefix: str, out: Path) -> None:
    furnisher = Furnisher(seed, wild)
    rooms = {"": furnisher.room()}
    chosen = np.random.default_rng(seed).permutation(list(rooms[""].objects)).tolist()
    changed = next(i for i in chosen if rooms[""].objects[i].thing.category in CHANGING)
    for change in CHANGES:
        if change in paths:
            rooms[change] = furnisher.changed(changed, change == "moved")
    rng = np.random.default_rng(seed + 1_000_000)
    lamps = copy.deepcopy(rng)
    studios = {}
    for change, one in rooms.items():
        rng = copy.deepcopy(lamps)
        rasteriser = Rasteriser(one.scene)
        studios[change] = Studio(one, *room_lights(one, rasteriser, rng, wild), rasteriser)
    brightness = 0.66 * (rng.uniform(0.5, 1.3) if wild else 1.0)
    panoramas: dict[str, Panorama] = {}
    for path in paths:
        change = path if path in CHANGES else ""
        room, studio = rooms[change], studios[change]
        on_the_spot = path not in (*WALKS, "views")
        if on_the_spot and change not in panoramas:
            panoramas[change] = Panorama(studio, room.camera, brightness)
        cameras = poses(path, room, rng)
        folder = out / f"{prefix}{seed}_{path}"
        folder.mkdir(parents=True, exist_ok=True)
        codec = cv2.VideoWriter_fourcc(*"mp4v")
        film = cv2.VideoWriter(str(folder / "rgb.mp4"), codec, FPS[path], (WIDTH, HEIGHT))
        spoiled = CheapCamera(rng) if wild else None
        exposure, ids, depths = 0.0, [], []
        for pose in cameras:
            if on_the_spot:
                image, numbers = panoramas[change].frame(pose)
            else:
                light, numbers, depth = studio.frame(pose, 1 if path == "views" else FINE)
                depths.append(np.round(1000 * depth).astype(np.uint16))
                exposure = exposed(light, brightness) if path == "views" or not exposure else exposure
                image = developed(light, exposure)
            film.write(spoiled(image) if spoiled else image)
            ids.append(numbers)
        film.release()
        np.savez_compressed(folder / "ids.npz", ids=np.array(ids))
        if path in WALKS:
            np.savez_compressed(folder / "depth.npz", depth_mm=np.array(depths))
        describe(folder, room, seed, cameras, ids, FPS[path], changed if change else 0)


def describe(
    folder: Path, room: Room, seed: int, cameras: np.ndarray, ids: list[np.ndarray], fps: int, changed: int
) -> None:
    """Write frames.json and scene.json."""
    frames = []
    for number, (pose, shown) in enumerate(zip(cameras, ids, strict=True)):
        values, counts = np.unique(shown[shown >= FIRST_OBJECT], return_counts=True)
        visible = {str(v): int(c) for v, c in zip(values, counts, strict=True)}
        pose_list = np.round(pose, 6).tolist()
        frames.append({"frame": number, "t": round(number / fps, 4), "T_world_cam": pose_list, "visible_px": visible})
    matrix = [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]]
    whole = {"width": WIDTH, "height": HEIGHT, "fps": fps, "K": matrix, "depth_unit_mm": 1,
             "axes": "opencv camera-to-world, metres, Z up", "frames": frames}  # fmt: skip
    (folder / "frames.json").write_text(json.dumps(whole))
    objects = []
    for id, placed in room.objects.items():
        mine = np.flatnonzero(room.scene.ids == id)
        points = np.concatenate([room.scene.meshes[k].points for k in mine])
        low, high = points.min(axis=0), points.max(axis=0)
        outline = cv2.convexHull(points[points[:, 2] < STANDING, :2].astype(np.float32)) if low[2] < STANDING else []
        name = " ".join(filter(None, [placed.thing.colour, placed.thing.category]))
        objects.append({
            "id": id, "category": placed.thing.category, "color": placed.thing.colour, "label": name,
            "centroid": np.round((low + high) / 2, 4).tolist(), "bbox_min": np.round(low, 4).tolist(),
            "bbox_max": np.round(high, 4).tolist(), "yaw": float(placed.yaw), "on_wall": placed.on_wall,
            "outline": np.reshape(outline, (-1, 2)).round(4).tolist(),
        })  # fmt: skip
    stuff = {"1": "floor", "2": "ceiling", **{str(k): "wall" for k in range(3, 7)}, "7": "rug"}
    (folder / "scene.json").write_text(
        json.dumps({"seed": seed, "room": room.size, "objects": objects, "stuff": stuff, "changed": changed})
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rooms", type=int, nargs="+", required=True, help="numbers of the rooms, their seeds")
    parser.add_argument("--paths", nargs="+", choices=tuple(FPS), required=True)
    parser.add_argument("--wild", action="store_true")
    parser.add_argument("--prefix", default="room")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for seed in args.rooms:
        render(seed, args.paths, args.wild, args.prefix, args.out)


if __name__ == "__main__":
    main()
