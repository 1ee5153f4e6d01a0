"""Whether a depth image can be laid over a colour image: one rule for live topics and recordings."""

from __future__ import annotations

Size = tuple[int, int]  # (width, height) in pixels


def why_not_registered(depth: Size, image: Size, depth_frame: str = "", image_frame: str = "") -> str:
    """Return why a depth image cannot be used for an image, or "" where it can.

    It must be seen from the same optical frame and have the same aspect; its resolution may differ.

    :param depth: size of the depth image.
    :param image: size of the colour image.
    :param depth_frame: ``frame_id`` of the depth image; "" = not told, which is taken for the same.
    :param image_frame: ``frame_id`` of the colour image.
    """
    frames = depth_frame.lstrip("/"), image_frame.lstrip("/")
    if all(frames) and frames[0] != frames[1]:
        return (
            f"the depth image is of frame {frames[0]!r}, the camera image of {frames[1]!r}: take the depth that is "
            "registered to the image (such as aligned_depth_to_color, or depth_registered)"
        )
    if not same_aspect(depth, image):
        return f"the depth image is {depth[0]}x{depth[1]}, the camera image {image[0]}x{image[1]}: of another shape"
    return ""


def same_aspect(one: Size, other: Size) -> bool:
    """Return whether two sizes are of one shape, up to a pixel."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)
