"""Write one of our benchmarks as a task of lmms-eval.

python -m cc_ros.evaluation.lmms scanqa --data DIR --out tasks
lmms-eval --model coarse_correspondences --tasks cc_scanqa --include_path tasks ...
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cc_ros.errors import CCError
from cc_ros.evaluation.benchmarks import BENCHMARKS, benchmark
from cc_ros.evaluation.lmms.tasks import write_task
from cc_ros.evaluation.metrics.java import coco_folder, find_java


def main(arguments: list[str] | None = None) -> int:
    """Write the task; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m cc_ros.evaluation.lmms", description=__doc__)
    parser.add_argument("benchmark", choices=tuple(BENCHMARKS))
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the benchmark's data")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for lmms-eval's --include_path")
    parser.add_argument("--split", default="", help="default: the usual one")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="at most so many questions; 0 = all")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw of --limit")
    options = parser.parse_args(arguments)
    captions = options.benchmark == "scanqa"
    try:
        if captions:  # before anything is asked and paid for
            find_java()
            coco_folder("meteor.meteor")
        made = benchmark(options.benchmark)
        questions = made.load(options.data, options.split, options.limit, options.seed)
        path = write_task(options.benchmark, questions, options.out, captions)
    except CCError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{path}: lmms-eval --model coarse_correspondences --tasks {path.stem} --include_path {options.out} ...")
    return 0


if __name__ == "__main__":
    sys.exit(main())
