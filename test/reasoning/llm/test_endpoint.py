"""Which server is asked, with which key, and that keys show up nowhere."""

from __future__ import annotations

import copy
import pickle
import typing
from pathlib import Path

import pytest

from cc_ros.errors import SettingsError
from cc_ros.reasoning import ReasonerSettings
from cc_ros.reasoning.llm.api_key import Secret, key_from_environment, key_from_file
from cc_ros.reasoning.llm.endpoint import resolve_endpoint
from cc_ros.reasoning.llm.presets import PRESETS
from cc_ros.settings import knobs

KEY = "sk-test-0123456789"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
CLAUDE = "https://api.anthropic.com/v1"
ENVIRON = {"OPENAI_API_KEY": KEY, "GEMINI_API_KEY": "gemini-key", "ANTHROPIC_API_KEY": "claude-key", "MINE": "my-key"}


@pytest.mark.parametrize(
    ("settings", "base_url", "model", "key"),
    [
        ({}, "https://api.openai.com/v1", "gpt-6.1-terra", KEY),
        (
            {"preset": "gemini"},
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "gemini-flash-latest",
            "gemini-key",
        ),
        ({"preset": "claude"}, CLAUDE, "claude-sonnet-5-5", "claude-key"),
        ({"preset": "ollama"}, "http://127.0.0.1:11434/v1", "", None),
        ({"preset": "vllm", "base_url": "http://box:8000/v1/"}, "http://box:8000/v1", "", None),
        ({"preset": "vllm", "key_env": "MINE"}, "http://127.0.0.1:8000/v1", "", "my-key"),
        (
            {"base_url": "https://api.anthropic.com/v1"},
            "https://api.anthropic.com/v1",
            "claude-sonnet-5-5",
            "claude-key",
        ),
        ({"base_url": "http://localhost:9/v1"}, "http://localhost:9/v1", "", KEY),
        ({"base_url": "https://gateway.example/v1"}, "https://gateway.example/v1", "", KEY),
        # not in the clear over a network, unless it is asked for
        ({"base_url": "http://192.168.1.5:8000/v1"}, "http://192.168.1.5:8000/v1", "", None),
        (
            {"base_url": "http://192.168.1.5:8000/v1", "key_env": "MINE"},
            "http://192.168.1.5:8000/v1",
            "",
            "my-key",
        ),
    ],
)
def test_settings_lead_to_a_server(settings: dict[str, str], base_url: str, model: str, key: str | None) -> None:
    endpoint = resolve_endpoint(ReasonerSettings(**settings), ENVIRON)
    assert endpoint is not None
    assert (endpoint.base_url, endpoint.model) == (base_url, model)
    assert (None if endpoint.key is None else endpoint.key.reveal()) == key


@pytest.mark.parametrize("preset", ["", "openai", "gemini", "claude"])
def test_a_service_that_needs_a_key_is_not_asked_without(preset: str) -> None:
    assert resolve_endpoint(ReasonerSettings(preset=preset), {}) is None
    assert resolve_endpoint(ReasonerSettings(preset=preset, key_env="UNSET"), ENVIRON) is None


def test_a_local_server_needs_no_key() -> None:
    endpoint = resolve_endpoint(ReasonerSettings(base_url="http://127.0.0.1:8000/v1"), {})
    assert endpoint is not None and endpoint.key is None
    assert endpoint.structured == "told"


