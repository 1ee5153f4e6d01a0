"""The live page's server over DDS and WebSockets: slow browsers, goals that somebody agrees to, a stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("uvicorn")

import numpy as np
import uvicorn
from action_msgs.msg import GoalInfo
from action_msgs.srv import CancelGoal
from cc_ros.msg import MarkedKeyframes
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image
from support.model_server import Hang, ModelServer
from support.rig import START, Onlooker, image_of, isolated, until
from support.robot import robot, seen
from websockets.sync.client import ClientConnection, connect

from cc_ros.nodes.keyframes import LATCHED
from cc_ros.serving import address, listen
from cc_ros.web.browser import AHEAD
from cc_ros.web.server import make_app


@dataclass
class Live:
    """A running page, and the robot that it shows."""

    url: str
    server: ModelServer
    look: Onlooker
    overlay: Any
    stopped: list[CancelGoal.Request]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with isolated(), ModelServer() as server, robot(server) as look, listen("127.0.0.1", 0) as listening:
        stopped: list[CancelGoal.Request] = []

        def cancel(request: CancelGoal.Request, response: CancelGoal.Response) -> CancelGoal.Response:
            stopped.append(request)
            response.goals_canceling = [GoalInfo()]
            return response

        look.node.create_service(CancelGoal, "navigate_to_pose/_action/cancel_goal", cancel)
        look.node.create_publisher(MarkedKeyframes, "cc/keyframes", LATCHED).publish(seen())
        overlay = look.publisher(Image, "cc/overlay", reliable=True)
        web = uvicorn.Server(uvicorn.Config(make_app(), log_level="error", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: web.started, START)
            yield Live(address(listening), server, look, overlay, stopped)
        finally:
            web.should_exit = True
            thread.join(20)


def browser(live: Live) -> ClientConnection:
    return connect(live.url.replace("http", "ws") + "/live", max_size=None)


def send(socket: ClientConnection, **wish: Any) -> None:
    socket.send(json.dumps(wish))


def first(socket: ClientConnection, wanted: Callable[[Any], bool]) -> Any:
    """Return the first message that is wanted: a picture as bytes, anything else as (kind, value)."""
    while True:
        text = socket.recv(timeout=START)
        message = text if isinstance(text, bytes) else tuple(json.loads(text).values())
        if wanted(message):
            return message


def told(socket: ClientConnection, kind: str) -> Any:
    return first(socket, lambda message: message[0] == kind)[1]


def picture(socket: ClientConnection) -> bytes:
    return first(socket, lambda message: isinstance(message, bytes))


def test_a_slow_browser_gets_the_newest_picture_and_holds_nobody_up(live: Live) -> None:
    with browser(live) as slow, browser(live) as fast:
        until(live.overlay.get_subscription_count, START)
        shown = []
        for value in range(AHEAD + 4):
            live.overlay.publish(image_of(np.full((48, 64, 3), 40 * value, np.uint8), 0))
            shown.append(picture(fast))
            send(fast, do="more")
        assert len(set(shown)) == AHEAD + 4 and all(jpeg.startswith(b"\xff\xd8") for jpeg in shown)
        assert [picture(slow) for _ in range(AHEAD)] == shown[:AHEAD]  # encoded once for both
        send(slow, do="more")
        assert picture(slow) == shown[-1], "those in between are not sent late"
    until(lambda: not live.overlay.get_subscription_count(), START, "drawn for nobody")


def test_the_map_and_the_answer_say_where_things_are(live: Live) -> None:
    with browser(live) as socket:
        places = {place["id"]: place for place in told(socket, "map")["places"]}
        assert places[2]["point"] == [2.0, 0.0, 0.7] and places[2]["sigma"] > 0
        send(socket, do="ask", id=1, question="How far is mark 2?")
        answer = told(socket, "answer")
        assert answer["ok"] and answer["source"] == "geometry" and answer["prompt"] == ""
        assert answer["marks"][0]["distance"] == pytest.approx(2.0, abs=0.05)
        assert all(2 in [mark["id"] for mark in frame["marks"]] for frame in answer["evidence"])


def test_a_goal_is_sent_where_it_is_what_somebody_agreed_to_and_a_stop_ends_it(live: Live) -> None:
    goals = live.look.listen(PoseStamped, "cc/goal")
    with browser(live) as socket:
        send(socket, do="ask", id=1, question="Go to mark 2.")
        goal = told(socket, "answer")["goal"]
        agreed = {"mark": 2, "x": goal["x"], "y": goal["y"], "frame": goal["frame"]}
        send(socket, do="go", **{**agreed, "x": goal["x"] + 1})
        assert "moved by 1.0 m" in told(socket, "notice")
        send(socket, do="go", **{**agreed, "frame": "map"})
        assert "No goal was sent" in told(socket, "notice") and goals == []
        send(socket, do="go", **agreed)
        assert "Sent on cc/goal" in told(socket, "notice")
        until(lambda: goals)
        assert goals[0].pose.position.x == pytest.approx(goal["x"], abs=0.01) and len(goals) == 1
        live.server.script(Hang())
        send(socket, do="ask", id=2, question="What could one sit on?")
        until(lambda: live.server.was_asked("What could one sit on?"))
        send(socket, do="stop")
        ends = dict(first(socket, lambda message: message[0] in ("answer", "notice")) for _ in range(2))
        assert ends["answer"]["cancelled"]
        assert ends["notice"] == "Stop: navigate_to_pose: 1 goal cancelled"
        assert live.stopped == [CancelGoal.Request()], "all goals, whoever sent them"


def test_what_is_not_understood_is_told_and_nothing_else_happens(live: Live) -> None:
    with browser(live) as socket:
        for text in ("", "[]", '{"do": "fly"}', '{"do": "ask", "id": 1}', '{"do": "go", "mark": 0}', "[" * 9000):
            socket.send(text)
            assert told(socket, "notice").startswith("Not understood")
        send(socket, do="ask", id=1, question="x" * 2001)
        assert "2000 characters" in told(socket, "notice")


def test_a_browser_that_goes_away_ends_its_questions(live: Live) -> None:
    live.server.script(Hang())
    with browser(live) as socket:
        send(socket, do="ask", id=1, question="Who is still waiting?")
        until(lambda: live.server.was_asked("Who is still waiting?"), START)
    assert live.server.wait_idle(START), "the model is still being asked"
