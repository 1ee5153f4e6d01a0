"""The newest of everything that browsers show: written by any thread, read by any number of browsers."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from hashlib import sha256
from typing import Any

MOST_BYTES = 64 << 20  # of pictures that are kept


class Board:
    """The newest value of each kind, encoded once for all browsers. What a slow browser misses, it never gets.

    Belongs to an event loop; only ``post`` and ``add_picture`` may be called from elsewhere.

    :param loop: of the browsers.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._values: dict[str, tuple[int, str | bytes]] = {}
        self._count = 0
        self._readers: set[asyncio.Event] = set()
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def post(self, kind: str, value: Any) -> None:
        """Replace the value of a kind: bytes as they are, anything else as JSON."""
        data = value if isinstance(value, bytes) else json.dumps({"kind": kind, "value": value}, allow_nan=False)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, kind, data)

    def add_picture(self, jpeg: bytes) -> str:
        """Keep a JPEG for a while, the newest 64 MB of them, and return the name that it is served by."""
        name = sha256(jpeg).hexdigest()[:32]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._keep, name, jpeg)
        return name

    def picture(self, name: str) -> bytes | None:
        """Return a kept JPEG."""
        return self._pictures.get(name)

    def join(self, reader: asyncio.Event) -> None:
        """Set ``reader`` whenever something is new."""
        self._readers.add(reader)

    def leave(self, reader: asyncio.Event) -> None:
        """Leave it alone."""
        self._readers.discard(reader)

    def newer(self, kind: str, than: int) -> tuple[int, str | bytes] | None:
        """Return the value of a kind and its number, where it is newer than the number that was seen."""
        found = self._values.get(kind)
        return found if found is not None and found[0] > than else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds so far."""
        return tuple(self._values)

    def _set(self, kind: str, data: str | bytes) -> None:
        self._count += 1
        self._values[kind] = (self._count, data)
        for reader in self._readers:
            reader.set()

    def _keep(self, name: str, jpeg: bytes) -> None:
        if name in self._pictures:
            self._pictures.move_to_end(name)
            return
        self._pictures[name] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > MOST_BYTES and len(self._pictures) > 1:
            self._bytes -= len(self._pictures.popitem(last=False)[1])
