from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sam2_scene import random_model, torch

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


@pytest.fixture
def hub(tmp_path, checkpoint, monkeypatch):
    """A hub on loopback that serves a small checkpoint, and a release that points to it."""
    release = replace(RELEASES["tiny"], sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest())
    served = tmp_path / "hub" / release.repository / "resolve" / "main" / release.file
    served.parent.mkdir(parents=True)
    served.write_bytes(checkpoint.read_bytes())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "hub"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setitem(weights.RELEASES, "tiny", release)
    yield served
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_missing_weights_are_fetched_once_checked_and_kept(hub):
    assert not weights_here(SMALL)
    load_predictor(SMALL)
    assert weights_here(SMALL)
    hub.unlink()
    load_predictor(SMALL)


def test_altered_weights_are_refused_and_not_kept(hub):
    hub.write_bytes(hub.read_bytes()[:-1] + b"x")
    with pytest.raises(BackendError, match="not the official file"):
        load_weights(SMALL)
    assert list(RELEASES["tiny"].path.parent.iterdir()) == []


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
    with pytest.raises(BackendError, match="is no file"):
        load_weights(replace(SMALL, weights=str(tmp_path / "absent.pt")))


def test_devices_and_sizes_that_cannot_be_are_refused(checkpoint):
    assert choose_device("cpu").type == "cpu"
    for name in ("toaster", "cuda:99"):
        with pytest.raises(BackendError, match=f"device '{name}'"):
            choose_device(name)
    with pytest.raises(BackendError, match="multiple of 64"):
        load_predictor(replace(SMALL, weights=str(checkpoint), image_size=100))
