"""rosbag2 recordings as raw messages: the one place that knows how the rosbags library fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from cc_ros.errors import SourceError

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

BAG_SUFFIXES = (".mcap", ".db3")


def is_bag(path: Path) -> bool:
    """Whether ``path`` looks like a rosbag2: a folder with its metadata or storage files, or such a file itself."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or bool(_storage_files(path))
    return path.suffix in BAG_SUFFIXES


class BagFile:
    """An open rosbag2 (MCAP or sqlite3, compressed or not): its topics and raw CDR messages.

    :param path: the bag's folder, or one of its ``.mcap`` or ``.db3`` files.
    :raises SourceError: missing, damaged, truncated or of an unsupported kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        if path.is_dir() and not (path / "metadata.yaml").exists():
            files = _storage_files(path)
            hint = f"open {files[0].name} itself, or " if files else ""
            raise SourceError(f"{path} lacks metadata.yaml: {hint}run `ros2 bag reindex`")
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._reader = self._guarded(lambda: Reader(path))
        self._guarded(self._reader.open)
        #: the topics as recorded; a topic with several publishers may appear more than once.
        self.connections: list[Connection] = list(self._reader.connections)
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
        messages = self._reader.messages(connections, start, stop)
        while (message := self._guarded(lambda: next(messages, None))) is not None:
            yield message

    def decode(self, connection: Connection, raw: bytes) -> Any:
        """Return the message, of one of ROS 2's common types.

        :raises SourceError: the bytes are not a message of the connection's type.
        """
        return self._guarded(lambda: self._types.deserialize_cdr(memoryview(raw), connection.msgtype))

    def close(self) -> None:
        """Close the files; closing twice is fine."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # its readers and decompressors raise whatever damaged bytes lead them to
            raise SourceError(
                f"{self.path} cannot be read: {error or type(error).__name__}. A truncated or damaged recording may "
                "be repaired with `mcap recover` (MCAP) or `ros2 bag reindex`"
            ) from error


def _storage_files(path: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(file for file in path.iterdir() if file.suffix in BAG_SUFFIXES)
    return []
