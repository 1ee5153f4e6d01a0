"""What the tools return: pydantic models, whose descriptions an agent reads."""

from __future__ import annotations

import math

from pydantic import BaseModel, Field

from cc_ros.client import Place
from cc_ros.reasoning.types import Answer


class Answered(BaseModel):
    """An answer about the scene."""

    answer: str
    marks: list[int] = Field(description="numbers of the objects that it is about")
    choice: int = Field(description="index into the choices, -1 without any")
    confidence: float = Field(description="0 to 1 as stated by the model or measured; 0 = not stated")
    source: str = Field(description="model, geometry (measured, without a model) or cache")
    reason: str
    remark: str

    @classmethod
    def of(cls, answer: Answer) -> Answered:
        """Return an answer as it is sent."""
        return cls(
            answer=answer.text,
            marks=list(answer.mark_ids),
            choice=answer.choice,
            confidence=round(answer.confidence, 2),
            source=answer.source,
            reason=answer.reason,
            remark=answer.message,
        )


class Whereabouts(BaseModel):
    """Where an object is, as far as that was measured; null where it is unknown."""

    mark: int = Field(description="the number on the object, the same in every picture")
    point: tuple[float, float, float] | None = Field(description="x, y, z in metres, in the frame")
    frame: str = Field(description='of the point, such as odom; "" without odometry')
    sigma: float | None = Field(description="standard deviation of the point in metres")
    distance: float | None = Field(description="metres from the camera's newest place")
    degrees_left: float | None = Field(description="direction from where the camera looks; negative = right")
    missing: str = Field(description="why something is unknown")

    @classmethod
    def of(cls, place: Place) -> Whereabouts:
        """Return a place as it is sent."""
        return cls(
            mark=place.mark,
            point=known(place.point),
            frame=place.frame,
            sigma=_rounded(place.sigma, 3),
            distance=_rounded(place.distance, 2),
            degrees_left=None if place.direction is None else round(math.degrees(place.direction)),
            missing=place.missing,
        )


class Seen(Whereabouts):
    """A marked object: in how many of the keyframes it is, and where."""

    pictures: int = Field(description="keyframes that show it")
    last_seen: float = Field(description="seconds before the newest keyframe")


class Objects(BaseModel):
    """The marked objects of the episode."""

    objects: list[Seen]


class MovedObject(BaseModel):
    """An object that is at another place than before; metres."""

    mark: int
    before: tuple[float, float, float] | None = Field(description="null where the memory has it no more")
    now: tuple[float, float, float] | None


class Changed(BaseModel):
    """What later pictures show differently from earlier ones."""

    since: str = Field(description="what is later and what is earlier is told by this time")
    remembered: bool = Field(description="whether earlier reaches back over restarts; else to the begin of the episode")
    new: list[int] = Field(description="marks that were not seen before")
    absent: list[int] = Field(description="marks that are not seen any more though the camera looked at their place")
    unseen: list[int] = Field(description="marks not seen since; it is not known whether the camera looked there")
    moved: list[MovedObject]


class Sent(BaseModel):
    """A goal that was sent to the robot's navigation."""

    mark: int
    x: float
    y: float
    frame: str


def known(point: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    """Return a point to the centimetre; None where it is unknown."""
    if point is None:
        return None
    x, y, z = (round(value, 2) for value in point)
    return x, y, z


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
