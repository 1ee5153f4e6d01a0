"""Spread tracking and asking over the machines of a Ray cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from cc_ros.errors import CCError
from cc_ros.evaluation.asking import Asker, Setup, Task
from cc_ros.evaluation.types import Answer
from cc_ros.process import prepare_process

LOCAL = "local"  # as the address: a cluster of this machine alone, begun and ended here
# Ray's workers yield to all else by default (niceness 15): beside a busy node they would hardly run.
_OF_ITS_OWN: dict[str, Any] = {"num_cpus": 2, "_system_config": {"worker_niceness": 0}}
T = TypeVar("T")
R = TypeVar("R")


class ClusterError(CCError):
    """A Ray cluster cannot be used."""


@contextmanager
def cluster(address: str) -> Iterator[Any]:
    """Connect to a cluster and yield the module ``ray``.

    :param address: ``host:port``, ``auto``, or "local".
    :raises ClusterError: Ray is missing, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError(f"Ray is missing ({error}): pip install 'cc_ros[ray]'") from None
    begun = not ray.is_initialized()
    if begun:
        where = _OF_ITS_OWN if address == LOCAL else {"address": address}
        try:
            ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ClusterError(f"the Ray cluster {address} does not answer: {error}") from None
    try:
        yield ray
    finally:
        if begun:
            ray.shutdown()


class RayPool:
    """Answers tasks on the processors of a cluster; all machines see the data under the same paths.

    All tasks of a scene go to one worker, which tracks it once.

    :param address: of the cluster.
    :param setup: how to ask; ``parallel`` questions at once on each worker.
    :ivar workers: processes that answer, one a processor.
    """

    def __init__(self, address: str, setup: Setup) -> None:
        self._cluster = cluster(address)
        self._ray = self._cluster.__enter__()
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        remote = self._ray.remote(num_cpus=1, max_concurrency=setup.parallel)(_Worker)
        absolute = replace(setup, cache=setup.cache.resolve())
        self._actors = [remote.remote(absolute) for _ in range(self.workers)]
        self._turn = itertools.count()
        self._of_scene: dict[Any, int] = {}

    def submit(self, task: Task) -> Future[Answer]:
        """Begin to answer a task."""
        number = self._of_scene.setdefault(task.question.media, next(self._turn) % self.workers)
        return _plain(self._actors[number].answer.remote(task).future())

    def close(self) -> None:
        """Cancel what is under way, and leave the cluster."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._cluster.__exit__(None, None, None)


class _Worker:
    """An asker in a process of its own."""

    def __init__(self, setup: Setup) -> None:
        prepare_process()
        self._asker = Asker(setup)

    def answer(self, task: Task) -> Answer:
        return self._asker.answer(task)


def spread(address: str, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
    """Yield each item with what the work on it returns, in the order in which they are done.

    :raises ClusterError: the cluster cannot be used, or a worker died.
    """
    with cluster(address) as ray:
        remote = ray.remote(num_cpus=1)(work)
        under_way = {remote.remote(item): item for item in items}
        while under_way:
            done, _ = ray.wait(list(under_way), num_returns=1)
            try:
                yield under_way.pop(done[0]), ray.get(done[0])
            except ray.exceptions.RayError as error:
                raise ClusterError(f"a worker failed: {error}") from None


def _plain(future: Future[Answer]) -> Future[Answer]:
    """Pass on errors as they were raised, not as Ray wraps them."""
    plain: Future[Answer] = Future()

    def take(done: Future[Answer]) -> None:
        error = done.exception()
        if error is None:
            plain.set_result(done.result())
        else:
            cause = getattr(error, "cause", None) or error
            plain.set_exception(cause if isinstance(cause, CCError) else ClusterError(f"a worker failed: {cause}"))

    future.add_done_callback(take)
    return plain
