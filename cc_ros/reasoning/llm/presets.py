"""What is known of each kind of OpenAI-compatible server: address, key, image limits and quirks. Just data.

The models were current in November 2026 (``CHECKED``). Names that the service itself keeps up to date are preferred;
where a service has none, ``cc-ros doctor`` tells when a model is to end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

CHECKED = "2026-11"  # when the presets were last compared with what the services list


def _tiles_of_512(width: int, height: int) -> int:
    """OpenAI: fitted into 2048 x 2048, shorter side to 768, then 170 tokens a tile of 512 and 85 for the whole."""
    scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
    return 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


def _tiles_of_768(width: int, height: int) -> int:
    """Gemini: 258 tokens a tile of 768, one tile for small pictures."""
    if max(width, height) <= 384:
        return 258
    return 258 * math.ceil(width / 768) * math.ceil(height / 768)


def _area_over_750(width: int, height: int) -> int:
    """Claude: a token for 750 pixels."""
    return math.ceil(width * height / 750)


def _patches_of_28(width: int, height: int) -> int:
    """Open models of the Qwen-VL family: a token for a patch of 28 x 28; others differ by a small factor."""
    return math.ceil(width / 28) * math.ceil(height / 28)


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of server.

    :param base_url: where it is, unless configured otherwise; "" = must be configured.
    :param model: asked for unless configured otherwise; servers of one's own (no ``key_needed``) are asked which one
        they have, and this is preferred among several; "" = none.
    :param key_env: environment variable with the key; "" = sends none unless configured.
    :param key_needed: whether there is no asking without a key.
    :param structured: "json_schema", "json_object", or "told" where only the prompt can ask for JSON.
    :param max_side: longest useful side of a picture in pixels.
    :param detail: whether pictures may have a detail level.
    :param system_role: whether there is a system message; else its text goes before the question.
    :param token_field: name of the field that limits the answer.
    :param answer_tokens: the limit, unless configured otherwise; models that think before they speak need more.
    :param counts_in_stream: whether it must and may be asked to count tokens in a streamed answer.
    :param image_tokens: estimate of a picture's tokens from its width and height.
    """

    base_url: str
    model: str = ""
    key_env: str = ""
    key_needed: bool = False
    structured: str = "told"
    max_side: int = 1280
    detail: bool = False
    system_role: bool = True
    token_field: str = "max_tokens"
    answer_tokens: int = 4096
    counts_in_stream: bool = False
    image_tokens: Callable[[int, int], int] = _patches_of_28


PRESETS: dict[str, Preset] = {
    "openai": Preset(
        "https://api.openai.com/v1",
        "gpt-6.1-terra",
        "OPENAI_API_KEY",
        key_needed=True,
        structured="json_schema",
        max_side=2048,
        detail=True,
        token_field="max_completion_tokens",
        answer_tokens=16384,
        counts_in_stream=True,
        image_tokens=_tiles_of_512,
    ),
    "gemini": Preset(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-flash-latest",
        "GEMINI_API_KEY",
        key_needed=True,
        structured="json_schema",
        max_side=3072,
        answer_tokens=16384,
        counts_in_stream=True,
        image_tokens=_tiles_of_768,
    ),
    "claude": Preset(
        "https://api.anthropic.com/v1",
        "claude-sonnet-5-5",
        "ANTHROPIC_API_KEY",
        key_needed=True,
        max_side=1568,
        answer_tokens=16384,
        counts_in_stream=True,
        image_tokens=_area_over_750,
    ),
    "vllm": Preset("http://127.0.0.1:8000/v1", structured="json_schema", counts_in_stream=True),
    "ollama": Preset(
        "http://127.0.0.1:11434/v1", "qwen3-vl", structured="json_schema", max_side=1024, counts_in_stream=True
    ),
    "llama_cpp": Preset("http://127.0.0.1:8080/v1", structured="json_schema", max_side=1024, counts_in_stream=True),
    "lm_studio": Preset("http://127.0.0.1:1234/v1", structured="json_schema", max_side=1024, counts_in_stream=True),
    # Refuses every field that it does not implement, response_format and stream_options among them; ends streams
    # without [DONE]. The templates of many of its models know no system role.
    "transformers": Preset("http://127.0.0.1:8000/v1", max_side=1024, system_role=False),
    # Any other server gets the fields that all of them take.
    "compatible": Preset("", key_env="OPENAI_API_KEY"),
}


def preset_for_host(host: str) -> str:
    """Return the name of the preset of a known service, else "compatible"."""
    services = {urlsplit(preset.base_url).hostname: name for name, preset in PRESETS.items() if preset.key_needed}
    return services.get(host.lower(), "compatible")
