"""Object network: detect objects of any kind in one image; the weights come with the package (see NOTICE).

ONNX Runtime runs it where it is installed, in about half the time that OpenCV takes, which is there everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.util import find_spec

import cv2
import numpy as np

from cc_ros.tracking.objects import constants as const
from cc_ros.tracking.objects.instances import agreed, candidates, chosen, sigmoid

_OUTPUTS = ["pixels", "cells", "features"]


@dataclass(frozen=True, slots=True)
class NetworkOutput:
    """Output of the network for one image.

    :param pixels: c x h x w float32, every 4th pixel of its input: thing, boundary and features.
    :param cells: c x h/2 x w/2 float32, the objects whose centres are there.
    :param features: 96 x h/4 x w/4 float32, for descriptors.
    :param second: output for the same image in another size, None where it was looked at once.
    """

    pixels: np.ndarray
    cells: np.ndarray
    features: np.ndarray
    second: NetworkOutput | None = None

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return log odds of the masks (n x h x w float32) and scores (n float32, 0..1) of candidate objects."""
        own = candidates(self.pixels, self.cells)
        return own if self.second is None else agreed(own, candidates(self.second.pixels, self.second.cells))

    @property
    def thing(self) -> np.ndarray:
        """Probability (h x w float32) of each pixel to be a part of an object rather than background."""
        return sigmoid(self.pixels[0])


class ObjectNetwork:
    """A small convolutional network for objects of any kind; 20 to 30 ms an image on one core.

    Not thread-safe: one thread at a time calls it.
    """

    def __init__(self) -> None:
        with files(__package__).joinpath("objects.npz").open("rb") as file:
            model = _model(dict(np.load(file)))
        self._run = _in_onnx_runtime(model) if find_spec("onnxruntime") else _in_opencv(model)

    def __call__(self, image: np.ndarray) -> NetworkOutput:
        """Run the network on an image (HxWx3 uint8 BGR)."""
        return self._look(image, const.SIDE)

    def twice(self, image: np.ndarray) -> NetworkOutput:
        """Run the network on an image in two sizes: slower, and surer of what both show."""
        return replace(self._look(image, const.SIDE), second=self._look(image, const.SECOND_SIDE))

    def _look(self, image: np.ndarray, side: int) -> NetworkOutput:
        size = input_size(image.shape[1], image.shape[0], side)
        blob = cv2.dnn.blobFromImage(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        return NetworkOutput(*(out[0] for out in self._run(blob)))

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = objects, the surest first, for an HxWx3 uint8 BGR image."""
        labels = chosen(*self.twice(image).candidates(), const.REGION_SCORE).labels
        return cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def input_size(width: int, height: int, side: int = const.SIDE) -> tuple[int, int]:
    """Return the width and height that the network takes an image of a size at, the longer one about ``side``."""
    scale = side / max(width, height)
    return (
        max(round(width * scale / const.MULTIPLE), 1) * const.MULTIPLE,
        max(round(height * scale / const.MULTIPLE), 1) * const.MULTIPLE,
    )


def _in_opencv(model: bytes) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))

    def run(blob: np.ndarray) -> Sequence[np.ndarray]:
        net.setInput(blob)
        return net.forward(_OUTPUTS)

    return run


def _in_onnx_runtime(model: bytes) -> Callable[[np.ndarray], Sequence[np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the flow is found on another core meanwhile
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda blob: session.run(_OUTPUTS, {"image": blob})


def _model(parts: dict[str, np.ndarray]) -> bytes:
    """Return a whole ONNX model for a graph without its weights, and these in half precision.

    Half precision halves the package, but OpenCV 4.6 does not read it. Encoded messages that follow each other are
    merged by every reader of protocol buffers, so that the weights can be appended to the graph.
    """
    tensors = b"".join(_field(5, _tensor(name, value)) for name, value in parts.items() if name != "graph")
    return parts["graph"].tobytes() + _field(7, tensors)


def _tensor(name: str, value: np.ndarray) -> bytes:
    """Return a TensorProto: dims, data_type FLOAT, name, raw_data."""
    dims = b"".join(b"\x08" + _varint(n) for n in value.shape)
    return dims + b"\x10\x01" + _field(8, name.encode()) + _field(9, value.astype("<f4").tobytes())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
