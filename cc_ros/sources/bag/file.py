"""Read rosbag2 recordings as raw messages; the one place that handles the errors of the rosbags library."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from cc_ros.errors import SourceError
from cc_ros.sources.bag.kinds import ZSTD_MAGIC, check_bag_file, storage_files, unpack, unpacked

T = TypeVar("T")

_REPAIR = (
    "A truncated or damaged recording may be repaired with `mcap recover` (MCAP), `sqlite3 FILE .recover` (db3) or "
    "`ros2 bag reindex`"
)
_INTACT = ("not supported", "unsupported", "are missing", "metadata", "Unrecognized")  # not what damage leads to


class BagFile(AbstractContextManager["BagFile"]):
    """An open rosbag2 (MCAP or sqlite3, compressed or not): its topics and raw CDR messages.

    :param path: the bag's folder, or one of its ``.mcap`` or ``.db3`` files, with or without ``.zstd``.
    :raises SourceError: missing, damaged, truncated or of an unsupported kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        self._stack = ExitStack()
        self._types = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._reader = self._guarded(lambda: Reader(self._readable()))
            self._guarded(self._reader.open)
            self._stack.callback(self._reader.close)
        except BaseException:  # Ctrl-C among them: what was opened or unpacked is let go of
            self._stack.close()
            raise
        own = list(self._reader.connections)
        self._own: dict[int, Connection] = {connection.id: connection for connection in own}
        #: the topics as recorded; a topic with several publishers may appear more than once.
        self.connections: list[Connection] = [c._replace(msgtype=ros_type(c.msgtype)) for c in own]
        #: stamp of the first message, nanoseconds; 0 for an empty bag.
        self.start: int = self._reader.start_time if self._reader.message_count else 0
        #: from the first to the last message, nanoseconds.
        self.duration: int = max(self._reader.duration - 1, 0)

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield (connection, bag stamp in ns, CDR bytes) in order of the bag stamps, ``start`` <= stamp < ``stop``.

        :raises SourceError: the recording is damaged from here on.
        """
        if not connections:
            return
        by_id = {connection.id: connection for connection in connections}
        messages = self._reader.messages([self._own[id] for id in by_id], start, stop)
        while (message := self._guarded(lambda: next(messages, None))) is not None:
            own, stamp, raw = message
            # One file of a bag that was compressed message by message, opened without the bag's metadata.
            data = unpacked(raw) if raw[:4] == ZSTD_MAGIC else raw
            yield by_id[own.id], stamp, data

    def first(self, connection: Connection) -> Any:
        """Return the first message of a topic that can be read; None where the first few cannot.

        :raises SourceError: the recording is damaged.
        """
        for _, (_, _, raw) in zip(range(5), self.messages([connection]), strict=False):
            try:
                return self.decode(connection, raw)
            except SourceError:
                continue
        return None

    def decode(self, connection: Connection, raw: bytes) -> Any:
        """Return the message, of one of ROS 2's common types.

        :raises SourceError: the bytes are not a message of the connection's type.
        """
        try:
            return self._types.deserialize_cdr(memoryview(raw), connection.msgtype)
        except Exception as error:  # whatever damaged bytes lead the decoder to
            raise SourceError(
                f"{len(raw)} bytes on {connection.topic} are no {connection.msgtype}: {error or type(error).__name__}"
            ) from error

    def close(self) -> None:
        """Close the files; closing twice is fine."""
        self._stack.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _readable(self) -> Path:
        """Return what the library can open: the path, or what a compressed file unpacks to.

        :raises SourceError: it is something else than a recording of ROS 2.
        """
        if self.path.is_dir():
            files = storage_files(self.path)
            if not (self.path / "metadata.yaml").exists():
                hint = f"open {files[0].name} itself, or " if files else ""
                raise SourceError(f"{self.path} lacks metadata.yaml: {hint}run `ros2 bag reindex`")
            for file in files:
                check_bag_file(file)
            return self.path
        path = self.path
        if path.suffix in (".zstd", ".zst"):
            folder = self._stack.enter_context(TemporaryDirectory(prefix="cc_ros_"))
            path = Path(folder) / path.stem
            unpack(self.path, path)
        check_bag_file(path, self.path)
        return path

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except SourceError:
            raise
        except Exception as error:  # its readers and decompressors raise whatever damaged bytes lead them to
            said = str(error) or type(error).__name__
            hint = "" if any(words in said for words in _INTACT) else f". {_REPAIR}"
            raise SourceError(f"{self.path} cannot be read: {said.rstrip('.')}{hint}") from error


def ros_type(name: str) -> str:
    """Return a message type as ROS 2 spells it: ``sensor_msgs/msg/Image``.

    Recorders that know DDS or ROS 1 write ``sensor_msgs::msg::dds_::Image_`` or ``sensor_msgs/Image``.
    """
    parts = [part for part in re.split(r"::|[/.]", name) if part and part != "dds_"]
    if "::dds_::" in name:
        parts[-1] = parts[-1].removesuffix("_")
    if len(parts) == 2 and "/" in name:
        parts.insert(1, "msg")
    return "/".join(parts) if len(parts) == 3 and parts[1] == "msg" else name
