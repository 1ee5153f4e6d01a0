"""Keyframes from ``cc_keyframes``, for the nodes that need them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cc_ros.errors import CCError
from cc_ros.keyframes import KeyframeRequest, KeyframeSet
from cc_ros.nodes.action_call import waited
from cc_ros.nodes.alive import Watch, found
from cc_ros.nodes.convert.grounds import to_ground
from cc_ros.nodes.convert.keyframes import get_request, to_keyframes


@dataclass
class KeyframeService:
    """Gets keyframes from ``cc/get_keyframes``: the source of one question's.

    :param client: of that service.
    :param alive: notices that cc_keyframes was killed.
    :param given_up: tells that nobody waits for the answer any more.
    :ivar stamps: of the keyframes that came, seconds since 1970.
    """

    client: Any
    alive: Watch
    given_up: Callable[[], bool]
    stamps: tuple[float, ...] = ()

    def __call__(self, request: KeyframeRequest, blur: tuple[int, ...], timeout: float) -> KeyframeSet:
        """Return what was asked for.

        :param blur: ids of objects to be made unrecognisable.
        :param timeout: seconds.
        :raises CCError: no such service, no answer in time, or no keyframes.
        """
        if not found(self._there, self.given_up):
            if self.given_up():
                return KeyframeSet(())  # the reasoner finds out why
            raise CCError(f"{self.client.srv_name} is not there: is cc_keyframes running?")
        future = self.client.call_async(get_request(request, blur))
        deadline = time.monotonic() + timeout
        if not waited(future, lambda: self.given_up() or not self._there() or time.monotonic() > deadline):
            self.client.remove_pending_request(future)
            if self.given_up():
                return KeyframeSet(())
            if not self._there():
                raise CCError(f"nobody answers on {self.client.srv_name}: cc_keyframes went away; start it again")
            raise CCError(f"{self.client.srv_name} did not answer within {timeout:.1f} s")
        response = future.result()
        if not response.success:
            raise CCError(response.message)
        came = to_keyframes(response.keyframes)
        self.stamps = tuple(sorted({*self.stamps, *(keyframe.stamp for keyframe in came.keyframes)}))
        return replace(came, grounds=tuple(map(to_ground, response.grounds)))

    def _there(self) -> bool:
        return not self.alive.gone() and bool(self.client.service_is_ready())
