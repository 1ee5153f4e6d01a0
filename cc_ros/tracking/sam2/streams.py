"""CUDA streams: work on frames goes before the search for objects."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor


class Streams:
    """The CUDA streams of frames and of the search; on other devices everything here does nothing.

    A GPU takes up kernels of the frames' stream first and fills what is left with those of the search. Tensors that
    cross over are to be made before they are read, and their memory is not to be used anew before the last reader is
    done: the allocator by itself knows only the stream that a tensor was made on (``Tensor.record_stream``).

    :param device: with the model on it.
    """

    def __init__(self, device: torch.device) -> None:
        self._frames = self._search = None
        if device.type == "cuda":
            self._frames = torch.cuda.Stream(device, priority=-1)
            self._search = torch.cuda.Stream(device, priority=0)
            self._frames.wait_stream(torch.cuda.current_stream(device))  # on which the model was put there

    def frames(self) -> AbstractContextManager[object]:
        """Return the context for work on frames."""
        return torch.cuda.stream(self._frames)

    def search(self) -> AbstractContextManager[object]:
        """Return the context for the search."""
        return torch.cuda.stream(self._search)

    def lend(self, tensors: Iterable[Tensor]) -> None:
        """Let work of the search that is given from now on read ``tensors`` of the frames' stream."""
        if self._search is not None and self._frames is not None:
            self._search.wait_stream(self._frames)
            for tensor in tensors:
                tensor.record_stream(self._search)

    def hand_over(self, tensors: Iterable[Tensor]) -> None:
        """Wait until the search has made ``tensors``, then let frames read them; called by the search."""
        if self._search is not None and self._frames is not None:
            self._search.synchronize()
            for tensor in tensors:
                tensor.record_stream(self._frames)
