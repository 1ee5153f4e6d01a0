"""The demo keeps step with the tracker: a slow machine is slow, not wrong."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from support.bags import image, write_bag
from support.rig import BAG, isolated

from cc_ros.cli import main
from cc_ros.commands.demo import BAG_REMAPS, how_to_watch
from cc_ros.nodes.bag_player import PlaySettings, play
from cc_ros.nodes.pacing import AHEAD, Pace, stamp_of
from cc_ros.sources.bag.file import BagFile

TOPIC = "/image"


def test_it_ends_by_telling_how_to_watch_live(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for name in ("up", "play"):
        monkeypatch.setattr(f"cc_ros.commands.{name}.main", lambda options: taken.append(options) or 0)
    for line in how_to_watch(BAG, []).splitlines()[1:]:
        assert main(shlex.split(line)[1:]) == 0
    up, play = taken
    assert up.web and up.remap == list(BAG_REMAPS) and play.loop and play.bag.resolve() == BAG


def raw(stamp: int, little: bool = True) -> bytes:
    """Return the beginning of an image message in CDR."""
    order = "little" if little else "big"
    seconds, rest = divmod(stamp, 10**9)
    return bytes([0, little, 0, 0]) + seconds.to_bytes(4, order) + rest.to_bytes(4, order)


@pytest.fixture
def pace() -> Pace:
    """Return one whose listeners are there."""
    pace = Pace([TOPIC], "cc_tracker", "cc_keyframes")
    for node in ("cc_tracker", "cc_keyframes"):
        pace.heard(node, {"publishers": "1"})
    return pace


def fill(pace: Pace) -> list[int]:
    """Play until frames are held back, and return the stamps of those that were played."""
    stamps = [stamp for stamp in range(1, 100) if not pace.hold(TOPIC, raw(stamp))]
    assert len(stamps) == AHEAD
    return stamps


def test_the_stamp_is_read_in_both_byte_orders() -> None:
    assert [stamp_of(raw(5_000_000_007, little)) for little in (True, False)] == [5_000_000_007] * 2
    with BagFile(BAG) as bag:
        images = [connection for connection in bag.connections if connection.topic.endswith("compressed")]
        for connection, _, message in bag.messages(images):
            stamp = bag.decode(connection, message).header.stamp
            assert stamp_of(message) == stamp.sec * 10**9 + stamp.nanosec


def test_nothing_is_played_before_every_listener_has_found_the_player() -> None:
    pace = Pace([TOPIC], "cc_tracker", "cc_keyframes")
    pace.heard("cc_tracker", {"publishers": "1"})
    pace.heard("cc_keyframes", {"publishers": "0"})
    assert pace.hold("/odom", raw(1))
    pace.heard("cc_keyframes", {"publishers": "1"})
    assert not pace.hold("/odom", raw(1))


def test_frames_wait_for_the_tracker_however_long_it_takes(pace: Pace) -> None:
    stamps = fill(pace)
    for _ in range(1000):  # it works on the first of them, as its messages say
        pace.heard("cc_tracker", {"images": str(AHEAD), "waiting": str(AHEAD)})
        pace.heard("cc_reasoner", {"waiting": "0"})
        assert pace.hold(TOPIC, raw(100))
    assert not pace.done()
    assert not pace.hold("/odom", raw(100)), "only images are held"
    for stamp in stamps:
        pace.tracked(stamp)
    assert pace.done()
    assert not pace.hold(TOPIC, raw(100))
    assert pace.played == AHEAD + 1


def test_a_frame_that_a_later_one_has_overtaken_is_not_waited_for(pace: Pace) -> None:
    stamps = fill(pace)
    pace.tracked(stamps[-2])
    assert not pace.done()
    pace.tracked(stamps[-1])
    assert pace.done()
    pace.tracked(12345)  # of somebody else


def test_frames_that_never_reached_the_tracker_are_given_up_once_it_says_so_twice(pace: Pace) -> None:
    fill(pace)
    idle = {"images": "1", "waiting": "0"}
    pace.heard("cc_tracker", idle)
    pace.heard("cc_reasoner", {"waiting": "0"})
    assert not pace.done()
    pace.heard("cc_tracker", idle | {"images": "2"})  # one came after all
    assert not pace.done()
    pace.heard("cc_tracker", idle | {"images": "2"})
    assert pace.done()


def test_the_player_stands_still_while_it_is_held_and_stays_until_all_has_arrived(tmp_path: Path) -> None:
    class Slow:
        asked, left, ends = 0, 0, 0

        def hold(self, topic: str, raw: bytes) -> bool:
            self.asked += 1
            return self.asked % 5 != 0

        def done(self) -> bool:
            self.ends += 1
            return self.ends == 3

    slow, stop = Slow(), threading.Event()
    bag = write_bag(tmp_path / "bag", [(TOPIC, i * 0.01, image(i * 0.01, i)) for i in range(10)])
    with isolated():
        played = play(bag, PlaySettings(), stop=stop, pace=slow)
    assert (played.messages, slow.asked, slow.ends) == (10, 50, 3)
    assert played.worst_delay < 0.1, "held time is not lateness"


def test_a_bag_without_the_images_that_are_wanted_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write_bag(tmp_path / "bag", [("/cam/image", 0.0, image(0.0, 0))])
    with isolated():
        assert main(["demo", str(bag), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "has no images on /image or /image/compressed" in told
    assert "/cam/image: --remap image:=TOPIC" in told
