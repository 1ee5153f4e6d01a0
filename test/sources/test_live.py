"""Cameras and streams as sources: a real HTTP server on loopback sends frames as network cameras do."""

from __future__ import annotations

import functools
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import pytest
from support.rig import cc_ros, scene, until

from cc_ros import cli
from cc_ros.errors import SourceError
from cc_ros.sources import open_source
from cc_ros.sources.open import is_stream, source_name

SIZE = (160, 120)


class Camera(BaseHTTPRequestHandler):
    """Sends JPEGs without end (multipart/x-mixed-replace); at ``/short`` three of them."""

    def do_GET(self) -> None:
        if not self.path.startswith(("/stream", "/short")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        stop: threading.Event = self.server.stop  # type: ignore[attr-defined]
        for i in range(3 if self.path == "/short" else 10_000):
            jpeg = cv2.imencode(".jpg", scene(i % 50, *SIZE))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            try:
                self.wfile.write(head + jpeg + b"\r\n")
            except OSError:
                return
            if stop.wait(0.02):
                return

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.stop = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.stop.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_frames_of_a_network_camera_come_with_the_time_of_day(serve: Any) -> None:
    with open_source(f"{serve(Camera)}/stream") as source:
        assert (source.live, source.length) == (True, None)
        stamps = []
        for frame in source:
            stamps.append(frame.stamp)
            assert frame.image.shape == (*SIZE[::-1], 3)
            if len(stamps) == 5:
                source.stop.set()
    assert len(stamps) == 5
    assert stamps == sorted(set(stamps))
    assert stamps[0] > 1_700_000_000


def test_frames_that_come_while_one_is_in_work_are_left_out_and_counted(serve: Any) -> None:
    with open_source(f"{serve(Camera)}/stream") as source:
        frames = iter(source)
        next(frames)
        until(lambda: source.skipped["frames that came while one was in work"] >= 5, 20)
        next(frames)
        source.stop.set()


def test_a_stream_that_ends_is_told(serve: Any) -> None:
    with open_source(f"{serve(Camera)}/short") as source:
        assert 1 <= len(list(source)) <= 3
        assert source.notes == ["the stream ended"]


def test_a_run_of_a_camera_ends_by_seconds(serve: Any, tmp_path: Path) -> None:
    arguments = ["run", f"{serve(Camera)}/stream", "--out", str(tmp_path), "--backend", "flow", "--quiet"]
    assert cli.main([*arguments, "--seconds", "0.5"]) == 0
    assert json.loads((tmp_path / "marks.json").read_text())["frames"] > 0


def test_a_run_of_a_camera_ends_by_ctrl_c(serve: Any, tmp_path: Path) -> None:
    arguments = ["run", f"{serve(Camera)}/stream", "--out", str(tmp_path), "--backend", "flow", "--quiet"]
    with cc_ros(*arguments) as program:
        until(lambda: len(list(tmp_path.glob("labels/*.png"))) > 3 or program.process.poll() is not None, 40)
        program.signal(signal.SIGINT)
        assert program.end() == 130, program.text
    assert json.loads((tmp_path / "marks.json").read_text())["frames"] > 3
    assert (tmp_path / "report.html").exists()


def test_a_recording_behind_an_address_is_read_frame_by_frame(serve: Any, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "walk.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
    for i in range(7):
        writer.write(scene(i, *SIZE))
    writer.release()

    class Files(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with open_source(f"{serve(functools.partial(Files, directory=str(tmp_path)))}/walk.avi") as source:
        assert not source.live
        assert len(list(source)) == 7


def test_what_cannot_be_opened_is_told_without_the_password(serve: Any) -> None:
    host = serve(Camera).removeprefix("http://")
    for address in (f"http://user:secret@{host}/nowhere?key=secret", "rtsp://user:secret@127.0.0.1:9/live"):
        with pytest.raises(SourceError, match=r"(nowhere|live) cannot be opened: nothing answers") as raised:
            open_source(address)
        assert "secret" not in str(raised.value)
    with pytest.raises(SourceError, match="cannot be opened: no camera there"):
        open_source("97")
    with pytest.raises(SourceError, match=r"does not exist.*is the camera connected\?"):
        open_source("/dev/video97")
    with pytest.raises(SourceError, match="is of a scheme that is not known"):
        open_source("gopher://camera/1")
    with pytest.raises(SourceError, match="for a live ROS topic use `cc-ros up --remap image:=TOPIC`"):
        open_source("/camera/color/image_raw")


def test_what_is_a_stream_and_how_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    assert [is_stream(s) for s in ("0", "7", "rtsp://a/b", "walk.mp4", "/dev/null")] == [True, False, True, False, True]
    assert source_name("rtsp://user:secret@10.0.0.2:554/live/ch0?key=secret") == "10.0.0.2_live_ch0"
    assert source_name("0") == "camera0"
    assert source_name("walk.mp4") == "walk"
