"""The files of a run of episodes: report.html to look at, metrics.json for scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from cc_ros.evaluation.navigation import metrics
from cc_ros.sim.building import Building
from cc_ros.sim.furniture import PAINTS
from cc_ros.sim.grid import Grid
from cc_ros.sim.trial import Trial

SCALE = 60  # pixels a metre


def write_results(
    out: Path, trials: Sequence[Trial], buildings: Mapping[str, Building], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write metrics.json and report.html; return the metrics.

    :param buildings: scene -> building, for the top views; scenes of other simulators have none.
    :param facts: what else the page tells: name -> value.
    """
    figures = metrics([trial.outcome for trial in trials if trial.outcome is not None])
    (out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n")
    rows = []
    for trial in trials:
        building = buildings.get(trial.episode.scene)
        view = None if building is None else _data(cv2.imencode(".png", top_view(building, trial))[1].tobytes())
        pictures = [(caption, _data(jpeg, "jpeg")) for caption, jpeg in trial.pictures.items()]
        rows.append({"trial": trial, "top": view, "pictures": pictures})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(figures=figures, rows=rows, facts=facts)
    (out / "report.html").write_text(page)
    return figures


def top_view(building: Building, trial: Trial) -> np.ndarray:
    """Return the floor plan with the way of the robot, its start, its end and the places meant; HxWx3 uint8 BGR."""
    plan = building.floor(1 / SCALE)
    picture = np.full((*plan.blocked.shape, 3), 250, np.uint8)
    for wall in building.walls:
        if wall.low[2] < 1.0:
            cv2.rectangle(picture, _pixel(plan, wall.low[:2]), _pixel(plan, wall.high[:2]), (90, 90, 90), cv2.FILLED)
    for placed in building.placed:
        low, high = placed.piece.bounds
        if low[2] > 1.0:
            continue
        corners = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])
        cos, sin = np.cos(placed.yaw), np.sin(placed.yaw)
        corners = corners @ np.array([[cos, sin], [-sin, cos]]) + (placed.x, placed.y)
        paint = next((word for word in placed.piece.name.split() if word in PAINTS), "grey")
        shade = tuple(255 * channel for channel in PAINTS[paint][::-1])
        outline = np.array([_pixel(plan, corner) for corner in corners])
        cv2.fillPoly(picture, [outline], shade)
        cv2.polylines(picture, [outline], True, (120, 120, 120), 1, cv2.LINE_AA)
        if placed.piece.name in trial.episode.instruction:
            cv2.polylines(picture, [outline], True, (200, 0, 200), 4, cv2.LINE_AA)
    _draw_way(picture, plan, trial)
    return cv2.flip(picture, 0)


def _draw_way(picture: np.ndarray, plan: Grid, trial: Trial) -> None:
    for goal in trial.episode.goals:
        cv2.circle(picture, _pixel(plan, goal), 4, (190, 230, 190), cv2.FILLED, cv2.LINE_AA)
    way = np.array([_pixel(plan, pose[:2]) for pose in trial.trail[::5]])
    cv2.polylines(picture, [way], False, (200, 90, 0), 3, cv2.LINE_AA)
    if trial.trail:
        end = trial.trail[-1]
        ahead = end.x + 0.35 * np.cos(end.yaw), end.y + 0.35 * np.sin(end.yaw)
        cv2.circle(picture, _pixel(plan, trial.trail[0][:2]), 8, (0, 150, 0), cv2.FILLED, cv2.LINE_AA)
        cv2.arrowedLine(picture, _pixel(plan, end[:2]), _pixel(plan, ahead), (0, 0, 220), 4, cv2.LINE_AA, 0, 0.5)


def _pixel(plan: Grid, point: Sequence[float] | np.ndarray) -> tuple[int, int]:
    row, column = plan.cells(np.array([point[:2]]))[0]
    return int(column), int(row)


def _data(raw: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"
