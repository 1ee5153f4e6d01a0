"""What the first bytes of a compressed picture say, read before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_TIFF_FORMATS = {1: "B", 3: "H", 4: "I"}  # the types of fields that are looked at
_WIDTH, _HEIGHT, _BITS, _OFFSETS, _COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 256, 257, 258, 273, 279, 324, 325


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Kind and size of a picture.

    :param kind: ``jpeg``, ``png``, ``tiff``, ``webp`` or ``avif``.
    :param width: pixels, 0 where the header ends before it.
    :param height: pixels.
    :param complete: whether the bytes reach to the picture's end, as far as the format tells.
    :param deep: whether pixels may have more than 8 bits a channel.
    :param grey: whether it has one channel.
    """

    kind: str
    width: int
    height: int
    complete: bool
    deep: bool = False
    grey: bool = False


def read_header(raw: bytes) -> PictureHeader | None:
    """Return the header of a picture, or None where ``raw`` is of no kind that is known. Never raises."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(raw)
    if raw.startswith(b"\xff\xd8"):
        width, height, scan = _jpeg(raw)
        # Inside the scan 0xFF is always stuffed, so an end marker behind its start is the picture's own (and not that
        # of a thumbnail in the header).
        return PictureHeader("jpeg", width, height, scan > 0 and raw.rfind(b"\xff\xd9", scan) > 0)
    if raw[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(raw, "<" if raw[:2] == b"II" else ">")
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return _webp(raw)
    if raw[4:8] == b"ftyp" and raw[8:12] in (b"avif", b"avis"):
        return _avif(raw)
    return None


def _png(raw: bytes) -> PictureHeader:
    if len(raw) < 26:
        return PictureHeader("png", 0, 0, False)
    width, height, bits, colour = struct.unpack(">IIBB", raw[16:26])
    complete = raw.rfind(b"IEND\xaeB`\x82", 24) > 0  # its CRC never differs
    return PictureHeader("png", width, height, complete, bits > 8, colour in (0, 4))


def _jpeg(raw: bytes) -> tuple[int, int, int]:
    """Return width, height and where the first scan begins; zeros for what is missing."""
    width = height = 0
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xDA:
            return width, height, at
        else:
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, not a table
                height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return width, height, 0


def _tiff(raw: bytes, order: str) -> PictureHeader:
    fields: dict[int, tuple[int, ...]] = {}
    try:
        (at,) = struct.unpack_from(order + "I", raw, 4)
        (count,) = struct.unpack_from(order + "H", raw, at)
        for index in range(count):
            tag, kind, length, _ = struct.unpack_from(order + "HHII", raw, at + 2 + 12 * index)
            code = _TIFF_FORMATS.get(kind)
            if code is None or length > len(raw):
                continue
            values = struct.Struct(f"{order}{length}{code}")
            inline = at + 2 + 12 * index + 8
            where = inline if values.size <= 4 else struct.unpack_from(order + "I", raw, inline)[0]
            fields[tag] = values.unpack_from(raw, where)
    except struct.error:
        return PictureHeader("tiff", 0, 0, False)
    offsets = fields.get(_OFFSETS) or fields.get(_TILE_OFFSETS) or ()
    sizes = fields.get(_COUNTS) or fields.get(_TILE_COUNTS) or ()
    ends = [offset + size for offset, size in zip(offsets, sizes, strict=False)]
    bits = fields.get(_BITS) or (1,)
    width, height = (fields.get(tag) or (0,) for tag in (_WIDTH, _HEIGHT))
    complete = bool(ends) and max(ends) <= len(raw)
    return PictureHeader("tiff", width[0], height[0], complete, max(bits) > 8, len(bits) == 1)


def _webp(raw: bytes) -> PictureHeader:
    if len(raw) < 30:
        return PictureHeader("webp", 0, 0, False)
    chunk = raw[12:16]
    if chunk == b"VP8X":
        width, height = (1 + int.from_bytes(raw[at : at + 3], "little") for at in (24, 27))
    elif chunk == b"VP8L":
        packed = int.from_bytes(raw[21:25], "little")
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(raw[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return PictureHeader("webp", width, height, len(raw) >= 8 + int.from_bytes(raw[4:8], "little"))


def _avif(raw: bytes) -> PictureHeader:
    at = raw.find(b"ispe", 0, 4096)  # the property that holds the size
    width, height = struct.unpack(">II", raw[at + 8 : at + 16]) if 0 < at <= len(raw) - 16 else (0, 0)
    end = 0  # a chain of boxes, each with its length
    while end + 8 <= len(raw):
        length = int.from_bytes(raw[end : end + 4], "big")
        if length < 8:
            end = len(raw) if length == 0 else len(raw) + 1
            break
        end += length
    return PictureHeader("avif", width, height, end == len(raw))
