"""Rasterising a rendered room with VTK, and lighting it: every light has a depth map, as the scene stands still.

VTK is needed here only (``pip install vtk``; it draws off screen through EGL and Mesa, no display or GPU needed).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

from benchmarks.rooms.shapes import Material, Mesh, rotation

NEAR, FAR = 0.05, 30.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: world-to-camera is ``pose`` inverted; x right, y down, z forward; pixels are square."""

    pose: np.ndarray
    focal: float
    width: int
    height: int


@dataclass
class Views:
    """What a camera sees of the geometry: part of each pixel (-1 = nothing), normals, depth along the axis."""

    part: np.ndarray
    normal: np.ndarray
    depth: np.ndarray


@dataclass
class Scene:
    """Parts of all objects in the world, and what each is made of.

    :param ids: instance id of each part.
    :param frames: 4x4 object-to-world of each part, where its pattern lives.
    """

    meshes: list[Mesh]
    materials: list[Material]
    ids: np.ndarray
    frames: list[np.ndarray]


@dataclass
class Lights:
    """Small lights; each has a position, colour, 4x4 world-to-light, and a depth map of FOV 150 degrees."""

    position: np.ndarray
    colour: np.ndarray
    axis: np.ndarray
    spread: np.ndarray
    matrix: np.ndarray
    depth: np.ndarray
    focal: float


