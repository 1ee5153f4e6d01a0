"""Fetching a large file: taken up where it broke off, and checked before it is there."""

from __future__ import annotations

import fcntl
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.request import Request, urlopen

SILENCE = 30.0  # seconds without a byte after which a connection has broken off
BLOCK = 1 << 20


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch ``url`` to ``path``, with a progress bar.

    What has arrived stays beside ``path`` until the rest does. Of several processes one fetches, the others wait.

    :raises OSError: no connection, it broke off, no such file, the disk is full.
    :raises http.client.HTTPException: what answers is no web server.
    :raises ValueError: the file has another SHA-256; it is not kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.is_file():  # fetched by another process meanwhile
            part.unlink(missing_ok=True)
            return
        if not file.tell() or sha256_of(part) != sha256:
            _append(url, file)
        if sha256_of(part) != sha256:
            part.unlink()
            raise ValueError(f"its SHA-256 is not {sha256}")
        part.replace(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _append(url: str, file: BinaryIO) -> None:
    from tqdm import tqdm  # comes with sam2

    request = Request(url, headers={"Range": f"bytes={file.tell()}-"} if file.tell() else {})
    with urlopen(request, timeout=SILENCE) as answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:  # the whole file again
            file.truncate(0)
        begin, rest = file.seek(0, 2), answer.length
        total = None if rest is None else begin + rest
        name = url.rpartition("/")[2]
        with tqdm(total=total, initial=begin, desc=name, unit="B", unit_scale=True, mininterval=1.0) as bar:
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
        file.flush()
    if total is not None and file.tell() < total:
        raise OSError(f"the connection broke off after {file.tell() >> 20} of {total >> 20} MB")
