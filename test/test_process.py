"""What our processes ask of the C libraries beneath them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CODE = """
import json, resource, sys, threading
import numpy as np
from threadpoolctl import threadpool_info
if sys.argv[1] == "prepared":
    from cc_ros.process import prepare_process
    prepare_process()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def image():
    copies = [np.ones(900_000, np.uint8) for _ in range(4)]  # of a picture, on its way from the middleware

def images():
    global paged
    for rounds in (5, 50):
        before = faults()
        for _ in range(rounds):
            image()
        paged = faults() - before

thread = threading.Thread(target=images)  # threads have heaps of their own
thread.start(); thread.join()
blas = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
print(json.dumps([blas, paged]))
"""


def run(how: str) -> tuple[list[int], int]:
    blas, paged = json.loads(subprocess.check_output([sys.executable, "-c", CODE, how], timeout=60))
    return blas, paged


@pytest.mark.skipif(sys.platform != "linux", reason="the heap is that of glibc")
def test_a_prepared_process_has_one_blas_thread_and_keeps_the_memory_of_its_images() -> None:
    threads, paged = run("prepared")
    assert set(threads) <= {1}  # empty: another BLAS
    assert paged < 50  # pages in 50 rounds
    assert run("plain")[1] > 50 * 100
