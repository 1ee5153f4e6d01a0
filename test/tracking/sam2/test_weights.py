from __future__ import annotations

import hashlib
import io
import logging
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from support.sam2_scene import random_model, torch

from cc_ros.errors import BackendError
from cc_ros.tracking.sam2 import weights
from cc_ros.tracking.sam2.loading import choose_device, load_predictor
from cc_ros.tracking.sam2.settings import Sam2Settings
from cc_ros.tracking.sam2.weights import RELEASES, load_weights, weights_here

SMALL = Sam2Settings(image_size=64, device="cpu", precision="fp32", threads=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save({"model": random_model(64).state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there


class Hub(ThreadingHTTPServer):
    """A hub on loopback with one small file, that can resume and break off."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        buffer = io.BytesIO()
        torch.save({"model": {"weight": torch.arange(20000.0)}}, buffer)
        self.content = buffer.getvalue()
        self.asked: list[tuple[str, str | None]] = []  # path and range of each request
        self.breaks_after: int | None = None  # bytes of an answer after which the connection ends
        self.resumes = True


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hub: Hub = self.server
        wanted = self.headers.get("Range")
        hub.asked.append((self.path, wanted))
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.resumes else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(hub.content) - begin))
        self.end_headers()
        self.wfile.write(hub.content[begin:][: hub.breaks_after])

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    release = replace(RELEASES["tiny"], sha256=hashlib.sha256(server.content).hexdigest())
    monkeypatch.setitem(weights.RELEASES, "tiny", release)
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def cached() -> list[str]:
    return sorted(path.name for path in RELEASES["tiny"].path.parent.iterdir())


def test_missing_weights_are_fetched_once_with_a_bar_checked_and_kept(hub, capsys, caplog):
    caplog.set_level(logging.INFO)
    assert not weights_here(SMALL)
    assert torch.equal(load_weights(SMALL)["weight"], torch.arange(20000.0))
    assert hub.asked == [("/facebook/sam2.1-hiera-tiny/resolve/main/sam2.1_hiera_tiny.pt", None)]
    assert "sam2.1_hiera_tiny.pt: 100%" in capsys.readouterr().err
    assert "fetching" in caplog.text
    assert weights_here(SMALL) and cached() == ["sam2.1_hiera_tiny.pt"]
    load_weights(SMALL)
    assert len(hub.asked) == 1


def test_a_download_that_broke_off_is_taken_up_where_it_did(hub):
    hub.breaks_after = 30000
    for _ in range(2):
        with pytest.raises(BackendError, match="try again"):
            load_weights(SMALL)
    assert not weights_here(SMALL)
    hub.breaks_after = None
    load_weights(SMALL)
    assert [asked for _, asked in hub.asked] == [None, "bytes=30000-", "bytes=60000-"]
    assert cached() == ["sam2.1_hiera_tiny.pt"]


def test_a_hub_that_does_not_resume_sends_all_again(hub):
    hub.breaks_after = 50000
    with pytest.raises(BackendError, match="broke off"):
        load_weights(SMALL)
    hub.breaks_after, hub.resumes = None, False
    load_weights(SMALL)


def test_a_download_that_ended_before_its_file_was_named_is_not_fetched_again(hub):
    path = RELEASES["tiny"].path
    path.parent.mkdir(parents=True)
    path.with_name(path.name + ".part").write_bytes(hub.content)
    load_weights(SMALL)
    assert not hub.asked and cached() == ["sam2.1_hiera_tiny.pt"]


def test_two_who_need_the_weights_at_once_fetch_them_once(hub):
    loaded = []
    threads = [threading.Thread(target=lambda: loaded.append(load_weights(SMALL))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(loaded) == 4 and len(hub.asked) == 1
    assert cached() == ["sam2.1_hiera_tiny.pt"]


def test_altered_weights_are_refused_and_not_kept(hub):
    hub.content = hub.content[:-1] + b"x"
    with pytest.raises(BackendError, match="not the official file"):
        load_weights(SMALL)
    assert cached() == []


def test_a_damaged_cache_says_to_delete_it(hub):
    load_weights(SMALL)
    path = weights.RELEASES["tiny"].path
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BackendError, match=r"sam2.1_hiera_tiny.pt .* delete it"):
        load_weights(SMALL)


def test_offline_says_what_to_do():
    with pytest.raises(BackendError, match=r"cannot fetch http://127.0.0.1:9/facebook/sam2.1-hiera-tiny.*'weights'"):
        load_weights(SMALL)
    with pytest.raises(BackendError, match="download is 'never'"):
        load_weights(replace(SMALL, download="never"))


def test_a_local_file_is_used(checkpoint):
    predictor = load_predictor(replace(SMALL, weights=str(checkpoint)))
    assert predictor.model.image_size == 64
    expected = torch.load(checkpoint, weights_only=True)["model"]
    assert all(torch.equal(v, expected[k]) for k, v in predictor.model.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut off"])
def test_a_broken_local_file_is_named(tmp_path, content):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"broken.pt' cannot be read"):
        load_weights(replace(SMALL, weights=str(path)))


@pytest.mark.filterwarnings("ignore")
def test_whatever_is_wrong_with_a_file_is_said_in_the_same_way(tmp_path):
    generator = np.random.default_rng(0)
    broken = 0
    path = tmp_path / "broken.pt"
    for zipped in (False, True):
        content = {"model": {"a": torch.ones(3, 4), "b": torch.arange(5)}}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        good = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(150):
            damaged = good[: generator.integers(1, len(good) + 1)].copy()
            damaged[generator.integers(0, len(damaged), 3)] = generator.integers(0, 256, 3)
            path.write_bytes(damaged.tobytes())
            try:
                load_weights(replace(SMALL, weights=str(path)))
            except BackendError as error:
                broken += 1
                assert "broken.pt" in str(error)
    assert broken > 200


def test_code_in_a_file_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "harmful.pt"
    torch.save({"model": Harmful()}, path)
    with pytest.raises(BackendError, match="cannot be read"):
        load_weights(replace(SMALL, weights=str(path)))
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_size_and_other_files_are_refused(tmp_path, checkpoint):
    with pytest.raises(BackendError, match="of that size"):
        load_predictor(replace(SMALL, weights=str(checkpoint), model="small"))
    other = tmp_path / "other.pt"
    torch.save({"state": {}}, other)
    with pytest.raises(BackendError, match="no 'model'"):
        load_weights(replace(SMALL, weights=str(other)))
    for name in (str(tmp_path / "absent.pt"), str(tmp_path), "~nobody-of-that-name/tiny.pt"):
        with pytest.raises(BackendError, match="is no file"):
            load_weights(replace(SMALL, weights=name))


def test_devices_and_sizes_that_cannot_be_are_refused(checkpoint):
    assert choose_device("cpu").type == "cpu"
    for name in ("toaster", "cuda:99"):
        with pytest.raises(BackendError, match=f"device '{name}'"):
            choose_device(name)
    with pytest.raises(BackendError, match="multiple of 64"):
        load_predictor(replace(SMALL, weights=str(checkpoint), image_size=100))
