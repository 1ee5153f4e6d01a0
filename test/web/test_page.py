"""The live page in a real browser, against running nodes."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("uvicorn")
pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright, which is not installed")

import rclpy
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sensor_msgs.msg import Image
from support.model_server import Hang, ModelServer, Say, reply
from support.rig import START, Onlooker, Program, cc_ros, image_of, isolated, scene, until

from cc_ros.dds import prepare
from cc_ros.nodes.registry import NODES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
EVIL = '<img src=x onerror="document.title=1"> & <b>two</b> chairs'
SIZE = (320, 240)
PHONE = {"width": 390, "height": 844}
SLOW = START * 1000  # milliseconds, as Playwright counts


@contextmanager
def camera() -> Iterator[None]:
    """Publish five pictures a second."""
    with isolated():
        prepare()
        context = rclpy.Context()
        rclpy.init(context=context)
        look = Onlooker(context, "camera")
        publisher, end = look.publisher(Image, "image"), threading.Event()

        def publish() -> None:
            for index in range(1 << 30):
                publisher.publish(image_of(scene(index % 90, *SIZE), time.time_ns()))
                if end.wait(0.2):
                    return

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join(10)
            look.close()
            rclpy.shutdown(context=context)


@contextmanager
def nodes(server: ModelServer, *options: str) -> Iterator[Program]:
    settings = ["--param", "cc_reasoner:cache_seconds:=0", "--param", "cc_keyframes:publish_period:=0.3"]
    with cc_ros(
        "up", "--backend", "flow", "--base-url", server.base_url, "--model", "m", *settings, *options
    ) as program:
        yield program


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def ask(page: Page, question: str) -> Locator:
    """Ask, and return the card of the question."""
    page.fill("#text", question)
    page.click("#ask")
    return page.locator("#answers article").first


@pytest.mark.timeout(300)
def test_a_browser_sees_asks_cancels_and_survives_a_restart(browser: Browser, server: ModelServer) -> None:
    faults: list[str] = []
    with ExitStack() as stack:
        web = stack.enter_context(cc_ros("web", "--port", "0", "--token", "secret"))
        stack.enter_context(camera())
        running = stack.enter_context(nodes(server))
        web.wait_for("open http://")
        running.wait_for("active after", 2 * START)
        address = web.text.split("open ")[1].split("/,")[0]
        page = browser.new_page(viewport=PHONE)
        page.set_default_timeout(SLOW)
        expect.set_options(timeout=SLOW)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(f"{address}/?token=secret")
        assert page.url == f"{address}/" and "secret" not in page.content()

        sees(page)
        asks(page, server)
        cancels(page, server)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

        running.signal(signal.SIGKILL)
        card = ask(page, "Is anybody there?")
        expect(page.locator("#nodes .missing")).to_have_count(len(NODES))
        expect(card.locator(".error")).to_contain_text("cc_reasoner")
        again = stack.enter_context(nodes(server, "--web", "0"))  # and a second page
        again.wait_for("active after", 2 * START)
        sees(page)
        server.always(reply("back again"))
        expect(ask(page, "Are you back?").locator(".answer")).to_have_text("back again")
        again.wait_for("open http://127.0.0.1:")
        assert faults == []


def sees(page: Page) -> None:
    expect(page.locator("#nodes .ok")).to_have_count(len(NODES))
    expect(page.locator(".live.on img")).to_have_js_property("naturalWidth", SIZE[0])
    marked = page.locator("#frames figure:not([data-marks='']) img")
    expect(marked.first).to_have_js_property("naturalWidth", SIZE[0])
    assert "marks on objects" in str(marked.first.get_attribute("alt"))
    expect(page.locator("#timeline rect").first).to_be_attached()


def asks(page: Page, server: ModelServer) -> None:
    server.script(Say(reply(EVIL, confidence=0.75), pause=0.02))
    card = ask(page, "What stands in the corner?")
    expect(card.locator(".answer")).to_have_text(EVIL)
    expect(card.locator(".facts")).to_contain_text("confidence 75 %")
    expect(card.locator("figure").first).to_be_visible()
    assert "What stands in the corner?" in card.locator("pre").text_content()
    assert page.title() == "cc_ros live" and not card.locator("b").count()


def cancels(page: Page, server: ModelServer) -> None:
    server.script(Hang())
    before = len(server.received)
    card = ask(page, "Will this take long?")
    until(lambda: len(server.received) > before, START, "the model was not asked")
    card.get_by_text("Cancel").click()
    expect(card.locator(".error")).to_have_text("Cancelled.")
    assert server.wait_idle(), "the request goes on"
