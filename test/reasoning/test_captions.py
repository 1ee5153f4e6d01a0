"""Captions and vectors of a memory's keyframes: by models that a user configures, and by none otherwise."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.model_server import Hang, HttpStatus, ModelServer, Say, reply
from support.remembered import BEGIN, fill, plain

from cc_ros.commands.answers import remembering
from cc_ros.errors import SettingsError
from cc_ros.keyframes import KeyframeRequest
from cc_ros.memory import Memory, MemoryReader, MemorySettings, database
from cc_ros.memory.captions import words_of
from cc_ros.memory.forgetting import compact, export, forget
from cc_ros.reasoning import Question, Reasoner, ReasonerSettings
from cc_ros.reasoning.captions import WAITING, captioning
from cc_ros.reasoning.settings import CaptionSettings

SEEN = ("A red box on a shelf.", "A green plant.", "An empty floor.", "A couch by the wall.", "A door.", "A grey wall.")
GROUPS = ({"sofa", "couch"}, {"box", "parcel"}, {"plant"}, {"door"}, {"floor"}, {"wall"})


def meaning(text: str) -> list[float]:
    """Return a vector in which words that mean the same are the same."""
    words = set(words_of(text))
    return [0.05, *(float(len(words & group)) for group in GROUPS)]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as one:
        one.embeds(meaning)
        yield one


def opened(path: Path, server: ModelServer, embedding: str = "", **settings: object) -> Memory:
    models = {"caption_model": "eyes", "embedding_model": embedding, "base_url": server.base_url}
    captions = CaptionSettings(**models | {"captions_per_minute": 600.0} | settings)  # type: ignore[arg-type]
    return Memory(MemorySettings(memory_dir=str(path)), captioning(captions, environ={}))


def remember(memory: Memory, seconds: int, apart: float = 10.0, wait: bool = True) -> None:
    memory.new_episode()
    for index in range(seconds):
        memory.offer(plain(index, apart * index), BEGIN)
        assert not wait or memory.flush(30)


def stamps(memory: Memory, words: str, frames: int = 2) -> set[int]:
    found = memory.frames(KeyframeRequest(since=1.0, words=words), frames)
    return {round(frame.stamp - BEGIN) for frame in found}


def test_what_keyframes_show_is_found_by_words_and_by_meaning(server: ModelServer, tmp_path: Path) -> None:
    server.script(*SEEN)
    memory = opened(tmp_path, server, "vectors")
    remember(memory, len(SEEN))
    _, figures = memory.health()
    assert (figures["captions"], figures["caption_requests"]) == (len(SEEN), 2 * len(SEEN))
    assert server.embedded == list(SEEN) and [len(one.images) for one in server.received] == [1] * len(SEEN)
    assert 0 in stamps(memory, "Where did I leave the red box?") and 10 in stamps(memory, "plants")
    assert 30 in stamps(memory, "Is there a sofa?"), "no caption has that word"
    asked = len(server.embedded)
    assert 30 in stamps(memory, "Is there a sofa?") and len(server.embedded) == asked, "a question is embedded once"
    server.embeds(HttpStatus(401, "no"))
    assert 0 in stamps(memory, "a red parcel"), "by its words alone"
    assert "words alone" in memory.health()[0]
    memory.close()
    ((kind, size, models),) = rows(
        tmp_path, "SELECT DISTINCT typeof(embedding), length(embedding), embedder FROM captions"
    )
    assert (kind, size, models) == ("blob", 2 * (1 + len(GROUPS)), "vectors"), "float16"


def test_a_question_in_words_is_answered_from_the_pictures_whose_captions_fit(
    server: ModelServer, tmp_path: Path
) -> None:
    server.script(*SEEN * 5)
    memory = opened(tmp_path, server)
    remember(memory, 5 * len(SEEN))
    server.always(reply("on the shelf"))
    settings = ReasonerSettings(base_url=server.base_url, model="any", frames=4)
    with Reasoner(settings, environ={}, now=lambda: BEGIN + 400) as reasoner:
        answer = reasoner.ask(Question("Where did I leave the red box?"), remembering(memory))
        assert answer.text == "on the shelf"
        sent = server.received[-1].images
        last = memory.frames(KeyframeRequest(since=BEGIN + 239.5, until=BEGIN + 240.5), 1)[0].image()
        assert any(np.abs(decoded(jpeg)[-8:].astype(int) - last[-8:]).max() < 3 for jpeg in sent), (
            "when it was seen last"
        )
    memory.close()


def decoded(jpeg: bytes) -> np.ndarray:
    import cv2

    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def rows(path: Path, query: str) -> list[tuple]:
    with sqlite3.connect(path / database.FILE) as db:
        return db.execute(query).fetchall()


def test_without_a_configured_model_none_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert captioning(CaptionSettings()) is None
    with pytest.raises(SettingsError, match="needs caption_model"):
        captioning(CaptionSettings(embedding_model="vectors"))


def test_a_model_whose_key_is_missing_is_told_at_once(tmp_path: Path) -> None:
    make = captioning(CaptionSettings(caption_model="eyes"), environ={})
    with pytest.raises(SettingsError, match=r"caption_model 'eyes' cannot be asked without a key.*OPENAI_API_KEY"):
        Memory(MemorySettings(memory_dir=str(tmp_path)), make)


@pytest.mark.parametrize(("own", "sent"), [({}, {""}), ({"embedding_key_env": "OTHER"}, {"key-of-the-other"})])
def test_the_key_of_the_caption_model_is_not_sent_to_another_server(
    server: ModelServer, tmp_path: Path, own: dict[str, str], sent: set[str]
) -> None:
    environ = {"EYES": "key-of-the-eyes", "OTHER": "key-of-the-other"}
    with ModelServer() as other:
        other.embeds(meaning)
        settings = CaptionSettings(
            caption_model="eyes",
            embedding_model="vectors",
            base_url=server.base_url,
            embedding_base_url=other.base_url,
            key_env="EYES",
            **own,
        )
        memory = Memory(MemorySettings(memory_dir=str(tmp_path)), captioning(settings, environ))
        server.script(SEEN[0])
        remember(memory, 1)
        memory.close()
        assert server.received[-1].headers["authorization"] == "Bearer key-of-the-eyes"
        assert other.embedding_keys == sent


def test_a_slow_model_gets_the_newest_keyframes_in_their_order(server: ModelServer, tmp_path: Path) -> None:
    server.script(Say("the first", before=1.5))
    server.always(lambda body: "another")
    memory = opened(tmp_path, server)
    remember(memory, 1, wait=False)
    until(lambda: len(server.received) == 1)
    begun = time.monotonic()
    for index in range(1, WAITING + 5):
        memory.offer(plain(index, float(index)), BEGIN)
        assert memory._written(10)
    assert time.monotonic() - begun < 10 and memory.flush(30)
    _, figures = memory.health()
    assert figures["captions_dropped_model_too_slow"] == 4 and figures["captions"] == 1 + WAITING
    memory.close()
    kept = [
        row
        for (row,) in rows(
            tmp_path, "SELECT stamp FROM captions JOIN keyframes ON id = keyframe ORDER BY captions.rowid"
        )
    ]
    assert [round(stamp - BEGIN) for stamp in kept] == [0, *range(5, WAITING + 5)]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_no_more_captions_are_made_than_allowed(server: ModelServer, tmp_path: Path) -> None:
    server.always(lambda body: "a room")
    memory = opened(tmp_path, server, captions_per_minute=6.0)
    remember(memory, 60, apart=1.0)
    memory.close()
    assert len(server.received) == 6


def test_faults_are_retried_told_and_cost_one_caption(server: ModelServer, tmp_path: Path) -> None:
    server.script(HttpStatus(503), "after a retry", HttpStatus(401, "wrong key"), "again", "   ")
    memory = opened(tmp_path, server)
    remember(memory, 2)
    assert "wrong key" in memory.health()[0]
    memory.offer(plain(2, 20.0), BEGIN)
    assert memory.flush(30) and not memory.health()[0]
    memory.offer(plain(3, 30.0), BEGIN)
    assert memory.flush(30) and "said nothing" in memory.health()[0]
    figures = memory.health()[1]
    memory.close()
    assert (figures["captions"], figures["caption_errors"], figures["memory_keyframes"]) == (2, 2, 4)
    with MemoryReader(tmp_path) as reader:
        assert [one.caption for one in reader.captions()] == ["again", "after a retry"]


def test_closing_does_not_wait_for_a_model_that_hangs(server: ModelServer, tmp_path: Path) -> None:
    server.always(Hang())
    memory = opened(tmp_path, server)
    remember(memory, 1, wait=False)
    until(lambda: bool(server.received))
    begun = time.monotonic()
    memory.close()
    assert time.monotonic() - begun < 5


def test_captions_are_exported_and_go_with_their_keyframes(server: ModelServer, tmp_path: Path) -> None:
    server.script(*SEEN)
    path = tmp_path / "memory"
    memory = opened(path, server, "vectors")
    remember(memory, len(SEEN))
    memory.close()
    export(path, tmp_path / "out", KeyframeRequest(until=BEGIN + 11))
    told = json.loads((tmp_path / "out" / "memory.json").read_text())["captions"]
    assert sorted(one["caption"] for one in told) == sorted(SEEN[:2])
    forget(path, KeyframeRequest(until=BEGIN + 5))
    compact(path)
    with MemoryReader(path) as reader:
        assert len(reader.captions()) == len(SEEN) - 1 and not reader.captions("shelf")
        assert [one.caption for one in reader.captions("plants")] == [SEEN[1]]
    assert b"shelf" not in b"".join(file.read_bytes() for file in path.glob("memory.db*"))


def test_a_memory_from_before_captions_is_brought_up_to_date(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(database, "MIGRATIONS", {1: database.MIGRATIONS[1]})
        database.open_database(tmp_path, create=True).close()
        assert rows(tmp_path, "PRAGMA user_version") == [(1,)]
    fill(tmp_path, 2)
    with MemoryReader(tmp_path) as reader:
        assert reader.captions() == [] and len(reader.frames(KeyframeRequest(since=1.0, words="a box"), 8)) == 2
    memory = opened(tmp_path, server)
    server.always(lambda body: "a box")
    remember(memory, 1)
    assert stamps(memory, "box", 1) == {0}
    memory.close()
