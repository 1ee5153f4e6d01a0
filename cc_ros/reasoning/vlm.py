"""A configured model: pictures and prompts go out, checked answers come back."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from cc_ros.geometry import GeometryError, SceneMap
from cc_ros.keyframes import KeyframeSet
from cc_ros.reasoning.answer_cache import AnswerCache
from cc_ros.reasoning.context import Context
from cc_ros.reasoning.llm.budget import UsageCount
from cc_ros.reasoning.llm.endpoint import Endpoint
from cc_ros.reasoning.llm.errors import ModelFault, answer_to
from cc_ros.reasoning.llm.server import Server
from cc_ros.reasoning.looks import Looks
from cc_ros.reasoning.measured.places import places_table
from cc_ros.reasoning.prompts.images import PictureStore
from cc_ros.reasoning.prompts.messages import Episode, Writer
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.reask import ReaskLoop
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.talk import Task
from cc_ros.reasoning.types import Answer, Status, Style, Usage


class Model(Server):
    """A multimodal model behind an endpoint. Thread-safe.

    :param settings: of the reasoner.
    :param endpoint: the server.
    :param prompts: the texts.
    :raises SettingsError: limits in money without prices.
    """

    def __init__(self, settings: ReasonerSettings, endpoint: Endpoint, prompts: Prompts) -> None:
        super().__init__(settings, endpoint)
        self._prompts = prompts
        self._pictures = PictureStore(endpoint.max_side, settings.jpeg_quality)
        self._writer = Writer(endpoint, settings.image_detail)
        self._loop = ReaskLoop(settings, endpoint.structured, self._writer, prompts, self.budget)
        self._cache = AnswerCache(settings.cache_seconds)
        self._takes_tools = True  # until the server refuses them
        self._episode: Episode | None = None
        self._episodes = 0  # how often a new one was begun, to tell a turn that was asked before from one after
        self._navigating = threading.Lock()

    def answer(self, seen: KeyframeSet, context: Context) -> Answer:
        """Answer a question of any kind but navigation.

        :param context: the question, its deadline, and whether it is still wanted.
        :raises ModelFault: there is no answer.
        :raises ImageError: a keyframe's picture is damaged.
        """
        style, scene = self._measuring(seen, context)
        try:
            return self._answer(seen, context, style, scene)
        except ModelFault as fault:
            if not fault.about_tools:
                raise
            self._takes_tools, refused = False, fault.usage
        answer = self._answer(seen, context, *self._measuring(seen, context))
        used = dataclasses.replace(answer.usage, requests=answer.usage.requests + refused.requests)
        return dataclasses.replace(answer, usage=used)

    def _measuring(self, seen: KeyframeSet, context: Context) -> tuple[Style, SceneMap | None]:
        """Return the style that applies, and the scene where there is something to measure in."""
        style = context.style
        if style in (Style.RAW, Style.SET_OF_MARK) or all(f.intrinsics is None for f in seen.keyframes):
            return style, None
        if style is not Style.MARKS_MEASURED and not self._settings.tools:
            return style, None
        try:
            scene = SceneMap.from_keyframes(seen.keyframes)
        except GeometryError:  # a camera matrix that cannot be used does not keep a model from looking
            return style, None
        return style if self._takes_tools else Style.MARKS_MEASURED, scene

    def _looks(self, seen: KeyframeSet, context: Context, style: Style) -> Looks | None:
        """Return what the model may look into the memory by, where one is kept and numbers are those of objects."""
        if style not in (Style.MARKS, Style.MARKS_COT) or not seen.remembered_since:
            return None
        if not (self._settings.tools and self._takes_tools):
            return None
        return Looks(context, self._pictures, self._writer)

    def _answer(self, seen: KeyframeSet, context: Context, style: Style, scene: SceneMap | None) -> Answer:
        question, kind = context.question, context.kind
        pictures = self._pictures.get_all(seen.keyframes)
        table = places_table(scene) if scene is not None and style is Style.MARKS_MEASURED else ""
        looks = tuple(picture.digest for picture in pictures)
        asked = question.text, question.since, question.until, kind, question.choices
        key: Hashable = (*asked, style, seen.look, looks, table)
        kept = self._cache.get(key)
        if kept is not None:
            answer, age = kept
            remark = f"answered {age:.0f} s ago, same question and pictures"
            return dataclasses.replace(answer, source="cache", message=remark, usage=Usage(model=answer.usage.model))
        system = self._prompts.system(style, seen.look)
        text = self._prompts.question(kind, context.told, question.choices)
        if table:
            text = f"{self._prompts.measured(table)}\n\n{text}"
        tools = scene if style is not Style.MARKS_MEASURED else None
        past = self._looks(seen, context, style)
        if tools is not None:
            system = f"{system}\n{self._prompts.tools()}"
        if past is not None:
            system = f"{system}\n{self._prompts.looks(seen.remembered_since, context.now)}"
        ids = {mark.id for frame in seen.keyframes for mark in frame.marks}
        turns = [self._writer.user(pictures, text)]
        task = Task(ids, system, turns, Usage(), tools, past)
        defined = json.dumps(task.tools) if task.tools else ""
        task = dataclasses.replace(task, size=self._writer.size(pictures, system, text, defined))
        answer = self._run(task, [text], context)
        if answer.ok:
            self._cache.put(key, answer)
        return answer

    def navigate(self, seen: KeyframeSet, context: Context) -> Answer:
        """Answer with the next move; the newest keyframe is what the robot sees now.

        Another instruction or conversation than in the turn before starts a new episode. A turn that fails leaves no
        trace.

        :raises ModelFault: there is no answer, or another turn is being asked.
        :raises ImageError: the keyframe's picture is damaged.
        """
        if not self._navigating.acquire(blocking=False):
            raise ModelFault(Status.QUEUE_FULL, "another navigation turn is being asked; one move at a time")
        try:
            episodes, episode = self._episodes, self._episode
            question, kind, style = context.question, context.kind, context.style
            if episode is None or (episode.instruction, episode.name) != (question.text, question.conversation):
                episode = Episode(question.text, question.conversation)
            newest = seen.keyframes[-1]
            picture = self._pictures.get_all([newest])[0]
            ids = episode.marks | {mark.id for mark in newest.marks}
            system = self._prompts.system(style, seen.look)
            opening = self._prompts.question(kind, question.text, max_forward=self._settings.max_forward)
            text = self._prompts.navigate_turn(episode.next_turn, question.note)
            budget = self._settings.history_tokens - self._writer.tokens([], system)
            turns, pictures, texts = episode.write(self._writer, opening, picture, text, budget)
            task = Task(ids, system, turns, self._writer.size(pictures, system, *texts))
            answer = self._run(task, texts, context)
            if answer.action is not None and episodes == self._episodes:
                episode.add(picture, text, answer.action)
                episode.marks = ids
                self._episode = episode
            return answer
        finally:
            self._navigating.release()

    def reset(self) -> None:
        """Start a new episode: forget the conversation and the kept answers."""
        self._episodes += 1
        self._episode = None
        self._cache.clear()

    def _run(self, task: Task, texts: Sequence[str], context: Context) -> Answer:
        count = UsageCount()

        async def work(post: Callable[[Any], None]) -> Answer:
            return await self._loop.run(self.client, context, task, count, lambda *stage: post(stage))

        def show(event: tuple[str, str]) -> None:
            context.progress(event[0], self.endpoint.redact_growing(event[1]))

        try:
            answer = self.thread.wait(work, context.deadline, context.stop, show)
        except ModelFault as fault:
            fault.usage = self._loop.usage(task, count)
            raise
        except Exception as error:
            failed = ModelFault(Status.SERVER_ERROR, answer_to(error).message)
            failed.usage = self._loop.usage(task, count)
            raise failed from error
        prompt = "\n\n".join((task.system, *texts))
        return dataclasses.replace(answer, usage=self._loop.usage(task, count), prompt=prompt)
