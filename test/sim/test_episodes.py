"""Episodes in the JSON of R2R_VLNCE."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from cc_ros.errors import SourceError
from cc_ros.sim.building import build
from cc_ros.sim.episodes import building_of, make_episodes, read_episodes, write_episodes

# as val_unseen.json.gz of R2R_VLNCE_v1-3 has them
PUBLISHED = {
    "episodes": [
        {
            "episode_id": 1,
            "trajectory_id": 4,
            "scene_id": "mp3d/QUCTc6BB5sX/QUCTc6BB5sX.glb",
            "start_position": [10.2, 0.17, -3.5],
            "start_rotation": [0.0, 0.7071068, 0.0, 0.7071068],
            "info": {"geodesic_distance": 8.7},
            "goals": [{"position": [3.0, 0.17, 1.0], "radius": 3.0}],
            "instruction": {
                "instruction_text": "Walk down one flight of stairs and stop.\n",
                "instruction_tokens": [1],
            },
            "reference_path": [[10.2, 0.17, -3.5], [3.0, 0.17, 1.0]],
        }
    ],
    "instruction_vocab": {},
}


def test_published_episodes_are_read_into_the_axes_of_ros(tmp_path: Path) -> None:
    for path, raw in (
        ("a.json.gz", gzip.compress(json.dumps(PUBLISHED).encode())),
        ("a.json", json.dumps(PUBLISHED).encode()),
    ):
        (tmp_path / path).write_bytes(raw)
        (episode,) = read_episodes(tmp_path / path)
        assert episode.scene == "mp3d/QUCTc6BB5sX/QUCTc6BB5sX.glb"
        assert episode.start[:2] == pytest.approx((3.5, -10.2))
        assert episode.start.yaw == pytest.approx(math.pi / 2)  # Habitat's -x, which is y here
        assert episode.goals == ((-1.0, -3.0),)
        assert (episode.radius, episode.height, episode.distance) == (3.0, 0.17, 8.7)
        assert episode.instruction == "Walk down one flight of stairs and stop."
        assert building_of(episode.scene) is None


def test_our_episodes_come_back_as_they_were_written(tmp_path: Path) -> None:
    building = build(2, 2)
    episodes = make_episodes(building, 5)
    assert len(episodes) == 5
    write_episodes(tmp_path / "episodes.json.gz", episodes)
    for read, written in zip(read_episodes(tmp_path / "episodes.json.gz"), episodes, strict=True):
        assert building_of(read.scene) == building
        assert read.instruction == written.instruction
        assert read.start == pytest.approx(written.start)
        assert np.allclose(read.goals, written.goals) and np.allclose(read.path, written.path)
        assert read.distance == pytest.approx(written.distance)


def test_each_of_our_episodes_is_possible_and_names_one_thing() -> None:
    for seed in range(4):
        building = build(seed, 2)
        floor = building.floor()
        for episode in make_episodes(building, 4):
            (meant,) = [placed for placed in building.placed if placed.piece.name in episode.instruction]
            assert 2.0 < episode.distance < 20.0
            low_x, low_y, high_x, high_y = meant.footprint
            for goal in episode.goals:
                assert np.hypot(*(np.clip(goal, (low_x, low_y), (high_x, high_y)) - goal)) < 1.0
            ways = floor.ways(episode.goals, floor.where_fits(0.25))
            assert ways.cost_from(episode.start[:2]) == pytest.approx(episode.distance, abs=0.5)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"episodes": [{"episode_id": 1}]}', b"\x1f\x8bxx"])
def test_what_is_no_episodes_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(SourceError, match=r"bad\.json"):
        read_episodes(tmp_path / "bad.json")
