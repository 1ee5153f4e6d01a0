"""The language of spatial questions about marks; :func:`~cc_ros.geometry.evaluate.evaluate` answers them.

>>> Is(3, Beside("left", of=5))  # is mark 3 left of mark 5, from where the camera is and looks now?
Is(mark=3, condition=Beside(relation='left', of=5), view=View(at=None, facing=None, back=None))

Marks are whole numbers, lengths are in metres. ``of=None`` means: of the observer. Where an observer is, and looks, is
a :class:`View`. Left and right are the shorter way round; in front and behind are those of the observer, who looks
along his line of sight; above and below compare heights.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from cc_ros.geometry.camera import GeometryError

Relation = Literal["left", "right", "front", "behind", "above", "below"]
Sorting = Literal["leftmost", "rightmost", "nearest", "farthest", "highest", "lowest"]
Axis = Literal["sideways", "along", "upright"]
"""left or right, in front or behind, above or below"""


@dataclass(frozen=True, slots=True)
class View:
    """An observer: by default the camera where it is and looks now.

    :param at: the mark that he is at; None = the camera's place.
    :param facing: the mark that he looks at.
    :param back: the mark that he has his back to.
    :raises GeometryError: it does not say where he looks, or says it twice.
    """

    at: int | None = None
    facing: int | None = None
    back: int | None = None

    def __post_init__(self) -> None:
        looks = [mark for mark in (self.facing, self.back) if mark is not None]
        if len(looks) > 1 or (self.at is not None and not looks):
            raise GeometryError(f"an observer faces one mark or has his back to one, got {self}")


HERE = View()


@dataclass(frozen=True, slots=True)
class Beside:
    """It is left, right, in front, behind, above or below ``of``."""

    relation: Relation
    of: int | None = None

    def __post_init__(self) -> None:
        _one_of(self.relation, Relation)


@dataclass(frozen=True, slots=True)
class Within:
    """It is at most ``metres`` away from ``of``, or with ``beyond`` more than that."""

    metres: float
    of: int | None = None
    beyond: bool = False

    def __post_init__(self) -> None:
        if not self.metres >= 0:
            raise GeometryError(f"a distance cannot be {self.metres} m")
        object.__setattr__(self, "metres", float(self.metres))


@dataclass(frozen=True, slots=True)
class Nearer:
    """It is nearer to ``of`` than mark ``than`` is, or with ``farther`` farther."""

    than: int
    of: int | None = None
    farther: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """It is between two marks, seen from above: in a strip from the one to the other, half as wide as it is long."""

    a: int
    b: int


Condition = Beside | Within | Nearer | Between


@dataclass(frozen=True, slots=True)
class Is:
    """Does the condition hold for the mark? ``bool``"""

    mark: int
    condition: Condition
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Which:
    """For which marks does it hold? ``tuple`` of marks, ascending"""

    condition: Condition
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Count:
    """How many marks are there, or for how many does it hold? ``int``"""

    condition: Condition | None = None
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Side:
    """On which side of ``of`` is the mark? "left", "right", "in front", "behind", "above" or "below" """

    mark: int
    of: int | None = None
    axis: Axis = "sideways"
    view: View = HERE

    def __post_init__(self) -> None:
        _one_of(self.axis, Axis)


@dataclass(frozen=True, slots=True)
class Extreme:
    """Which mark is leftmost, ... or lowest, of all or of ``among``? Its number, or whether it is ``claim``.

    :param of: nearest to or farthest from this mark.
    """

    sorting: Sorting
    of: int | None = None
    among: tuple[int, ...] = ()
    view: View = HERE
    claim: int | None = None

    def __post_init__(self) -> None:
        _one_of(self.sorting, Sorting)


@dataclass(frozen=True, slots=True)
class Order:
    """All marks, or ``among``, beginning with the leftmost, ... or lowest: ``tuple`` of marks"""

    sorting: Sorting
    of: int | None = None
    among: tuple[int, ...] = ()
    view: View = HERE

    def __post_init__(self) -> None:
        _one_of(self.sorting, Sorting)


@dataclass(frozen=True, slots=True)
class ListMarks:
    """Which marks are there? ``tuple`` of marks"""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far is the mark from ``of``? Metres"""

    mark: int
    of: int | None = None
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Bearing:
    """In which direction is the mark? Radians to the left of straight ahead, or of mark ``of``"""

    mark: int
    of: int | None = None
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Where:
    """Where is the mark? Metres away, and radians to the left of straight ahead; NaN what is unknown"""

    mark: int
    view: View = HERE


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where in the world is the mark? x, y, z in metres, in the frame of the odometry"""

    mark: int


@dataclass(frozen=True, slots=True)
class Same:
    """Are two marks the same object? ``bool``"""

    a: int
    b: int


@dataclass(frozen=True, slots=True)
class GoTo:
    """Go to the mark: where is it? As :class:`Where`"""

    mark: int


@dataclass(frozen=True, slots=True)
class TurnTo:
    """Turn to the mark: in which direction is it? Radians to the left of straight ahead"""

    mark: int


Query = (
    Is
    | Which
    | Count
    | Side
    | Extreme
    | Order
    | ListMarks
    | Distance
    | Bearing
    | Where
    | Coordinates
    | Same
    | GoTo
    | TurnTo
)


def marks_in(query: Query | Condition | View) -> tuple[int, ...]:
    """Return every mark that a query names, each once, in the order of its fields."""
    found: list[int] = []
    for field in dataclasses.fields(query):
        value = getattr(query, field.name)
        if isinstance(value, tuple):
            found += value
        elif dataclasses.is_dataclass(value):
            found += marks_in(value)  # type: ignore[arg-type]
        elif isinstance(value, int) and not isinstance(value, bool):
            found.append(value)
    return tuple(dict.fromkeys(found))


def _one_of(value: str, allowed: object) -> None:
    if value not in get_args(allowed):
        raise GeometryError(f"there is no {value!r}; there are {', '.join(get_args(allowed))}")
