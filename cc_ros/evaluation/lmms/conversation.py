"""Replace the media of a conversation by keyframes, marked or plain, and tell what the marks are."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cc_ros.errors import CCError, SourceError
from cc_ros.evaluation.tracked import UNTRACKED, TrackerChoice, TrackingCache
from cc_ros.evaluation.types import FORWARD, Media
from cc_ros.keyframes import Keyframes, KeyframeSettings, MarkedKeyframe, MarkSettings
from cc_ros.keyframes.keyframes import MAX_FRAMES, RAW, SET_OF_MARK
from cc_ros.reasoning.prompts.templates import Prompts
from cc_ros.reasoning.types import Style
from cc_ros.settings import knob

if TYPE_CHECKING:
    from PIL.Image import Image

HELD = 64  # marked media in memory: a benchmark asks many questions about one video in a row
LOG = logging.getLogger(__name__)

Part = Mapping[str, Any]
Message = Mapping[str, Any]


@dataclass(frozen=True)
class ShownSettings:
    """How media are shown to the model."""

    style: str = knob(
        Style.MARKS.value, "raw: the same keyframes without marks and words", choices=tuple(s.value for s in Style)
    )
    frames: int = knob(8, "keyframes of a video (m in the paper)", ge=1, le=MAX_FRAMES)
    marks: int = knob(8, "objects that get a mark (K in the paper)", ge=0, le=500)
    diameter: int = knob(0, "of a mark in pixels; 0 = a twelfth of the picture's shorter side", ge=0, le=1000)
    outline: bool = knob(True, "draw the contour of a marked object's mask")
    overlay: bool = knob(False, "fill a marked object's mask with a transparent colour")
    backend: str = knob("auto", "tracking")
    max_side: int = knob(1280, "pictures are scaled down to this many pixels on the longer side", ge=64, le=8192)


class Shown:
    """Shows the media of conversations as keyframes. Thread-safe; media are tracked one at a time, and once.

    A video becomes its keyframes, a set of pictures the same pictures with marks. A single picture stays as it is,
    since a correspondence needs two. So does what cannot be one episode: several videos in one question, videos
    beside pictures, and a cut-out of a video; that is logged once.

    :param settings: how.
    :param cache: folder of what was tracked.
    """

    def __init__(self, settings: ShownSettings, cache: Path) -> None:
        self._settings = settings
        self._style = Style(settings.style)
        self._look = MarkSettings(diameter=settings.diameter, outline=settings.outline, overlay=settings.overlay)
        self._tracker = TrackerChoice(UNTRACKED if self._style is Style.RAW else settings.backend)
        self._pictures = cache / "pictures"
        self._cache = TrackingCache(cache)
        self._about = "" if self._style is Style.RAW else Prompts().about_pictures(self._style, self._look)
        self._lock = threading.Lock()
        self._held: OrderedDict[Media, list[MarkedKeyframe] | CCError] = OrderedDict()
        self._said: set[str] = set()

    def shown(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return the conversation with its media replaced.

        :param messages: as lmms-eval has them: a role, and parts of type text, image, video or audio.
        :raises CCError: the media cannot be read or tracked.
        """
        parts = [part for message in messages for part in message["content"]]
        videos = [part for part in parts if part["type"] == "video"]
        images = [part for part in parts if part["type"] == "image"]
        if len(videos) == 1 and not images and self._whole(videos[0]):
            path = Path(str(videos[0]["url"]).removeprefix("file://"))
            found = self._keyframes(Media(path=path), self._settings.frames)
            return self._replaced(messages, {id(videos[0]): found}, id(videos[0]))
        if not videos and 1 < len(images) <= MAX_FRAMES:
            files = tuple(self._file(part["url"]) for part in images)
            found = self._keyframes(Media(images=files), len(files))
            if len(found) == len(images):
                by_part = {id(part): [one] for part, one in zip(images, found, strict=True)}
                return self._replaced(messages, by_part, id(images[-1]))
        if videos or len(images) > MAX_FRAMES:
            self._say(f"{len(videos)} videos and {len(images)} pictures in one question are sent as they are")
        return [dict(message) for message in messages]

    def _whole(self, video: Part) -> bool:
        return isinstance(video["url"], str) and video.get("start_time") is None and video.get("end_time") is None

    def _keyframes(self, media: Media, count: int) -> list[MarkedKeyframe]:
        """Return the marked keyframes of media, made once; what failed once fails again at once."""
        with self._lock:
            if media not in self._held:
                try:
                    self._held[media] = self._made(media, count)
                except CCError as error:
                    self._held[media] = error
                while len(self._held) > HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(media)
            found = self._held[media]
        if isinstance(found, CCError):
            raise found
        return found

    def _made(self, media: Media, count: int) -> list[MarkedKeyframe]:
        kind = SET_OF_MARK if self._style is Style.SET_OF_MARK else RAW if self._style is Style.RAW else "marks"
        keyframes = Keyframes(KeyframeSettings(frames=count, marks=self._settings.marks, kind=kind), self._look)
        keyframes.store = self._cache.get(media, FORWARD, self._tracker)
        return keyframes.marked()

    def _replaced(
        self, messages: Sequence[Message], by_part: Mapping[int, Sequence[MarkedKeyframe]], last: int
    ) -> list[dict[str, Any]]:
        """Return the messages with pictures in place of parts, and the words about marks behind the last of them."""
        replaced = []
        for message in messages:
            content: list[dict[str, Any]] = []
            for part in message["content"]:
                keyframes = by_part.get(id(part))
                if keyframes is None:
                    content.append(dict(part))
                    continue
                content += [{"type": "image", "url": self._picture(one)} for one in keyframes]
                if id(part) == last and self._about:
                    content.append({"type": "text", "text": self._about})
            replaced.append({**message, "content": content})
        return replaced

    def _picture(self, keyframe: MarkedKeyframe) -> Image:
        from PIL import Image

        picture = Image.open(io.BytesIO(keyframe.jpeg))
        picture.thumbnail((self._settings.max_side, self._settings.max_side))
        return picture

    def _file(self, picture: Any) -> Path:
        """Return a file of a picture, named after what it shows.

        :raises SourceError: it is neither a path nor a picture, or cannot be kept.
        """
        if isinstance(picture, str):
            return Path(picture.removeprefix("file://"))
        try:
            pixels = picture.convert("RGB")
            name = hashlib.blake2b(pixels.tobytes() + repr(pixels.size).encode(), digest_size=16).hexdigest()
            path = self._pictures / f"{name}.png"
            if not path.exists():
                self._pictures.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=self._pictures, suffix=".png", delete=False) as file:
                    pixels.save(file, "png")
                Path(file.name).replace(path)
        except (AttributeError, OSError) as error:
            raise SourceError(f"a picture of a question cannot be kept in {self._pictures}: {error}") from error
        return path

    def _say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            LOG.warning("%s: marks need one video, or 2 to %d pictures of one scene", what, MAX_FRAMES)
