"""The model of lmms-eval: its async OpenAI client, with tracked, marked keyframes in place of media."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import os
from pathlib import Path
from typing import Any

from lmms_eval.models.chat.async_openai import AsyncOpenAIChat
from lmms_eval.protocol import ChatMessages

from cc_ros.evaluation.lmms.conversation import Shown, ShownSettings
from cc_ros.settings import checked

CACHE = "~/.cache/cc_ros/eval"
FORMAT = "LMMS_IMAGE_ENCODE_FORMAT"


class CoarseCorrespondences(AsyncOpenAIChat):
    """An OpenAI-compatible endpoint that is shown keyframes with marks.

    :param arguments: those of lmms-eval's ``async_openai`` (``base_url``, ``model_version``, ``num_cpus``, ...), those
        of :class:`~cc_ros.evaluation.lmms.conversation.ShownSettings`, and ``cache_dir``, the folder of what was
        tracked.
    :raises SettingsError: a value out of its range.
    """

    is_simple = False

    def __init__(self, cache_dir: str = CACHE, **arguments: Any) -> None:
        names = {field.name for field in dataclasses.fields(ShownSettings)}
        settings = checked(ShownSettings, {name: arguments.pop(name) for name in names & arguments.keys()})
        os.environ.setdefault(FORMAT, "JPEG")  # as they are kept: PNG makes requests of some ten MB
        super().__init__(**arguments)
        self.shown = Shown(settings, Path(cache_dir).expanduser())

    async def maybe_forward_with_tool(self, request: Any, idx: int) -> Any:
        """Answer one request; tracking does not hold up the answers to others.

        :raises CCError: the media cannot be read or tracked; lmms-eval counts the request as failed.
        """
        context, doc_to_messages, generation, doc_id, task, split = request.args
        messages = doc_to_messages(self.task_dict[task][split][doc_id])
        parts = ChatMessages(messages=messages).model_dump()["messages"]
        shown = await asyncio.to_thread(self.shown.shown, parts)
        replaced = copy.copy(request)
        replaced.arguments = (context, lambda doc: shown, generation, doc_id, task, split)
        return await super().maybe_forward_with_tool(replaced, idx)
