"""Whether the model's endpoint can be had, found out without asking it anything that costs."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cc_ros.errors import SettingsError
from cc_ros.reasoning.llm.endpoint import Endpoint, how_to_configure, resolve_endpoint
from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.llm.presets import CHECKED
from cc_ros.reasoning.llm.proxies import proxy_of, shown
from cc_ros.reasoning.settings import ReasonerSettings

PROBE_SECONDS = 8.0
_ENDS = ("shutdown_date", "retires_at", "deprecation", "deprecation_date", "expiration_date", "deprecated_at", "sunset")
_GONE = ("retired", "deprecated", "shutdown", "inactive")


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found out about the endpoint.

    :param usable: True = it answers and has the model, False = it does not or cannot be configured so, None = no model
        is configured, or something is worth knowing.
    :param text: for people; never holds a key.
    :param where: for people: where pictures would go, "" without an endpoint.
    """

    usable: bool | None
    text: str
    where: str = ""


def probe(settings: ReasonerSettings, environ: Mapping[str, str]) -> Probed:
    """Ask the endpoint for its list of models; whatever goes wrong is told.

    :param environ: where keys are looked up.
    """
    try:
        endpoint = resolve_endpoint(settings, environ)
        if endpoint is None:
            return Probed(None, f"none; questions about marks are answered from geometry; {how_to_configure(settings)}")
        where = _where(endpoint)
    except SettingsError as error:
        return Probed(False, str(error))
    try:
        usable, text = asyncio.run(asyncio.wait_for(_ask_models(endpoint), PROBE_SECONDS))
    except (asyncio.TimeoutError, TimeoutError):
        usable, text = False, f"{endpoint.host} does not answer within {PROBE_SECONDS:.0f} s"
    except Exception as error:  # of the HTTP client, of what the environment gives it, or of a reply of another shape
        words = endpoint.redact(" ".join(str(error).split()))[:200] or type(error).__name__
        usable, text = False, f"{endpoint.host} cannot be reached or understood: {words}"
    return Probed(usable, text, where)


def _where(endpoint: Endpoint) -> str:
    proxy = proxy_of(endpoint)
    way = f", through the proxy {shown(proxy)}" if proxy else ""
    open_ = "" if endpoint.encrypted else ", not encrypted"
    return f"pictures would go to {endpoint.base_url} (told by {endpoint.origin}){way}{open_}"


async def _ask_models(endpoint: Endpoint) -> tuple[bool | None, str]:
    import openai

    from cc_ros.reasoning.llm.client import cause
    from cc_ros.reasoning.llm.model_list import bare, list_models, model_to_ask, shown
    from cc_ros.reasoning.llm.server_errors import MAX_WORDS, words_of
    from cc_ros.reasoning.llm.transport import open_client

    client = open_client(endpoint)
    try:
        models = await list_models(client.models, endpoint)
        model = model_to_ask(models, endpoint)
    except ModelFault as error:
        return False, str(error)
    except openai.APIStatusError as error:
        said = endpoint.redact(words_of(error.body))[:MAX_WORDS]
        return False, f"{endpoint.host} answers {error.status_code}: {said}"
    except openai.APIConnectionError as error:
        return False, f"{endpoint.host} cannot be reached: {endpoint.redact(cause(error))[:200]}"
    finally:
        await client.close()
    if not models:
        return True, f"{endpoint.host} answers, but lists no models; {model} will be asked for"
    if bare(model) in models:
        return _ending(f"{endpoint.host} answers; {model} will be asked", models[bare(model)])
    preset = f" (the presets were checked {CHECKED})" if model == endpoint.preset.model else ""
    return (
        False,
        f"{endpoint.host} answers, but has no model {model!r}{preset}; it has {shown(models)}; set model to one",
    )


def _ending(text: str, model: Any) -> tuple[bool | None, str]:
    """Tell of a model that is there whether, and when, the server says that it ends."""
    fields = model.model_dump()
    ends = next((_date(fields[name]) for name in _ENDS if fields.get(name)), "")
    stage = str(fields.get("lifecycle") or fields.get("status") or "").lower()
    if ends:
        return None, f"{text}, but the server says that it ends on {ends}; set model to a newer one"
    if stage in _GONE:
        return None, f"{text}, but the server calls it {stage}; set model to a newer one"
    return True, text


def _date(said: object) -> str:
    """Return a date that may be a text, seconds since 1970 or a mapping that holds one."""
    if isinstance(said, Mapping):
        return next((_date(value) for value in said.values() if value), "a day not told")
    if isinstance(said, int | float) and 0 < said < 1e11:
        return datetime.datetime.fromtimestamp(said, datetime.timezone.utc).strftime("%Y-%m-%d")
    return str(said)[:10]
