"""What a server says about an error, in its own words, and what its user can do about it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cc_ros.reasoning.types import sendable

MAX_WORDS = 300
MAX_READ = 20_000  # characters of an error that are looked at
_HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
_HTML_TAG = re.compile(r"<[^<>]*>")
_NAMES = ("message", "detail", "error", "msg", "error_description", "description", "title", "errors", "reason")
_ADVICE_BY_CODE = {
    401: "check the key",
    403: "check the key",
    407: "the proxy wants a user and a password",
    413: "the request is too large for the server: ask with fewer frames, or set a smaller max_image_side",
}
_ADVICE = (
    (
        re.compile(r"temperature", re.IGNORECASE),
        "leave the parameter temperature at -1, so that none is sent",
    ),
    (
        re.compile(
            r"max_completion_tokens|max_tokens.{0,80}(?:not supported|unsupported|unrecogni[sz]ed|instead)"
            r"|(?:unsupported|unrecogni[sz]ed|unknown).{0,80}max_tokens",
            re.IGNORECASE | re.DOTALL,
        ),
        "set the parameter preset to the kind of server: 'openai' sends max_completion_tokens, 'compatible' max_tokens",
    ),
    (
        re.compile(
            r"context.{0,20}(?:length|window|size)|too many (?:input |prompt )?tokens|maximum context"
            r"|prompt is too long|exceeds? the (?:available )?context|max_model_len|input.{0,20}too long",
            re.IGNORECASE,
        ),
        "ask with fewer frames, a smaller max_image_side or max_answer_tokens, or give the server a larger context",
    ),
    (
        re.compile(r"response_format|json_schema|structured output|guided_json|grammar", re.IGNORECASE),
        "set the parameter structured to 'json_object' or 'told'",
    ),
    (
        re.compile(r"max_(?:completion_)?tokens", re.IGNORECASE),
        "set the parameter max_answer_tokens to what the model allows",
    ),
    (re.compile(r"stream_options", re.IGNORECASE), "set the parameter preset to 'compatible' or 'transformers'"),
    (
        re.compile(r"system.{0,12}role|role.{0,20}system|roles must alternate", re.IGNORECASE),
        "set the parameter preset to 'transformers', which sends no system message",
    ),
    (
        re.compile(r"image|vision|multimodal|mmproj|modalit", re.IGNORECASE),
        "does the model take pictures, and so many? Name another model, or ask with fewer frames",
    ),
)


def words_of(said: object) -> str:
    """Return the words of an error in whatever shape a server sent it: JSON of many shapes, HTML or plain text.

    :param said: a body, decoded from JSON or not.
    """
    return " ".join(sendable(_text(said)).split())


def advice(code: int, words: str, model: str) -> str:
    """Return what a user can do about an error, "" where that is not known.

    :param code: HTTP status, 0 = none.
    :param model: that was asked for.
    """
    if code in _ADVICE_BY_CODE:
        return _ADVICE_BY_CODE[code]
    if code == 404:
        return f"is base_url right, and does the server have the model {model!r}? `cc-ros doctor` looks"
    if 400 <= code < 500 or not code:
        return next((text for pattern, text in _ADVICE if pattern.search(words)), "")
    return ""


def _text(said: object, depth: int = 0) -> str:
    if said is None or depth > 4:
        return ""
    if isinstance(said, bytes):
        return _text(said.decode("utf-8", "replace"), depth)
    if isinstance(said, str):
        return _from_text(said, depth)
    if isinstance(said, Mapping):
        return _from_mapping(said, depth)
    if isinstance(said, Iterable):
        return "; ".join(filter(None, (_text(item, depth + 1) for item in list(said)[:4])))
    return str(said)


def _from_mapping(said: Mapping[Any, Any], depth: int) -> str:
    """Return the words of the first field that has any; FastAPI adds the place of a wrong value as ``loc``."""
    for name in _NAMES:
        words = _text(said.get(name), depth + 1)
        if words:
            place = said.get("loc")
            return f"{'.'.join(map(str, place))}: {words}" if isinstance(place, list | tuple) else words
    return json.dumps(said, default=str)[:MAX_WORDS] if said and depth == 0 else ""


def _from_text(said: str, depth: int) -> str:
    text = said.strip()[:MAX_READ]
    if text.startswith(("{", "[")):
        try:
            return _text(json.loads(text), depth + 1) or text
        except (ValueError, RecursionError):
            return text
    if not re.match(r"<(?:!doctype|html|head|body|\?xml|center|h1|p|div)\b", text, re.IGNORECASE):
        return text
    title = _TITLE.search(text)
    body = html.unescape(_HTML_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    words = " ".join(body.split())
    heading = " ".join(html.unescape(title[1]).split()) if title else ""
    return words if heading.lower() in words.lower() else f"{heading}: {words}" if words else heading
