"""Whether the model's endpoint can be had, found out without asking it anything that costs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cc_ros.errors import SettingsError
from cc_ros.reasoning.endpoint import Endpoint, how_to_configure, resolve_endpoint
from cc_ros.reasoning.settings import ReasonerSettings

PROBE_SECONDS = 8.0


def probe(settings: ReasonerSettings, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    """Ask the endpoint for its list of models.

    :param environ: where keys are looked up.
    :return: True = it answers, False = it does not or cannot be configured so, None = no model is configured; and a
        sentence for people, which never holds a key.
    """
    try:
        endpoint = resolve_endpoint(settings, environ)
    except SettingsError as error:
        return False, str(error)
    if endpoint is None:
        return None, f"none; questions about marks are answered from geometry; {how_to_configure(settings)}"
    return asyncio.run(_list_models(endpoint))


async def _list_models(endpoint: Endpoint) -> tuple[bool, str]:
    import openai

    from cc_ros.reasoning.faults import ModelFault
    from cc_ros.reasoning.transport import headers_left_out, open_client

    client = open_client(endpoint)
    try:
        listing = await asyncio.wait_for(client.models.list(extra_headers=headers_left_out(endpoint)), PROBE_SECONDS)
        names = [model.id for model in listing.data]
    except asyncio.TimeoutError:
        return False, f"{endpoint.host} does not answer within {PROBE_SECONDS:.0f} s"
    except openai.APIStatusError as error:
        if error.status_code == 404:
            return True, f"{endpoint.host} answers, but lists no models; {endpoint.model} will be asked for"
        return False, f"{endpoint.host} answers {error.status_code}: {endpoint.redact(error.message)[:200]}"
    except (openai.OpenAIError, ModelFault, ValueError, TypeError) as error:
        return False, f"{endpoint.host} cannot be reached or understood: {endpoint.redact(str(error))[:200]}"
    finally:
        await client.close()
    if endpoint.model and names and endpoint.model not in names:
        return False, f"{endpoint.host} answers, but has no model {endpoint.model!r}; it has {', '.join(names[:8])}"
    return True, f"{endpoint.host} answers; {endpoint.model or 'no model named'} will be asked"
