"""Which server is asked and how: settings, preset and key put together."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from cc_ros.errors import SettingsError
from cc_ros.reasoning.llm.api_key import Secret, key_from_environment, key_from_file
from cc_ros.reasoning.llm.presets import PRESETS, Preset, preset_for_host
from cc_ros.reasoning.settings import ReasonerSettings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that can be asked.

    :param base_url: http(s) URL of the API, without the final slash.
    :param model: name to ask for; "" = the one that the server has.
    :param key: sent as bearer token; None = none is sent.
    :param preset: its kind.
    :param structured: "json_schema", "json_object" or "told".
    :param max_side: longest side of pictures sent, pixels.
    :param answer_tokens: longest answer.
    :param origin: for people: what names this server.
    """

    base_url: str
    model: str
    key: Secret | None
    preset: Preset
    structured: str
    max_side: int
    answer_tokens: int
    origin: str = ""

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self.base_url).netloc

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return self.base_url.startswith("https:")

    def redact(self, text: str) -> str:
        """Return text of the server without the key, should it hold it."""
        return text if self.key is None else self.key.redact(text)

    def redact_growing(self, text: str) -> str:
        """Return unfinished text of the server without the key, should it hold it."""
        return text if self.key is None else self.key.redact_growing(text)


BASE_URL_VARIABLE = "OPENAI_BASE_URL"


def resolve_endpoint(settings: ReasonerSettings, environ: Mapping[str, str]) -> Endpoint | None:
    """Return the server to ask, or None where the key that it needs is not there.

    :param environ: the environment to read the key from.
    :raises SettingsError: a setting that cannot be used.
    """
    given, origin = settings.base_url, "the parameter base_url"
    if not given and settings.preset in ("", "openai"):
        given, origin = environ.get(BASE_URL_VARIABLE, "").strip(), f"the environment variable {BASE_URL_VARIABLE}"
    host = _checked_host(given, origin.split()[-1]) if given else ""
    name = settings.preset or (preset_for_host(host) if host else "openai")
    preset = PRESETS[name]
    base_url = (given or preset.base_url).rstrip("/")
    if not base_url:
        raise SettingsError(f"preset {name!r} needs base_url, the address of the server")
    key = _key(settings, preset, base_url, environ)
    if key is None and preset.key_needed:
        return None
    return Endpoint(
        base_url,
        settings.model or (preset.model if preset.key_needed else ""),
        key,
        preset,
        preset.structured if settings.structured == "auto" else settings.structured,
        min(settings.max_image_side, preset.max_side),
        settings.max_answer_tokens or preset.answer_tokens,
        origin if given else f"the preset {name}",
    )


def how_to_configure(settings: ReasonerSettings) -> str:
    """Return, for people, what makes a model answer."""
    preset = PRESETS[settings.preset or "openai"]
    variable = settings.key_env or preset.key_env or "OPENAI_API_KEY"
    return (
        f"to ask a model, set the environment variable {variable}, or the parameter base_url to an OpenAI-compatible "
        "server (a local one such as http://127.0.0.1:8000/v1 needs no key) and model to the name of its model"
    )


def _key(settings: ReasonerSettings, preset: Preset, base_url: str, environ: Mapping[str, str]) -> Secret | None:
    if settings.key_file:
        return key_from_file(settings.key_file)
    if settings.key_env:
        return key_from_environment(settings.key_env, environ)
    # A key that happens to be in the environment is not sent in the clear over a network unless it is asked for.
    if not preset.key_env or not (base_url.startswith("https:") or _is_loopback(_checked_host(base_url))):
        return None
    return key_from_environment(preset.key_env, environ)


def _checked_host(base_url: str, name: str = "base_url") -> str:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"{name} is not a URL; give one such as http://127.0.0.1:8000/v1") from None
    if parts.username or parts.password or parts.query:  # not repeated in the message: it may be a key
        raise SettingsError(f"{name} must not hold a user, password or query; keys come from the environment")
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{name} must be an http or https URL with a host, got {base_url!r}")
    return host


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
