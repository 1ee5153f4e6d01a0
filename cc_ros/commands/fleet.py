"""Run the bags of a fleet: one after the other, or spread over a Ray cluster."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cc_ros.errors import CCError, SettingsError

Run = Callable[[argparse.Namespace], int]


def run_all(options: argparse.Namespace, sources: Sequence[str], run: Run) -> int:
    """Run every source into a folder of its own under ``--out`` (default ``runs``); return the worst exit status.

    :param run: runs one source, as its options say.
    :raises SettingsError: what cannot be told from one another.
    :raises CCError: the cluster cannot be used.
    """
    jobs = [argparse.Namespace(**{**vars(options), **one}) for one in _jobs(options, sources)]
    worst = 0
    for number, (job, (status, text)) in enumerate(_done(options.ray, jobs, run), 1):
        ended = f"failed ({status})" if status else "done"
        print(f"[{number} of {len(jobs)}] {job.sources[0]}: {ended}", flush=True)
        print("\n".join(f"  {line}" for line in text.splitlines()), flush=True)
        worst = max(worst, status)
        if status == 130:
            break
    return worst


def _jobs(options: argparse.Namespace, sources: Sequence[str]) -> list[dict[str, object]]:
    from cc_ros.sources.open import is_stream, source_name

    out = options.out or Path("runs")
    jobs: list[dict[str, object]] = []
    for source in sources:
        if is_stream(source) and len(sources) > 1:
            raise SettingsError(f"{source} is a live source, which never ends: run it alone")
        name = source_name(source)
        taken = [str(job["out"]) for job in jobs]
        number = 2
        where = out / name
        while str(where) in taken:  # bags of two robots may have one name
            where = out / f"{name}_{number}"
            number += 1
        jobs.append({"sources": [str(Path(source).resolve())], "out": where.resolve(), "ray": None, "quiet": True})
    return jobs


def _done(
    address: str | None, jobs: Sequence[argparse.Namespace], run: Run
) -> Iterator[tuple[argparse.Namespace, tuple[int, str]]]:
    if address is None:
        yield from ((job, _told(job, run)) for job in jobs)
        return
    from cc_ros.evaluation.cluster import spread

    def work(job: argparse.Namespace) -> tuple[int, str]:
        return _told(job, run)

    yield from spread(address, work, jobs)


def _told(job: argparse.Namespace, run: Run) -> tuple[int, str]:
    """Run one source; return its exit status and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = run(job)
        except CCError as error:
            return 1, f"{printed.getvalue()}{error}"
        except KeyboardInterrupt:
            return 130, printed.getvalue()
    return status, printed.getvalue()
