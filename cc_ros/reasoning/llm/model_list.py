"""The models that a server has, and which of them is asked where the settings name none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import openai
from openai.resources.models import AsyncModels

from cc_ros.reasoning.llm.endpoint import Endpoint
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.transport import headers_left_out
from cc_ros.reasoning.types import Status

ANY_NAME = "default"  # asked for where a server lists no models: those that hold one take any name
_NO_LIST = (404, 405, 501)
_SHOWN, _LONGEST = 8, 80  # names in a message, and characters of one


async def list_models(api: AsyncModels, endpoint: Endpoint) -> dict[str, Any]:
    """Return the server's models by name; empty where it lists none.

    :raises openai.APIError: it cannot be reached, refuses, or fails.
    """
    left_out = headers_left_out(endpoint)
    try:
        listing = await api.list(extra_headers=left_out)
        models = {endpoint.redact(bare(model.id)): model for model in listing.data}
        if endpoint.model and models and bare(endpoint.model) not in models and getattr(listing, "has_more", False):
            models[bare(endpoint.model)] = await api.retrieve(endpoint.model, extra_headers=left_out)
    except openai.APIStatusError as error:
        if error.status_code in _NO_LIST:
            return {}
        raise
    return models


def model_to_ask(names: Collection[str], endpoint: Endpoint) -> str:
    """Return the model that is asked: the configured one, else the only one that the server has.

    Of several, that of the preset; models that make embeddings answer no questions.

    :raises ModelFault: MISCONFIGURED, naming them, where several could be meant.
    """
    if endpoint.model:
        return endpoint.model
    able = sorted(name for name in names if "embed" not in name.lower())
    own = [name for name in able if endpoint.preset.model and name.split(":")[0] == endpoint.preset.model]
    if len(able) > 1 and len(own) != 1:
        raise ModelFault(
            Status.MISCONFIGURED, f"{endpoint.host} has several models, set model to one of them: {shown(able)}"
        )
    if names and not able:
        raise ModelFault(
            Status.MISCONFIGURED, f"{endpoint.host} has no model that answers questions, only {shown(names)}"
        )
    return next(iter(own or able), endpoint.preset.model or ANY_NAME)


def bare(name: object) -> str:
    """Return a model's name as people write it: Gemini lists "models/NAME", Ollama "NAME:latest"."""
    return str(name).removeprefix("models/").removesuffix(":latest")


def shown(names: Collection[str]) -> str:
    """Return the first names, for people."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:_LONGEST] for name in sorted(names)[:_SHOWN]) + more
