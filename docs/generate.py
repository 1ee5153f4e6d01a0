"""Pages of the site that are made from the code when it is built: parameters, messages, commands, figures.

A hook of MkDocs (mkdocs.yml). Each function returns one page as Markdown.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- made by docs/generate.py -->\n\n"


def parameters() -> str:
    """Return every parameter of every node, from the settings that declare them."""
    from cc_ros.nodes.registry import NODES
    from cc_ros.nodes.registry import parameters as of

    lines = [
        "# Parameters",
        "",
        "Give them in a file (`cc-ros up --params-file cc.yaml`; `config/cc.yaml` holds all of them), one by one",
        "(`--param cc_tracker:queue:=100`), or as launch arguments (`cc_tracker.queue:=100`). `cc-ros run` takes the",
        "same settings as `--set GROUP.NAME=VALUE`. A value out of its range is refused with the reason. A value that",
        "is set while the node is active holds from the next activation on.",
    ]
    for node in NODES:
        lines += ["", f"## {node.name}", "", "| parameter | default | allowed | what it does |", "|---|---|---|---|"]
        for name, knob in of(node):
            shown = str(knob.default).lower() if knob.type is bool else str(knob.default)
            default = f"`{shown}`" if shown else ""
            lines.append(f"| `{name}` | {default} | {_allowed(knob)} | {_cell(knob.help)} |")
    return "\n".join(lines) + "\n"


def _allowed(knob: Any) -> str:
    if knob.choices:
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in knob.choices)
    if knob.ge is None and knob.le is None:
        return {bool: "true, false", str: "text"}.get(knob.type, "any")
    low, high = (None if bound is None else f"{bound:g}" for bound in (knob.ge, knob.le))
    return f"{low} to {high}" if low and high else f"{low} or more" if low else f"{high} or less"


def messages() -> str:
    """Return every message, service and action with its fields, from the interface files."""
    lines = [
        "# Messages",
        "",
        "The comments are part of the interfaces: `ros2 interface show cc_ros/srv/SpatialQuery` prints them as well.",
    ]
    for folder, parts in (("srv", ("Request", "Response")), ("action", ("Goal", "Result", "Feedback")), ("msg", ("",))):
        for path in sorted((ROOT / folder).iterdir()):
            blocks = re.split(r"^---$", path.read_text(), flags=re.MULTILINE)
            assert len(blocks) == len(parts), path
            lines += ["", f"## cc_ros/{folder}/{path.stem}"]
            for part, block in zip(parts, blocks, strict=True):
                lines += ["", *([f"**{part}**", ""] if part else []), *_interface(block)]
    return "\n".join(lines) + "\n"


def _interface(block: str) -> Iterator[str]:
    """Yield a block of an interface file: its first comment as text, constants and fields as a table."""
    rows: list[tuple[str, str, str]] = []
    for line in block.strip().splitlines():
        code, _, comment = line.partition("#")
        if not code.strip():
            if comment and not rows:
                yield comment.strip()
            continue
        kind, _, name = code.strip().partition(" ")
        rows.append((kind, name.strip(), comment.strip()))
    yield from ("", "| field | type | |", "|---|---|---|") if rows else ()
    for kind, name, comment in rows:
        yield f"| `{name}` | `{kind}` | {_cell(comment)} |"


def commands() -> str:
    """Return the help of every subcommand."""
    from cc_ros.cli import COMMANDS

    lines = ["# Commands", "", "`cc-ros COMMAND --help` prints the same."]
    for name in COMMANDS:
        module = importlib.import_module(f"cc_ros.commands.{name}")
        first, _, rest = (module.__doc__ or "").strip().partition("\n")
        parser = argparse.ArgumentParser(add_help=False)
        module.add_options(parser)
        # What the docstring indents are commands.
        text = "\n".join(f"  {line}" if line[:2] == "  " else _plain(line) for line in rest.splitlines())
        lines += ["", f"## cc-ros {name}", "", f"{first[:1].upper()}{first[1:]}.", "", text.strip("\n"), ""]
        lines += ["| option | |", "|---|---|"]
        for action in parser._actions:
            takes = "" if action.nargs == 0 or not action.option_strings else f" {_metavar(action)}"
            option = ", ".join(f"`{flag}{takes}`" for flag in action.option_strings) or f"`{_metavar(action)}`"
            lines.append(f"| {option} | {_cell((action.help or '') % {'default': action.default})} |")
    return "\n".join(lines) + "\n"


def _metavar(action: argparse.Action) -> str:
    if action.metavar:
        return str(action.metavar)
    return " or ".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _cell(text: str) -> str:
    """Return plain text as Markdown for a cell of a table."""
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Return plain text as Markdown; what stands in backquotes stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part[:1] == "`" else part.replace("*", r"\*").replace("<", "&lt;") for part in parts)


def _page(path: Path, links: dict[str, str]) -> Callable[[], str]:
    """Return what makes a page of a file outside ``docs``.

    :param links: where what it links to is in the site.
    """

    def page() -> str:
        text = path.read_text()
        for old, new in links.items():
            text = text.replace(f"]({old})", f"]({new})")
        return text

    return page


def changes() -> str:
    """Return the changelog, which is reStructuredText for the tools of ROS, as Markdown."""
    _, _, text = (ROOT / "CHANGELOG.rst").read_text().partition("\n\n")
    text = re.sub(r"^(.+)\n-+$", r"## \1\n", text, flags=re.MULTILINE)
    return "# Changes\n\n" + text.replace("``", "`")


PAGES: dict[str, Callable[[], str]] = {
    "reference/parameters.md": parameters,
    "reference/messages.md": messages,
    "reference/commands.md": commands,
    "about/figures.md": _page(ROOT / "benchmarks" / "RESULTS.md", {}),
    "about/contributing.md": _page(
        ROOT / "CONTRIBUTING.md",
        {
            "docs/architecture.md": "../architecture.md",
            "docs/design.md": "../design.md",
            "docs/guide/troubleshooting.md": "../guide/troubleshooting.md",
            "benchmarks/RESULTS.md": "figures.md",
        },
    ),
    "about/changes.md": changes,
}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made to those that are written."""
    from mkdocs.structure.files import File

    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=MADE + make()))
    return files


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Take the roles of reStructuredText off names in docstrings, such as ``:class:`` before a class."""
    return re.sub(r":(?:class|func|meth|mod|data):<code>(?:~[\w.]+\.)?([^<]*)</code>", r"<code>\1</code>", html)
