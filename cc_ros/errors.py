"""The package's exceptions: one base, one class a kind of trouble that a caller may want to tell apart."""

from __future__ import annotations


class CCError(Exception):
    """Base of all errors raised by cc_ros; its text says what was wrong, with the value, and what to do."""


class SettingsError(CCError, ValueError):
    """A parameter or option is out of its range, unknown, or of the wrong type."""


class SourceError(CCError):
    """A video, image folder or bag cannot be read, or holds no images."""


class ImageError(CCError, ValueError):
    """One image message or file cannot be decoded (encoding, size or damaged data)."""


class BackendError(CCError):
    """A tracking backend cannot run here: package, weights or device missing or failing."""


class ModelError(CCError):
    """The multimodal model cannot be asked, or its answer cannot be used."""


class NodeError(CCError):
    """A running node did not do what it was asked for; the text holds its reason."""


class NotRunningError(NodeError):
    """A node that is needed is not running, went away, or does not respond in time."""
