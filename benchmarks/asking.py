"""What asking costs on our side: from the question to the request's bytes on the wire.

    python benchmarks/asking.py [--frames 8] [--width 1280] [--height 720] [--rounds 20] [--max-side 1280]

Every round asks about new pictures, so nothing is kept from the round before. The server is another process; it notes
when the first and the last byte of the request arrive, and answers at once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import time
from multiprocessing.connection import Connection

import cv2
import numpy as np

from cc_ros.keyframes.types import Mark, MarkedKeyframe
from cc_ros.reasoning import Question, Reasoner, ReasonerSettings

REPLY = json.dumps({"answer": "left", "marks": [1], "confidence": 0.9, "reason": "seen"})


def serve(report: Connection) -> None:
    """Answer every request; report when its first and last bytes came."""
    listener = socket.create_server(("127.0.0.1", 0))
    report.send(listener.getsockname()[1])
    content = {"choices": [{"index": 0, "delta": {"content": REPLY}, "finish_reason": "stop"}]}
    events = f"data: {json.dumps(content)}\n\ndata: [DONE]\n\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(events)}\r\n\r\n".encode()
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = connection.recv(1 << 20)
        while data:
            first = time.monotonic()
            while b"\r\n\r\n" not in data:
                data += connection.recv(1 << 20)
            headers, _, body = data.partition(b"\r\n\r\n")
            length = int(headers.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            received = len(body)
            while received < length:
                received += len(connection.recv(1 << 20))
            report.send((first, time.monotonic(), length))
            connection.sendall(head + events)
            data = connection.recv(1 << 20)


def keyframes(count: int, width: int, height: int, rng: np.random.Generator) -> list[MarkedKeyframe]:
    """Pictures with as much detail as a camera's."""
    frames = []
    for index in range(count):
        image = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8), (width, height))
        jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        marks = tuple(Mark(id, 50.0 * id, 100.0, 900) for id in range(1, 9))
        frames.append(MarkedKeyframe(index, float(index), jpeg, width, height, marks))
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--max-side", type=int, default=1280)
    options = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    settings = ReasonerSettings(base_url=f"http://127.0.0.1:{ours.recv()}/v1", max_image_side=options.max_side)
    rng = np.random.default_rng(0)
    rows = []
    with Reasoner(settings, environ={}) as reasoner:
        for number in range(options.rounds + 2):
            frames = keyframes(options.frames, options.width, options.height, rng)
            start = time.monotonic()
            answer = reasoner.ask(Question("Is mark 1 to the left or to the right of mark 2?"), frames)
            end = time.monotonic()
            first, last, length = ours.recv()
            if not answer.ok:
                raise SystemExit(f"no answer: {answer.message}")
            if number >= 2:  # the first question also waits for the import of openai
                rows.append((1e3 * (first - start), 1e3 * (last - start), 1e3 * (end - last), length / 1e6))
    server.terminate()
    server.join()
    print(f"{options.frames} frames of {options.width}x{options.height}, sent at most {options.max_side} px wide")
    for name, values in zip(
        ("first byte", "last byte", "answer after last byte"), zip(*rows, strict=True), strict=False
    ):
        print(f"{name:24s} median {statistics.median(values):6.1f} ms   worst {max(values):6.1f} ms")
    print(f"{'request':24s} {statistics.median(row[3] for row in rows):6.2f} MB")


if __name__ == "__main__":
    main()