def looking(position: np.ndarray, forward: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Return the 4x4 camera-to-world of a camera there, upright but for the roll (radians)."""
    z = forward / np.linalg.norm(forward)
    up = np.array([0, 0, 1.0]) if abs(z[2]) < 0.99 else np.array([0, 1.0, 0])
    x = np.cross(z, up)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1] = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    pose[:3, 2], pose[:3, 3] = z, position
    return pose


class Rasteriser:
    """Draws one scene from any camera."""

    def __init__(self, scene: Scene) -> None:
        sizes = [len(mesh.points) for mesh in scene.meshes]
        start = np.cumsum([0, *sizes[:-1]])
        points = np.concatenate([mesh.points for mesh in scene.meshes])
        normals = np.concatenate([mesh.normals for mesh in scene.meshes])
        triangles = np.concatenate([m.triangles + s for m, s in zip(scene.meshes, start, strict=True)])
        part = np.repeat(np.arange(len(sizes)), [len(mesh.triangles) for mesh in scene.meshes]) + 1
        data, cells, vtk_points = vtk.vtkPolyData(), vtk.vtkCellArray(), vtk.vtkPoints()
        vtk_points.SetData(numpy_to_vtk(points, deep=True))
        cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles.ravel(), np.int64), deep=True))
        data.SetPoints(vtk_points)
        data.SetPolys(cells)
        code = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1).astype(np.uint8)
        names = {"part": (data.GetCellData(), code), "normal": (data.GetPointData(), _coded(normals))}
        for name, (where, values) in names.items():
            array = numpy_to_vtk(values, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
            array.SetName(name)
            where.AddArray(array)
        self._mapper = vtk.vtkPolyDataMapper()
        self._mapper.SetInputData(data)
        self._mapper.SetColorModeToDirectScalars()
        actor = vtk.vtkActor()
        actor.SetMapper(self._mapper)
        actor.GetProperty().LightingOff()
        self._renderer = vtk.vtkRenderer()
        self._renderer.AddActor(actor)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self._renderer)

    def _place(self, camera: Camera) -> None:
        view = self._renderer.GetActiveCamera()
        position, z = camera.pose[:3, 3], camera.pose[:3, 2]
        view.SetPosition(*position)
        view.SetFocalPoint(*(position + z))
        view.SetViewUp(*(-camera.pose[:3, 1]))
        view.SetViewAngle(np.degrees(2 * np.arctan(camera.height / 2 / camera.focal)))
        view.SetClippingRange(NEAR, FAR)
        if self._window.GetSize() != (camera.width, camera.height):
            self._window.SetSize(camera.width, camera.height)

    def _colours(self, mode: str) -> np.ndarray:
        if mode == "part":
            self._mapper.SetScalarModeToUseCellFieldData()
        else:
            self._mapper.SetScalarModeToUsePointFieldData()
        self._mapper.SelectColorArray(mode)
        self._window.Render()
        width, height = self._window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        return vtk_to_numpy(pixels).reshape(height, width, 3)[::-1]

    def depth(self, camera: Camera) -> np.ndarray:
        """Return the depth along the camera's axis, metres (float32)."""
        self._place(camera)
        self._window.Render()
        return self._distance()

    def _distance(self) -> np.ndarray:
        width, height = self._window.GetSize()
        buffer = vtk.vtkFloatArray()
        self._window.GetZbufferData(0, 0, width - 1, height - 1, buffer)
        z = vtk_to_numpy(buffer).reshape(height, width)[::-1]
        return (NEAR * FAR / (FAR - z * (FAR - NEAR))).astype(np.float32)

    def views(self, camera: Camera) -> Views:
        self._place(camera)
        code = self._colours("part").astype(np.int32)
        depth = self._distance()
        part = (code[..., 0] << 16 | code[..., 1] << 8 | code[..., 2]) - 1
        normal = self._colours("normal").astype(np.float32) / 127.5 - 1
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
        return Views(part, normal, depth)


def _coded(normals: np.ndarray) -> np.ndarray:
    return np.round((normals + 1) * 127.5).astype(np.uint8)


def lights(
    rasteriser: Rasteriser,
    position: np.ndarray,
    axis: np.ndarray,
    colour: np.ndarray,
    spread: np.ndarray,
    size: int = 512,
) -> Lights:
    """Return lights with their depth maps; ``spread`` 1 shines by the cosine law, 0 to all sides alike."""
    focal = size / 2 / np.tan(np.radians(75))
    matrix, maps = [], []
    for where, forward in zip(position, axis, strict=True):
        pose = looking(where, forward)
        matrix.append(np.linalg.inv(pose))
        maps.append(rasteriser.depth(Camera(pose, focal, size, size)))
    parts = (position, colour, axis, spread, np.array(matrix))
    return Lights(*(np.ascontiguousarray(part, np.float32) for part in parts), np.array(maps), float(focal))


@numba.njit(fastmath=True, cache=True)
def _lit(points, normals, eye, shine, position, colour, axis, spread, matrix, depth, focal):
    diffuse = np.zeros((len(points), 3), np.float32)
    glint = np.zeros((len(points), 3), np.float32)
    size = depth.shape[1]
    for i in range(len(points)):
        p, n = points[i], normals[i]
        v0, v1, v2 = eye[0] - p[0], eye[1] - p[1], eye[2] - p[2]
        far = 1 / np.sqrt(v0 * v0 + v1 * v1 + v2 * v2)
        for k in range(len(position)):
            l0, l1, l2 = position[k, 0] - p[0], position[k, 1] - p[1], position[k, 2] - p[2]
            square = l0 * l0 + l1 * l1 + l2 * l2
            scale = 1 / np.sqrt(square)
            facing = (l0 * n[0] + l1 * n[1] + l2 * n[2]) * scale
            if facing <= 0:
                continue
            cosine = -(l0 * axis[k, 0] + l1 * axis[k, 1] + l2 * axis[k, 2]) * scale
            power = (spread[k] * max(cosine, 0.0) + 1 - spread[k]) / (square + 0.3)
            q0, q1, q2 = p[0] + 0.015 * n[0], p[1] + 0.015 * n[1], p[2] + 0.015 * n[2]
            m = matrix[k]
            z = m[2, 0] * q0 + m[2, 1] * q1 + m[2, 2] * q2 + m[2, 3]
            if z > 0.05:
                u = (m[0, 0] * q0 + m[0, 1] * q1 + m[0, 2] * q2 + m[0, 3]) / z * focal + 0.5 * size
                v = (m[1, 0] * q0 + m[1, 1] * q1 + m[1, 2] * q2 + m[1, 3]) / z * focal + 0.5 * size
                if 0 <= u < size and 0 <= v < size and z > depth[k, int(v), int(u)] + 0.02 + 0.01 * z:
                    continue
            for c in range(3):
                diffuse[i, c] += facing * power * colour[k, c]
            if shine[i] > 0:
                h0, h1, h2 = l0 * scale + v0 * far, l1 * scale + v1 * far, l2 * scale + v2 * far
                half = (h0 * n[0] + h1 * n[1] + h2 * n[2]) / np.sqrt(h0 * h0 + h1 * h1 + h2 * h2)
                if half > 0.9:
                    for c in range(3):
                        glint[i, c] += shine[i] * half**120 * power * colour[k, c]
    return diffuse, glint


@numba.njit(cache=True)
def _hash(x, y, z, seed):
    h = np.uint32(x * 374761393 + y * 668265263 + z * 2147483647 + seed * 1274126177)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    return np.float32(((h ^ (h >> np.uint32(16))) & np.uint32(0xFFFF)) / 65535.0)


@numba.njit(fastmath=True, cache=True)
def noise(points, seed):
    """Return smooth noise of 0..1 (n float32) with one knot a unit of length."""
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        x, y, z = np.floor(points[i, 0]), np.floor(points[i, 1]), np.floor(points[i, 2])
        fx, fy, fz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
        fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
        total = 0.0
        for a in range(2):
            for b in range(2):
                for c in range(2):
                    weight = (fx if a else 1 - fx) * (fy if b else 1 - fy) * (fz if c else 1 - fz)
                    total += weight * _hash(int(x) + a, int(y) + b, int(z) + c, seed)
        out[i] = total
    return out


def albedo(material: Material, local: np.ndarray) -> np.ndarray:
    """Return the linear RGB (n x 3) of a material at points of its object, metres."""
    first, second = np.array(material.colour), np.array(material.other)
    scale, strength, seed = material.scale, material.strength, material.seed
    fine = noise(local / 0.006, seed) - 0.5
    if material.kind == "fabric":
        tone = noise(local / 0.015, seed + 1) - 0.5
        return first * (1 + strength * (fine + tone))[:, None]
    if material.kind == "wood":
        stretch = local / scale * np.array([0.12, 1.0, 1.0])
        tone = noise(stretch, seed) + 0.5 * noise(stretch * 4, seed + 1) - 0.75
        return first * (1 + strength * tone + 0.05 * fine)[:, None]
    if material.kind == "planks":
        row = np.floor(local[:, 1] / scale)
        along = local[:, 0] / (scale * 7) + noise(row[:, None] * np.array([13.7, 0, 0]), seed)
        tone = noise(np.column_stack([np.floor(along) * 5.3, row * 7.1, 0 * row]), seed + 1) - 0.5
        grain = noise(np.column_stack([local[:, 0] / 0.15, local[:, 1] / 0.012, 9 * row]), seed + 2) - 0.5
        gap = (np.abs(local[:, 1] / scale - row - 0.5) > 0.485) | (np.abs(along - np.floor(along) - 0.5) > 0.4975)
        return first * ((1 + strength * (2 * tone + 0.35 * grain)) * np.where(gap, 0.4, 1))[:, None]
    if material.kind == "blotches":
        tone = noise(local / scale, seed) + 0.5 * noise(local / scale * 3, seed + 1) - 0.75
        return first * (1 + strength * tone + 0.1 * fine)[:, None]
    if material.kind == "stripes":
        share = 0.5 + 0.5 * np.clip(3 * np.sin(2 * np.pi * local[:, 0] / scale), -1, 1)
    elif material.kind == "waves":
        share = 0.5 + 0.5 * np.sin(2 * np.pi * local[:, 0] / scale)
    elif material.kind == "checks":
        share = np.floor(local / scale).astype(int).sum(axis=1) % 2.0
    else:  # "patches"
        level = noise(local / scale, seed) + 0.3 * noise(local / scale * 4, seed + 1)
        share = np.clip((level - 0.65) * 25 + 0.5, 0, 1)
    mixed = first + strength * share[:, None] * (second - first)
    return mixed * (1 + 0.04 * fine)[:, None]


def shade(scene: Scene, views: Views, camera: Camera, lamps: Lights, ambient: np.ndarray) -> np.ndarray:
    """Return the light (HxWx3 float32, linear RGB) that reaches each pixel."""
    height, width = views.part.shape
    points, part = _points(views, camera), views.part.ravel()
    colour, shine, glow = (
        np.zeros((len(part), 3), np.float32),
        np.zeros(len(part), np.float32),
        np.zeros(len(part), np.float32),
    )
    order = np.argsort(part.astype(np.uint16), kind="stable")
    bounds = np.searchsorted(part[order], np.arange(len(scene.meshes) + 1))
    for number in np.flatnonzero(np.diff(bounds)):
        mine, material = order[bounds[number] : bounds[number + 1]], scene.materials[number]
        frame = scene.frames[number].astype(np.float32)
        colour[mine] = albedo(material, (points[mine] - frame[:3, 3]) @ frame[:3, :3])
        shine[mine], glow[mine] = material.gloss, material.glow
    eye = camera.pose[:3, 3].astype(np.float32)
    normal = views.normal.reshape(-1, 3)
    light = (lamps.position, lamps.colour, lamps.axis, lamps.spread, lamps.matrix, lamps.depth, lamps.focal)

    def lit(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _lit(points[pixels], normal[pixels], eye, shine[pixels], *light)

    # Where four pixels show one part, they share the light of one of them: light changes slowly.
    number = np.arange(height * width).reshape(height // 2, 2, width // 2, 2)
    square = part[number]
    even = (square == square[:, :1, :, :1]).all(axis=(1, 3))
    diffuse, glint = np.empty((2, height * width, 3), np.float32)
    once, alone = number[:, 0, :, 0][even], number.transpose(0, 2, 1, 3)[~even].ravel()
    diffuse[alone], glint[alone] = lit(alone)
    shared = lit(once)
    for dy in (0, 1):
        for dx in (0, 1):
            same = number[:, dy, :, dx][even]
            diffuse[same], glint[same] = shared
    arriving = colour * (diffuse + ambient.astype(np.float32) + glow[:, None]) + glint
    return arriving.reshape(height, width, 3)


def _points(views: Views, camera: Camera) -> np.ndarray:
    """Return where in the world each pixel's surface is (n x 3 float32)."""
    height, width = views.part.shape
    x = ((np.arange(width) + 0.5 - width / 2) / camera.focal).astype(np.float32)
    y = ((np.arange(height) + 0.5 - height / 2) / camera.focal).astype(np.float32)
    points = np.empty((height, width, 3), np.float32)
    turn = camera.pose[:3, :3].astype(np.float32)
    for axis in range(3):
        ray = x * turn[axis, 0] + (y * turn[axis, 1] + turn[axis, 2])[:, None]
        points[..., axis] = ray * views.depth + np.float32(camera.pose[axis, 3])
    return points.reshape(-1, 3)


def frame_of(position: np.ndarray, yaw: float) -> np.ndarray:
    """Return the 4x4 object-to-world of an object standing there."""
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = rotation(yaw), position
    return frame
