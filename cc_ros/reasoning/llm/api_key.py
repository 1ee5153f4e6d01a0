"""Keys: read from the environment or a private file, shown nowhere."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from cc_ros.errors import SettingsError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_KEY_BYTES = 4096
TELLING = 12  # characters of a key's begin that are no longer the same for every key of a service


class Secret:
    """A key that neither ``repr``, ``str``, logs nor pickles give away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key, for the request's header and nothing else."""
        return self._value

    def redact(self, text: str) -> str:
        """Return ``text`` with the key blotted out, whole, escaped or cut short: servers echo keys in their errors."""
        text = self._without(text)
        begin, told = self._value[:TELLING], -1
        while len(begin) == TELLING and (told := text.find(begin, told + 1)) >= 0:
            end = told + TELLING
            while end < len(text) and text[end] == self._value[end - told]:
                end += 1
            text = f"{text[:told]}[key]{text[end:]}"
        return text

    def redact_growing(self, text: str) -> str:
        """Return unfinished ``text`` without the key, nor an end that may become it."""
        text = self._without(text)
        begun = (n for n in range(min(len(text), len(self._value) - 1), 0, -1) if text.endswith(self._value[:n]))
        return text[: len(text) - next(begun, 0)]

    def _without(self, text: str) -> str:
        for spelling in (self._value, quote(self._value, safe=""), json.dumps(self._value)[1:-1]):
            text = text.replace(spelling, "[key]")
        return text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not to be stored")


def key_from_environment(name: str, environ: Mapping[str, str]) -> Secret | None:
    """Return the key in the variable ``name``, None where it is unset or empty.

    :raises SettingsError: ``name`` is no variable's name, or the value cannot be a key. Neither is repeated in the
        message: somebody may have put the key in the wrong place.
    """
    if not _VARIABLE.fullmatch(name):
        raise SettingsError("key_env must be the name of an environment variable, such as OPENAI_API_KEY, not a key")
    value = environ.get(name, "").strip()
    return _checked(value, f"the environment variable {name}") if value else None


def key_from_file(path: str) -> Secret:
    """Return the key in a file that only its owner can read.

    :raises SettingsError: the file is missing, open to others, or holds no key.
    """
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SettingsError(f"key_file {path!r} is not a file")
        if mode & 0o077:
            raise SettingsError(
                f"key_file {path!r} has mode {stat.S_IMODE(mode):04o}; others can read it: chmod 600 it"
            )
        with file.open("rb") as stream:
            value = stream.read(MAX_KEY_BYTES + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise SettingsError(f"key_file {path!r} cannot be read: {error.strerror}") from None
    return _checked(value, f"key_file {path!r}")


def _checked(value: str, where: str) -> Secret:
    if not value or len(value) > MAX_KEY_BYTES or not re.fullmatch(r"[\x21-\x7e]+", value):
        raise SettingsError(f"{where} does not hold a key: one line of printable characters without spaces")
    return Secret(value)
