"""The official SAM 2.1 weights: found in the cache, fetched once, checked before use. Importable where torch is not."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from cc_ros.errors import BackendError
from cc_ros.tracking.sam2.download import download, sha256_of
from cc_ros.tracking.sam2.settings import Sam2Settings

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Release:
    """One official checkpoint on the Hugging Face hub.

    :param size: of SAM 2.1: tiny, small, base_plus or large.
    :param megabytes: of the file.
    :param sha256: of the file.
    """

    size: str
    megabytes: int
    sha256: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"sam2.1_hiera_{self.size}.pt"

    @property
    def url(self) -> str:
        """Where it is fetched from; the environment's HF_ENDPOINT names another hub."""
        hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        return f"{hub.rstrip('/')}/facebook/sam2.1-hiera-{self.size.replace('_', '-')}/resolve/main/{self.file}"

    @property
    def path(self) -> Path:
        """Where it is kept on this machine."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "cc_ros" / self.file


RELEASES = {
    size: Release(size, megabytes, sha256)
    for size, megabytes, sha256 in (
        ("tiny", 156, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
        ("small", 184, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
        ("base_plus", 324, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
        ("large", 898, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    )
}


def weights_here(settings: Sam2Settings) -> bool:
    """Return whether the weights that ``settings`` ask for lie on this machine."""
    return _path(settings).is_file()


def why_missing(settings: Sam2Settings, *, fetch: bool) -> str:
    """Return for people why the weights are neither here nor to be fetched, or "".

    :param fetch: whether download "auto" fetches them.
    """
    if weights_here(settings):
        return ""
    if settings.weights:
        return f"weights {settings.weights!r} is no file; give SAM 2.1 weights, or '' for the official ones"
    release = RELEASES[settings.model]
    if settings.download == "never":
        return f"no SAM 2 weights at {release.path}, and download is 'never'; {_by_hand(release)}"
    if settings.download == "auto" and not fetch:
        size = f"{release.megabytes} MB"
        return f"no GPU, and no SAM 2 weights at {release.path}; set download to 'always' to fetch them ({size})"
    return ""


def load_weights(settings: Sam2Settings) -> dict[str, Tensor]:
    """Return the state dictionary, from ``settings.weights`` or the official one, which is fetched if need be.

    :raises BackendError: the file is missing, broken or cannot be fetched; the text says what to do.
    """
    if reason := why_missing(settings, fetch=True):
        raise BackendError(reason)
    path, release = _path(settings), RELEASES[settings.model]
    if settings.weights:
        return _read(path, "use another file, or weights '' for the official ones")
    if not path.is_file():
        _fetch(release)
    elif sha256_of(path) != release.sha256:
        raise BackendError(f"{path} is not the official file (SHA-256 differs); delete it, to have it fetched anew")
    return _read(path, "delete it, to have it fetched anew")


def _path(settings: Sam2Settings) -> Path:
    if not settings.weights:
        return RELEASES[settings.model].path
    try:
        return Path(settings.weights).expanduser()
    except RuntimeError:  # ~ of somebody who has no home here
        return Path(settings.weights)


def _fetch(release: Release) -> None:
    log.info("fetching %s (%d MB) to %s", release.url, release.megabytes, release.path)
    try:
        download(release.url, release.path, release.sha256)
    except (OSError, HTTPException) as error:
        raise BackendError(
            f"cannot fetch {release.url}: {error}; try again (what has arrived is kept), or {_by_hand(release)}"
        ) from error
    except ValueError as error:
        raise BackendError(
            f"{release.url} is not the official file: {error}; try again, or {_by_hand(release)}"
        ) from error


def _by_hand(release: Release) -> str:
    return f"put {release.url} at {release.path} by hand, or name a file by the parameter 'weights', or use 'flow'"


def _read(path: Path, advice: str) -> dict[str, Tensor]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make torch raise nearly everything
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise BackendError(f"weights {str(path)!r} cannot be read: {reason[0]}; {advice}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise BackendError(f"weights {str(path)!r} hold no 'model' as SAM 2.1 checkpoints do; {advice}")
    return {str(name): tensor for name, tensor in content["model"].items()}