@pytest.mark.parametrize(
    "base_url", ["127.0.0.1:8000", "ftp://x/v1", "http://", "http://[::1", "http://x:99999999/v1", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        resolve_endpoint(ReasonerSettings(base_url=base_url), {})


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": f"https://user:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"key_env": KEY},
        {"key_env": f"Bearer {KEY}"},
    ],
)
def test_a_key_in_a_parameter_is_refused_and_not_repeated(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        resolve_endpoint(ReasonerSettings(**{"base_url": "http://127.0.0.1/v1", **settings}), {})
    assert KEY not in str(refused.value)


def test_the_presets_are_those_that_can_be_chosen() -> None:
    assert next(k for k in knobs(ReasonerSettings) if k.name == "preset").choices == ("", *PRESETS)
    assert all(knob.help for knob in knobs(ReasonerSettings))


def test_image_tokens_are_estimated_by_the_rules_of_each_service() -> None:
    assert PRESETS["openai"].image_tokens(1024, 1024) == 765  # OpenAI's own example
    assert PRESETS["claude"].image_tokens(1000, 1000) == 1334
    assert PRESETS["gemini"].image_tokens(300, 300) == 258
    for preset in PRESETS.values():
        assert 0 < preset.image_tokens(1, 1) <= preset.image_tokens(640, 480) <= preset.image_tokens(1280, 960)


def test_a_key_file_is_read_if_it_is_private(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert key_from_file(str(file)).reveal() == KEY
    for mode in (0o640, 0o604, 0o666):
        file.chmod(mode)
        with pytest.raises(SettingsError, match="chmod 600"):
            key_from_file(str(file))
    with pytest.raises(SettingsError, match="cannot be read"):
        key_from_file(str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="not a file"):
        key_from_file(str(tmp_path))


@pytest.mark.parametrize("content", ["", "  \n", "two words", "line\nline", "kéy", "x" * 5000])
def test_what_cannot_be_a_key_is_refused_and_not_repeated(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        key_from_file(str(file))
    assert not content.strip() or content.strip() not in str(refused.value)
    if content.strip():
        with pytest.raises(SettingsError):
            key_from_environment("K", {"K": content})


def test_a_key_is_not_shown_copied_out_or_stored() -> None:
    secret = Secret(KEY)
    assert KEY not in repr(secret) + str(secret) + f"{secret}" + repr([secret])
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
    assert secret.redact(f"wrong key {KEY}!") == "wrong key [key]!"
    for length in range(1, len(KEY)):
        assert secret.redact_growing(f"it is {KEY[:length]}") == "it is "
    assert secret.redact_growing(f"{KEY} it wa") == "[key] it wa"
    endpoint = resolve_endpoint(ReasonerSettings(), ENVIRON)
    assert KEY not in repr(endpoint)


def test_settings_have_no_place_for_a_key() -> None:
    hints = typing.get_type_hints(ReasonerSettings)
    assert not {name for name in hints if "key" in name} - {"key_env", "key_file"}


def test_the_base_url_of_the_environment_is_honoured_where_openai_is_meant() -> None:
    environ = {"OPENAI_API_KEY": KEY, "GEMINI_API_KEY": "gemini-key", "OPENAI_BASE_URL": "https://gateway.example/v1/"}
    for preset, base_url in (
        *[("", "https://gateway.example/v1"), ("openai", "https://gateway.example/v1")],
        *[("gemini", GEMINI), ("vllm", "http://127.0.0.1:8000/v1")],
    ):
        endpoint = resolve_endpoint(ReasonerSettings(preset=preset), environ)
        assert endpoint is not None and endpoint.base_url == base_url
        assert ("OPENAI_BASE_URL" in endpoint.origin) == (preset in ("", "openai"))
    given = resolve_endpoint(ReasonerSettings(base_url="http://127.0.0.1:9/v1"), environ)
    assert given is not None and given.base_url == "http://127.0.0.1:9/v1"
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL must be"):
        resolve_endpoint(ReasonerSettings(), {**environ, "OPENAI_BASE_URL": "gateway.example"})


def test_a_key_is_blotted_out_cut_short_and_escaped_as_well() -> None:
    secret = Secret("sk-proj-a/b+c0123456789")
    for spelling in ("sk-proj-a/b+c0123456789", "sk-proj-a/b+c0123", "sk-proj-a%2Fb%2Bc0123456789"):
        assert secret.redact(f"bad {spelling}!") == "bad [key]!"
    assert secret.redact("sk-proj-other") == "sk-proj-other"
