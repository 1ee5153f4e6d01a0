"""What the client does, in calls that wait for their outcome."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from action_msgs.msg import GoalStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from cc_ros.action import FollowInstruction, SpatialQuery
from cc_ros.client.connection import Connection
from cc_ros.client.motion import MotionStop
from cc_ros.client.pending_goal import CANCEL_TIME, PendingGoal
from cc_ros.client.places import Place, places_in
from cc_ros.errors import NodeError, SettingsError
from cc_ros.geometry import SceneMap
from cc_ros.geometry.changes import Changes, changes, remembered_changes
from cc_ros.geometry.evaluate import Found, evaluate
from cc_ros.geometry.outcome import Unknown
from cc_ros.geometry.queries import Query
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.motion.halt import Followed, FollowStatus
from cc_ros.msg import MarkedKeyframes, MarkStyle
from cc_ros.nodes.action_call import GoalClient
from cc_ros.nodes.alive import Watch
from cc_ros.nodes.convert.keyframes import to_keyframes
from cc_ros.nodes.convert.questions import to_answer
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.registry import NODES
from cc_ros.reasoning.context import EVER, Flag
from cc_ros.reasoning.measured.questions import read
from cc_ros.reasoning.types import Answer, Goal, Progress, Status
from cc_ros.srv import GetKeyframes

T = TypeVar("T")
SAME_GOAL = 0.5  # metres that a goal may have moved since somebody agreed to it
MOST_FRAMES = 64  # that can be asked for
MOST_MARKS = 64  # that are compared


class SpatialMemory(AbstractContextManager["SpatialMemory"]):
    """The running nodes of one robot. Every method may be called from any thread, and several at once.

    It has an executor thread of its own, also within a node of yours, so that a callback may wait for it.

    :param namespace: of the robot's nodes; by default that of ``node``, else none.
    :param node: yours, to share its context; None = a context of its own, and ``rclpy.init`` is not needed.
    :param name: of this client in the graph.
    :param wait: seconds that each call waits for the nodes to appear.
    """

    def __init__(
        self, namespace: str = "", *, node: Node | None = None, name: str = "cc_client", wait: float = 10.0
    ) -> None:
        self._under_way = 0
        self._change = threading.Condition()
        self._asked = 0
        self._cancelled = 0  # the last question that cancel() was for
        self._connection = Connection(namespace, node, name, wait)
        self.node: Node = self._connection.node
        """The client's own node, for subscriptions beside the client; their callbacks run in its thread."""
        self._action: Any = GoalClient(self.node, SpatialQuery, "cc/ask_with_feedback")
        self._follow: Any = GoalClient(self.node, FollowInstruction, "cc/follow_instruction")
        self._get: Any = self.node.create_client(GetKeyframes, "cc/get_keyframes")
        self._reset: Any = self.node.create_client(Trigger, "cc/reset")
        self._motion = MotionStop(self._connection)
        self._reasoner = Watch(self.node, "cc/ask")
        self._navigator = Watch(self.node, "cc/follow_instruction")
        self._keyframes = Watch(self.node, "cc/get_keyframes")
        self._connection.start()

    # -- what it is for

    def ask(
        self, question: str, *, on_progress: Progress | None = None, cancel: Flag | None = None, **options: Any
    ) -> Answer:
        """Ask a question and wait for its answer; Ctrl-C cancels the question before it is raised.

        >>> memory.ask("What is on the table?", choices=["a lamp", "a plant"], timeout=20)  # doctest: +SKIP

        :param question: in plain words; marks by their number, as in "is mark 3 left of mark 5?".
        :param on_progress: told in this thread how it gets on: a stage, and the text so far.
        :param cancel: such as a threading.Event; once it is set, the question ends with the status CANCELLED.
        :param options: the other fields of a request of ``cc_ros/srv/SpatialQuery``: kind, choices, frames, marks,
            last_seconds, since, until, episode, near, words, timeout, style, send_goal. Without them: as cc_reasoner
            is set up.
        :return: the answer, or with another status than OK the reason why there is none in ``message``.
        :raises NotRunningError: cc_reasoner is not there, went away meanwhile, or hangs.
        :raises SettingsError: a value that no request can hold, such as a negative number of frames.
        """
        return to_answer(self.query(question, on_progress=on_progress, cancel=cancel, **options))

    def query(
        self, question: str, *, on_progress: Progress | None = None, cancel: Flag | None = None, **options: Any
    ) -> Any:
        """Ask a question and return the result as the message, which holds the goal as a pose as well.

        :param question: as of ``ask``, and so are all other arguments.
        :return: ``cc_ros.action.SpatialQuery.Result``.
        :raises NotRunningError: as ``ask`` does.
        :raises SettingsError: as ``ask`` does.
        """
        goal = _filled(SpatialQuery.Goal, question=question, **options)

        def told(feedback: Any) -> None:
            if on_progress is not None:
                on_progress(*(("cancelling", "") if feedback is None else (feedback.stage, feedback.text)))

        server = "cc_reasoner", "cc/ask_with_feedback", self._action, self._reasoner
        answer = self._result(server, goal, told, cancel)
        if answer is None:
            return SpatialQuery.Result(status=int(Status.CANCELLED), message="the question was cancelled")
        result = answer.result
        if result.status == result.OK and answer.status != GoalStatus.STATUS_SUCCEEDED:
            result.status = result.SERVER_ERROR
            result.message = result.message or "cc_reasoner gave the question up and did not say why; see its log"
        return result

    def follow(
        self,
        instruction: str,
        *,
        on_feedback: Callable[[Any], None] | None = None,
        cancel: Flag | None = None,
        **options: Any,
    ) -> Followed:
        """Have the robot follow an instruction and wait until it stands again; Ctrl-C stops it before it is raised.

        >>> memory.follow("Go past the sofa and stop at the door.", max_steps=10)  # doctest: +SKIP

        :param instruction: in plain words, for the model.
        :param on_feedback: given in this thread each ``cc_ros.action.FollowInstruction.Feedback``, and None once it is
            being cancelled.
        :param cancel: such as a threading.Event; once it is set, the robot stands and the status is CANCELLED.
        :param options: the other fields of a goal of ``cc_ros/action/FollowInstruction``: max_steps, timeout, style,
            frames, marks. Without them, as cc_navigator is set up.
        :return: how it ended; with another status than OK the reason is in ``message``.
        :raises NotRunningError: cc_navigator is not there, follows another instruction, went away, or hangs.
        :raises SettingsError: a value that no goal can hold.
        """
        goal = _filled(FollowInstruction.Goal, instruction=instruction, **options)
        server = "cc_navigator", "cc/follow_instruction", self._follow, self._navigator
        answer = self._result(server, goal, on_feedback, cancel)
        if answer is None:
            return Followed(FollowStatus.CANCELLED, "cancelled; cc_navigator did not confirm it, or never began")
        result, status = answer.result, FollowStatus(answer.result.status)
        if status is FollowStatus.OK and answer.status != GoalStatus.STATUS_SUCCEEDED:
            return Followed(FollowStatus.FAILED, "cc_navigator gave it up and did not say why; see its log")
        return Followed(status, result.message, result.steps, result.distance, result.seconds, result.log)

    def _result(
        self,
        server: tuple[str, str, Any, Watch],
        goal: Any,
        told: Callable[[Any], None] | None,
        cancel: Flag | None,
    ) -> Any:
        """Send a goal and return its result with its status; None where it was cancelled and nothing came.

        :param server: node, action, client of the action, and what notices that the node was killed.
        """
        with self._change:
            self._under_way += 1
            self._asked = number = self._asked + 1

        def cancelled() -> bool:
            return number <= self._cancelled or (cancel is not None and cancel.is_set())

        node, name, client, alive = server
        try:
            if not self._connection.found(node, name, client.server_is_ready, cancelled):
                return None
            return PendingGoal(self._connection, node, client, alive, goal, told, cancelled).result()
        finally:
            with self._change:
                self._under_way -= 1
                self._change.notify_all()

    def cancel(self) -> None:
        """Cancel all that is being asked or followed, from whatever thread; each ends with the status CANCELLED."""
        self._cancelled = self._asked

    def keyframes(
        self,
        frames: int = 0,
        marks: int = 0,
        *,
        last_seconds: float = 0.0,
        since: float = 0.0,
        until: float = 0.0,
        episode: int = 0,
        near: int = 0,
        words: str = "",
        style: str = "",
        blur: Sequence[int] = (),
        timeout: float = 30.0,
    ) -> list[MarkedKeyframe]:
        """Return the marked keyframes of the episode, oldest first, with their pictures as JPEG.

        Zero and empty values mean: as cc_keyframes is set up.

        :param frames: how many, at most 64.
        :param marks: how many objects to mark.
        :param last_seconds: only from the last so many seconds.
        :param since: only from then on, seconds since 1970; this and the next four reach into the memory.
        :param until: only up to then.
        :param episode: only of this episode of the memory.
        :param near: only keyframes that show this mark.
        :param words: first those whose captions fit these words, where the memory has captions.
        :param style: marks, raw or set_of_mark.
        :param blur: ids of objects to make unrecognisable.
        :param timeout: seconds until they must be there.
        :raises NotRunningError: cc_keyframes is not there, went away, or does not respond in time.
        :raises NodeError: it has no frames yet, or a value is out of range.
        :raises SettingsError: a value that the request cannot hold.
        """
        wish = {"frames": frames, "marks": marks, "last_seconds": last_seconds, "blur_marks": list(blur)}
        window = {"since": since, "until": until, "episode": episode, "near": near, "words": words}
        message = self._fetch(timeout, style=_filled(MarkStyle, kind=style), **wish, **window)
        return list(to_keyframes(message).keyframes)

    def where(self, mark: int | str, *, timeout: float = 30.0) -> Place:
        """Return where an object is, measured from the keyframes without asking a model for it.

        :param mark: the number of a mark; or a question such as "Which mark is the lamp?", for which a model is asked.
        :param timeout: seconds for the answer, and again for the keyframes.
        :raises NotRunningError: a node is not there, went away, or does not respond in time.
        :raises NodeError: no keyframe shows the mark, or the question has no one mark for an answer.
        """
        if isinstance(mark, str):
            answer = self.ask(mark, kind="which_mark", timeout=timeout)
            if len(answer.mark_ids) != 1:
                raise NodeError(answer.message or f"the answer names no one mark: {answer.text}")
            (mark,) = answer.mark_ids
        places = {place.mark: place for place in self.places(timeout=timeout)}
        if mark not in places:
            raise NodeError(f"no keyframe shows mark {mark}; they show {', '.join(map(str, places)) or 'no marks'}")
        return places[mark]

    def places(self, *, timeout: float = 30.0) -> list[Place]:
        """Return where all marked objects are, by mark, measured from one set of keyframes.

        :param timeout: seconds until the keyframes must be there.
        :raises NotRunningError: as ``keyframes`` does.
        :raises NodeError: as ``keyframes`` does.
        """
        return places_in(self.keyframes(timeout=timeout))

    def changed(self, seconds: float = 60.0, *, since: float = 0.0, timeout: float = 30.0) -> Changes:
        """Return what the last seconds show differently from the time before.

        With a memory, that is all that it knows of; else the running episode.

        :param seconds: more than 0.
        :param since: in their place, a time in seconds since 1970.
        :param timeout: seconds until the keyframes must be there.
        :raises NotRunningError: as ``keyframes`` does.
        :raises NodeError: as ``keyframes`` does.
        """
        try:
            known = self._fetch(timeout, frames=1, marks=1, since=EVER)
        except NodeError:  # without a memory: what there is of the episode, or is not, is told below
            known = MarkedKeyframes()
        if known.remembered_since:
            now = nanoseconds(known.header.stamp) * 1e-9 or time.time()  # no picture yet since the start
            return remembered_changes(to_keyframes(known).objects, since or now - seconds)
        keyframes = self.keyframes(MOST_FRAMES, MOST_MARKS, timeout=timeout)
        return changes(keyframes, since or keyframes[-1].stamp - seconds)

    def goal(self, mark: int, *, timeout: float = 30.0) -> Goal:
        """Return where the robot would go for a mark. Nothing is published.

        :raises NotRunningError: as ``ask`` does.
        :raises NodeError: no such place is known, for the reason in the text.
        """
        return self._go(mark, timeout, None, send=False)

    def send_goal(self, mark: int, agreed: Goal, *, timeout: float = 30.0, cancel: Flag | None = None) -> Goal:
        """Publish the goal for a mark on ``cc/goal``, where it still is the one that somebody agreed to.

        :param agreed: what ``goal`` returned.
        :param cancel: once it is set, nothing is published any more.
        :return: the goal that was published.
        :raises NotRunningError: as ``ask`` does.
        :raises NodeError: it is at another place by now, or is not known any more; nothing was published.
        """
        now = self._go(mark, timeout, cancel, send=False)
        moved = math.hypot(now.x - agreed.x, now.y - agreed.y)
        if moved > SAME_GOAL or now.frame != agreed.frame:
            raise NodeError(f"the goal before mark {mark} has moved by {moved:.1f} m meanwhile; look at it again")
        return self._go(mark, timeout, cancel, send=True)

    def _go(self, mark: int, timeout: float, cancel: Flag | None, send: bool) -> Goal:
        answer = self.ask(f"Go to mark {mark}.", send_goal=send, timeout=timeout, cancel=cancel)
        if not answer.ok or answer.goal is None:
            raise NodeError(answer.message or answer.text or f"there is no goal before mark {mark}")
        return answer.goal

    def measure(self, query: Query | str, *, timeout: float = 30.0) -> Found | Unknown:
        """Answer a question about marks from the keyframes, without a model.

        >>> memory.measure(Is(3, Beside("left", of=5)))  # doctest: +SKIP
        >>> memory.measure("is 3 left of 5?")  # doctest: +SKIP

        :param query: of :mod:`cc_ros.geometry.queries`, or in words.
        :param timeout: seconds until the keyframes must be there.
        :return: the answer, with its value, or what is missing for one.
        :raises SettingsError: words that are not understood.
        :raises NotRunningError: as ``keyframes`` does.
        :raises NodeError: as ``keyframes`` does.
        """
        asked = read(query) if isinstance(query, str) else query
        if asked is None:
            raise SettingsError(f"this is no question about marks that is understood: {query!r}")
        return evaluate(asked, SceneMap.from_keyframes(self.keyframes(timeout=timeout)))

    def reset(self, *, timeout: float = 10.0) -> None:
        """Begin a new episode in every node: objects, keyframes and kept answers are forgotten.

        :param timeout: seconds until it must be done.
        :raises NotRunningError: not all nodes are there, or none responds in time.
        :raises NodeError: a node could not.
        """
        names = [node.name for node in NODES if node.remembers]

        def all_there() -> bool:
            return self._reset.service_is_ready() and self.node.count_services(self._reset.srv_name) >= len(names)

        self._connection.found("one of " + ", ".join(names), "cc/reset", all_there)
        response = self._connection.call(self._reset, Trigger.Request(), timeout)
        if not response.success:
            raise NodeError(response.message)

    def stop(self, *, timeout: float = 2.0) -> list[str]:
        """Cancel every goal by which the robot drives: of ``cc/follow_instruction`` and of Nav2's actions.

        :param timeout: seconds that each of them has to answer.
        :return: for people: what was stopped and what could not be; empty where nothing is there that drives.
        :raises NotRunningError: the client was closed.
        """
        self._connection.check_open()
        return self._motion.stop(timeout)

    def in_thread(self, work: Callable[[], T]) -> T:
        """Do something in the client's own thread and return what it returns.

        Subscriptions of ``node`` are made and dropped there: the executor of another thread may be about to use them.

        :raises NotRunningError: the client was closed.
        """
        done: T = self._connection.in_executor(work)
        return done

    def close(self) -> None:
        """Cancel what is being asked or followed, and leave the graph."""
        self.cancel()
        with self._change:
            self._change.wait_for(lambda: not self._under_way, CANCEL_TIME)
        self._connection.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    # One that was killed is in the graph for a while, and so may its successor be before it is heard to live.
    def _keyframes_there(self) -> bool:
        return bool(self._get.service_is_ready()) and not self._keyframes.gone()

    def _fetch(self, timeout: float, **wish: Any) -> MarkedKeyframes:
        request = _filled(GetKeyframes.Request, **wish)
        self._connection.found("cc_keyframes", "cc/get_keyframes", self._keyframes_there)
        response = self._connection.call(self._get, request, timeout, self._keyframes)
        if not response.success:
            raise NodeError(response.message)
        return response.keyframes


def _filled(make: Any, **values: Any) -> Any:
    """Return a request with these values; whole numbers are taken for floats.

    :raises SettingsError: a value that it cannot hold.
    """
    kinds = make.get_fields_and_field_types()
    unknown = set(values) - set(kinds)
    if unknown:
        raise SettingsError(f"there is no option {min(unknown)!r}; there are {', '.join(kinds)}")
    for name, value in values.items():
        if kinds[name] in ("float", "double") and isinstance(value, int):
            values[name] = float(value)
        elif isinstance(value, tuple):
            values[name] = list(value)
    try:
        return make(**values, check_fields=True)
    except AssertionError as error:
        raise SettingsError(f"no request can hold this: {error}") from error
