"""The log of an instruction that a robot followed: JSON lines and pictures, to read afterwards."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

LINES = "log.jsonl"


class EpisodeLog:
    """A folder with ``log.jsonl``, an event a line, and the picture of each step.

    :param folder: holds a folder for each episode; it is made where it is missing. "" = no log.
    :param name: tells this episode from others.
    :raises OSError: it cannot be written.
    """

    def __init__(self, folder: str, name: str) -> None:
        self.folder: Path | None = None
        if folder:
            begun = time.strftime("%Y%m%d-%H%M%S")
            self.folder = Path(folder).expanduser() / f"{begun}-{name}"
            self.folder.mkdir(parents=True)

    def note(self, event: str, picture: tuple[int, bytes] | None = None, **fields: Any) -> None:
        """Append an event with the time, seconds since 1970.

        :param picture: number of the step and JPEG bytes, kept in a file beside it.
        :raises OSError: it cannot be written.
        """
        if self.folder is None:
            return
        entry: dict[str, Any] = {"time": round(time.time(), 3), "event": event, **fields}
        if picture is not None:
            step, jpeg = picture
            entry["picture"] = f"step_{step:03d}.jpg"
            (self.folder / entry["picture"]).write_bytes(jpeg)
        with (self.folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
