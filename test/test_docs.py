"""The documentation says what is so: its links, files, commands, messages and examples are those of the code."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import yaml

from cc_ros import cli
from cc_ros.commands import ask

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PLACES = (ROOT, ROOT / "cc_ros", ROOT / "cc_ros" / "tracking", ROOT / "cc_ros" / "reasoning")
OURS = {path.name for place in PLACES for path in place.iterdir() if path.is_dir()} - {"runs", "keyframes"}


def nav(entries: list) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from nav(value) if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def site() -> list[str]:
    return list(nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    pytest.importorskip("rclpy")
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_and_there(site: list[str], generate: ModuleType) -> None:
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert sorted(site) == sorted(written | set(generate.PAGES))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path, site: list[str]) -> None:
    made = {(DOCS / name).resolve() for name in site}
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            path = (page.parent / target).resolve()
            assert path.exists() or path in made, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for name in re.findall(r"`([a-z]\w+/(?:[\w/]*/)?(?:\w+\.py|\w+\.srv|\w+\.action)?)`", page.read_text()):
        if name.split("/")[0] in OURS:
            assert any((place / name).exists() for place in PLACES), name


def commands() -> Iterator[str]:
    for page in PAGES:
        for line in re.findall(
            r"^    (?:ros2 run cc_ros )?(cc-ros .+)$|`(cc-ros [^`]+)`", page.read_text(), re.MULTILINE
        ):
            yield re.sub(r"\s+", " ", "".join(line))


@pytest.mark.parametrize("line", sorted({line for line in commands() if len(line.split()) > 2}))
def test_every_command_that_is_shown_is_taken(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line, comments=True)[1:]
    for name in cli.COMMANDS:
        monkeypatch.setattr(importlib.import_module(f"cc_ros.commands.{name}"), "main", lambda options: 0)
    assert cli.main(words) == 0


def test_every_message_of_the_troubleshooting_page_is_said_by_the_code() -> None:
    page = (DOCS / "guide" / "troubleshooting.md").read_text()
    code = ""
    for path in (ROOT / "cc_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                code += f"{node.value}\n"
                code += re.sub(r"%\w", "…", node.value) + "\n"
            elif isinstance(node, ast.JoinedStr):
                code += "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values) + "\n"
    messages = re.findall(r"^### `([^`]{7,})`$", page, re.MULTILINE)
    assert len(messages) > 20
    for message in messages:
        assert re.search(re.escape(message).replace("…", ".*"), code), message


def test_every_status_on_the_troubleshooting_page_is_one() -> None:
    from cc_ros.reasoning import Status

    page = (DOCS / "guide" / "troubleshooting.md").read_text()
    named = {
        name for line in re.findall(r"^### Status (.+)$", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert named and named <= {status.name for status in Status}


def test_every_parameter_field_and_option_is_on_a_page(generate: ModuleType) -> None:
    from cc_ros.nodes.registry import NODES, parameters

    page = generate.parameters()
    for node in NODES:
        section = page[page.index(f"## {node.name}") :]
        assert all(f"| `{name}` |" in section for name, _ in parameters(node))
    page = generate.messages()
    for path in (path for folder in ("msg", "srv", "action") for path in (ROOT / folder).iterdir()):
        section = page.partition(f"## cc_ros/{path.parent.name}/{path.stem}\n")[2].partition("\n## ")[0]
        lines = [line.partition("#")[0].split(maxsplit=1) for line in path.read_text().splitlines()]
        fields = [line[1].strip() for line in lines if len(line) == 2]
        assert fields and all(f"| `{field}` |" in section for field in fields), path
    page = generate.commands()
    assert all(f"## cc-ros {name}\n" in page for name in cli.COMMANDS)
    assert "`--init-mask PNG`" in page and "## 0.1.0" not in generate.changes()


def test_every_kind_and_style_of_question_is_explained() -> None:
    from cc_ros.reasoning import Kind, Style

    page = (DOCS / "guide" / "questions.md").read_text()
    assert all(f"| `{kind.value}` |" in page for kind in Kind)
    assert all(f"`{style.value}`" in page for style in Style)
    parser = argparse.ArgumentParser()
    ask.add_options(parser)
    told = {action.dest: re.findall(r"\w+", action.help or "") for action in parser._actions}
    assert {kind.value for kind in Kind} <= set(told["kind"]), "the help of `cc-ros ask --kind`"
    assert {style.value for style in Style} <= set(told["style"]), "the help of `cc-ros ask --style`"


def test_every_question_about_marks_that_is_shown_is_understood_and_every_query_is_shown() -> None:
    from cc_ros.geometry.queries import Query
    from cc_ros.reasoning.measured.questions import read

    page = (DOCS / "guide" / "questions.md").read_text()
    section = page.partition("## About marks")[2].partition("- A sentence is understood")[0]
    shown = {text: read(text) for text in re.findall(r'"([^"]+)"', " ".join(section.split())) if " " in text}
    names = {"mark 3", "object 3", "number 3"}
    assert [text for text, query in shown.items() if query is None and text not in names] == []
    assert {type(query) for query in shown.values()} - {type(None)} == set(get_args(Query))
    for text in re.findall(r'"([^"]+)"', page.partition("- A sentence is understood")[2].partition("\n- ")[0]):
        assert read(text) is None, text


def test_every_preset_is_on_the_page_of_models() -> None:
    from cc_ros.reasoning.llm.presets import PRESETS

    page = (DOCS / "guide" / "models.md").read_text()
    shown = {"openai": "OPENAI_API_KEY", "compatible": "--base-url"}
    assert all(shown.get(name, f"--preset {name}") in page for name in PRESETS)


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.+?)```", (DOCS / "guide" / "client.md").read_text(), re.DOTALL)
)
def test_the_examples_of_the_client_are_python_and_call_what_there_is(block: str) -> None:
    pytest.importorskip("rclpy")
    from cc_ros.client import Place, SpatialMemory
    from cc_ros.geometry.evaluate import Found
    from cc_ros.geometry.outcome import Unknown
    from cc_ros.reasoning import MarkPlace

    has = {"memory": (SpatialMemory,), "place": (Place, MarkPlace), "found": (Found, Unknown)}
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in has:
            assert any(hasattr(kind, node.attr) for kind in has[node.value.id]), node.attr
