"""Sort the pictures of a folder into frames, depth, masks and others, by their names and headers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cc_ros.picture_header import read_header

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif")
Key = tuple[int, ...]

_COLOUR = frozenset({"color", "colour", "rgb"})
_DEPTH = frozenset({"depth", "depths", "depthmap"})
_REGISTERED = frozenset({"proj", "registered", "aligned"})
_MASK = frozenset(
    {"mask", "masks", "seg", "segmentation", "semantic", "semantics", "label", "labels", "instance", "instances"}
    | {"annotation", "annotations", "gt"}
)
_OTHER = frozenset(
    {"normal", "normals", "flow", "confidence", "conf", "overlay", "vis", "thumb", "thumbnail"}
    | {"disp", "disparity", "disparities", "ir", "infrared", "infra"}
)
# cam0_0001.png: the number of a camera beside that of the picture.
_CAMERA = re.compile(r"(?<![a-z])(cam|camera|view|sensor)[_-]?[0-9]+(?=.*[0-9].*\.)", re.IGNORECASE)
_HEADER = 1 << 16  # bytes in which a header lies


@dataclass
class Group:
    """Pictures whose names differ in numbers only.

    :param pattern: the name with ``#`` for each number.
    :param files: in natural order.
    :param words: of the name, without those that all groups have.
    """

    pattern: str
    files: list[Path]
    words: frozenset[str] = frozenset()

    @property
    def keys(self) -> set[Key]:
        """The numbers in the names."""
        return {key_of(file) for file in self.files}

    def deep(self) -> bool:
        """Whether it holds 16-bit grey pictures, as depth and thermal cameras make."""
        with suppress(OSError), self.files[0].open("rb") as file:
            header = read_header(file.read(_HEADER))
            return header is not None and header.deep and header.grey
        return False


@dataclass
class Roles:
    """The pictures of a folder by what they are for.

    :param frames: in natural order.
    :param depths: of the frames' numbers; not frames.
    :param left_out: reason -> files.
    """

    frames: list[Path] = field(default_factory=list)
    depths: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=dict)

    def drop(self, reason: str, groups: Iterable[Group]) -> None:
        """Leave groups out."""
        for group in groups:
            self.left_out.setdefault(reason, []).extend(group.files)


def pictures_in(folder: Path) -> list[Path]:
    """Return the picture files of a folder that are not hidden, in natural order (``img2`` before ``img10``).

    :raises OSError: it cannot be listed.
    """
    named = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    # What cannot be read keeps its place in time; what would be waited for, such as a pipe, is no picture.
    return sorted((file for file in named if file.is_file() or file.is_dir() or not file.exists()), key=natural)


def natural(file: Path) -> list[tuple[bool, int, str]]:
    """Return what to sort files by."""
    parts = re.split(r"([0-9]+)", file.name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def key_of(file: Path) -> Key:
    """Return the numbers in a file's name."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", Path(_CAMERA.sub(r"\1", file.name)).stem))


def pattern_of(file: Path) -> str:
    """Return a file's name with ``#`` for each number but that of a camera."""
    camera = _CAMERA.search(file.name)
    begin = camera.end() if camera else 0
    return file.name[:begin] + re.sub(r"[0-9]+", "#", file.name[begin:])


def sort_out(files: Sequence[Path]) -> Roles:
    """Tell frames from depth, masks and other pictures beside them.

    What all names have in common says nothing; where every picture would be left out, all are frames.
    """
    roles = Roles()
    groups = _grouped(files)
    depths = [group for group in groups if group.words & _DEPTH]
    masks = [group for group in groups if group.words & _MASK and group not in depths]
    others = [group for group in groups if group.words & _OTHER and group not in depths + masks]
    frames = [group for group in groups if group not in depths + masks + others]
    if not frames:
        frames, depths, masks, others = groups, [], [], []
    deep = [group for group in frames if group.deep()] if len(frames) > 1 else []
    if 0 < len(deep) < len(frames):
        depths = depths or deep
        frames = [group for group in frames if group not in deep]
        roles.drop("16-bit grey pictures beside the frames", [group for group in deep if group not in depths])
    frames = _without_extras(frames, roles)
    roles.drop("masks, by their names", masks)
    roles.drop("pictures that are no frames, by their names", others)
    if depths:
        best = max(depths, key=lambda group: (len(group.words & _REGISTERED), len(group.files)))
        roles.depths = best.files
        roles.drop("further depth pictures", [group for group in depths if group is not best])
    roles.frames = sorted((file for group in frames for file in group.files), key=natural)
    return roles


def _grouped(files: Sequence[Path]) -> list[Group]:
    groups: dict[str, Group] = {}
    for file in files:
        pattern = pattern_of(file)
        groups.setdefault(pattern, Group(pattern, [])).files.append(file)
    words = {group.pattern: frozenset(re.findall(r"[a-z]+", group.files[0].stem.lower())) for group in groups.values()}
    common = frozenset.intersection(*words.values()) if len(groups) > 1 else frozenset()
    for group in groups.values():
        group.words = words[group.pattern] - common
    return list(groups.values())


def _without_extras(frames: list[Group], roles: Roles) -> list[Group]:
    """Drop second pictures of the same moments, and single pictures beside numbered ones."""
    numbered = [group for group in frames if "#" in group.pattern]
    if any(len(group.files) > 1 for group in numbered):
        roles.drop("pictures without a number beside the frames", [g for g in frames if g not in numbered])
        frames = numbered
    kept: list[Group] = []
    for group in sorted(frames, key=_preference):
        keys = group.keys
        if "#" in group.pattern and any(
            2 * len(keys & other.keys) >= min(len(keys), len(other.keys)) for other in kept
        ):
            roles.drop("second pictures of the frames' numbers", [group])
        else:
            kept.append(group)
    return kept


def _preference(group: Group) -> tuple[object, ...]:
    jpeg = Path(group.pattern).suffix.lower() in (".jpg", ".jpeg")
    return (
        not group.words & _COLOUR,
        -len(group.files),
        "right" in group.words,
        not jpeg,
        len(group.words),
        group.pattern,
    )


def describe(files: Sequence[Path], limit: int = 3) -> str:
    """Return the patterns of files for people, with their counts."""
    counts = Counter(map(pattern_of, files))
    told = [f"{count} {pattern}" for pattern, count in counts.most_common(limit)]
    return ", ".join(told) + (f" and {len(counts) - limit} other kinds" if len(counts) > limit else "")
