"""Where a model's thoughts end and its answer begins.

Models that reason leave their thoughts in the text in many spellings, often with only the closing tag, and now and then
without any. Whatever comes before the last end of thought is thought; thoughts that do not end leave no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

MAX_BOXES = 50
MAX_BROKEN_OBJECTS = 200  # braces tried before a text counts as broken: each may cost a look at all that follows

# A tag is told by the words in its name: <think>, <|begin_of_thought|>, <seed:think>, [THINK], ◁think▷, 【思考】, ...
_TAG = re.compile(
    r"(?:<|＜|◁|【|&lt;)([^<>＜＞◁▷【】&\n]{1,80}?)(?:>|＞|▷|】|&gt;)|\[(\s*/?\s*[A-Za-z][A-Za-z_ ]{2,40})\]"
)
_ATTRIBUTE = re.compile(r"""[\w-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'/|]+)""")
_THOUGHT = re.compile(
    r"think|thought|reason|reflect|analy[sz]|scratch|ponder|deliberat|monologue|rationale|critique"
    r"|思考|思维|思維|推理|反思|pensée|pensa|raison|réflex|razon|denken|überleg|ragion|мысл|размыш"
)
_THOUGHT_WORDS = {"cot", "plan", "planning", "details", "unused94", "unused95", "ctrl94", "ctrl95"}
_ANSWER_WORDS = {"answer", "box", "boxed", "final", "response", "solution", "output", "result", "reply", "conclusion"}
_END_WORDS = {"end", "close", "stop", "finish", "unused95", "ctrl95"}
_SMALL_WORDS = {"begin", "start", "of", "the", "my", "internal", "inner", "chain", "process", "token", *_END_WORDS}
# What chat templates put around a turn; it says nothing.
_NOISE = re.compile(
    r"<\|?\s*start\s*\|?>\s*assistant|<\|constrain\|>\s*json|<\|?(?:start|end|message|return|call|im_start|im_end|eot_id|eom_id|"
    r"endoftext|end_of_text|begin_of_text|assistant|end_of_turn|turn|eos|bos|s)\|?>|</s>|<｜[^<>]{1,40}｜>",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"<(\|?)\s*channel\s*(\|?)>\s*(\w*)", re.IGNORECASE)
_SPOKEN_MARKS = re.compile(
    r"(?P<open>here(?:'s| is) my thought process\s*:|here are my reasoning steps\s*:|\A\s*analysis(?=[A-Z]))"
    r"|(?P<close>here(?:'s| is) my response\s*:|assistantfinal)"
    r"|(?P<final>^[ \t*#>_]*(?:(?:(?:so|thus|therefore),?\s+)?(?:my |the )?final (?:answer|response|reply)(?: is)?"
    r"|最终答案|最終答案)[*_]*\s*[:：][*_]*)",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\{1,4}(?:boxed|fbox)\s*\{")
_IN_BOX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|texttt)\s*\{([^{}]*)\}")
_FENCED_THOUGHT = re.compile(r"```[ \t]*(?:think(?:ing)?|thoughts?|reasoning)\b", re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*(\w?)")
_FENCES = re.compile(r"(?:```|~~~)[ \t]*(?:json\w*|(?:text|txt|yaml|markdown|md|python)(?=\s))?", re.IGNORECASE)
_BEGUN_TAG = re.compile(r"(?:[<＜◁][^<>＜＞◁▷\n]{0,40}|\[/?[A-Z_ ]{0,20}|\\[a-z]{0,6})\Z")


class _Mark(Enum):
    OPEN = "a thought begins"
    CLOSE = "a thought ends"
    ANSWER = "an answer begins"
    ANSWERED = "an answer ends"
    FINAL = "the words 'final answer'"


@dataclass(frozen=True, slots=True)
class Piece:
    """A possible answer: a JSON object, or words where there is none.

    :param start: where it begins in the text.
    :param end: where it ends.
    :param fields: of the object, None for words.
    :param words: the text, without tags.
    """

    start: int
    end: int
    fields: dict[str, Any] | None
    words: str


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a model says, its thoughts left out.

    :param pieces: what may be its answer, in order; several where it does not say which is final.
    :param before: what else it says before the last of them, drafts included.
    :param after: what it says after the last of them.
    :param thinking: whether the text ends within a thought; there are no pieces then.
    :param thought: whether there were any thoughts.
    :param text: all after the last thought.
    """

    pieces: tuple[Piece, ...]
    before: str
    after: str
    thinking: bool
    thought: bool
    text: str


def spoken(text: str) -> Spoken:
    """Tell a model's answer from its thoughts.

    >>> spoken("Maybe left? No.</think> right").text
    'right'

    :param text: whole reply.
    """
    text = _unboxed(text)
    text = _unfenced(text)
    begin, thinking, thought = 0, False, False
    marks: list[tuple[_Mark, int, int]] = []
    objects: list[Piece] = []
    for mark, start, end, fields in _scan(text):
        if mark is None:
            objects.append(Piece(start, end, fields, ""))
        elif mark in (_Mark.OPEN, _Mark.CLOSE):
            thinking, thought = mark is _Mark.OPEN, True
            if not thinking:
                begin = end
                marks.clear()
                objects.clear()
        else:
            marks.append((mark, start, end))
    if thinking:
        return Spoken((), "", "", True, True, "")
    return _answer(text, begin, marks, objects, thought)


def plain(text: str) -> tuple[str, bool]:
    """Return a field's text without thoughts, and whether its tags are in order: none alone, and none left open."""
    marks = [mark for mark, *_ in _scan(text, objects=False) if mark in (_Mark.OPEN, _Mark.CLOSE)]
    if not marks:
        return _tidy(text), True
    even = marks == [_Mark.OPEN, _Mark.CLOSE] * (len(marks) // 2)
    said = spoken(text)
    return _tidy(said.text), even and not said.thinking


def without_begun_tag(text: str) -> str:
    """Return unfinished text without an end that may become a tag."""
    return _BEGUN_TAG.sub("", text)


def _scan(text: str, objects: bool = True) -> Iterator[tuple[_Mark | None, int, int, dict[str, Any] | None]]:
    """Yield marks, and objects with None for their mark, in order; no object is looked for within a thought.

    What looks like a tag in a string of a whole object is part of the object.
    """
    marks = sorted(_marks(text), key=lambda found: found[1])
    at, broken = 0, 0
    opened: list[str] = []  # names of the tags of the thought, the outermost first
    braces = text.find("{") if objects else -1
    number = 0
    while True:
        while number < len(marks) and marks[number][1] < at:
            number += 1
        following = marks[number][1] if number < len(marks) else len(text)
        if 0 <= braces < at:
            braces = text.find("{", at)
        if 0 <= braces < following and not opened and broken < MAX_BROKEN_OBJECTS:
            found = _object_at(text, braces)
            if found is None:
                broken += 1
                at = braces + 1
            else:
                yield None, braces, found[1], found[0]
                at = found[1]
            continue
        if number == len(marks):
            return
        mark, start, end, name = marks[number]
        number, at = number + 1, end
        if mark is _Mark.OPEN:
            opened.append(name)
        elif mark is _Mark.CLOSE:
            if name in opened[1:] and name != opened[0]:  # a thought within a thought ends
                del opened[opened.index(name) :]
                continue
            opened.clear()
        yield mark, start, end, None


def _marks(text: str) -> Iterator[tuple[_Mark, int, int, str]]:
    """Yield what each tag means, where it is, and the name of a thought's."""
    for tag in _TAG.finditer(text):
        mark, name = _meaning(tag)
        if mark is _Mark.ANSWER and {"begin", "final"} <= set(name.split()):  # Apriel's, whose thoughts have no tags
            yield _Mark.CLOSE, tag.start(), tag.start(), ""
        if mark is not None:
            yield mark, *tag.span(), name
    for channel in _CHANNEL.finditer(text):
        ends = not channel[1] and bool(channel[2])  # Gemma's <|channel>thought ... <channel|>
        final = channel[3].lower() == "final"
        yield (
            _Mark.CLOSE if ends or final else _Mark.OPEN,
            channel.start(),
            channel.end(2) + 1 if ends else channel.end(),
            "",
        )
    for words in _SPOKEN_MARKS.finditer(text):
        yield {"open": _Mark.OPEN, "close": _Mark.CLOSE, "final": _Mark.FINAL}[str(words.lastgroup)], *words.span(), ""


def _meaning(tag: re.Match[str]) -> tuple[_Mark | None, str]:
    """Tell by the words of a tag what it means, None = nothing to do with thoughts or answers; and those words."""
    bracket = tag[1] is None
    bare = _ATTRIBUTE.sub(" ", tag[1] or tag[2]).strip(" |｜\t")
    ends = bare.startswith("/") or bare.endswith("/")
    bare = bare.strip("/ |｜\t").lower()
    words = re.findall(r"[^\W_]+", bare)
    thoughts = [word for word in words if _THOUGHT.search(word) or word in _THOUGHT_WORDS]
    answers = [word for word in words if word in _ANSWER_WORDS]
    if not thoughts and not answers:
        return None, ""
    if (bracket or " " in bare) and any(word not in _SMALL_WORDS for word in words if word not in thoughts + answers):
        return None, ""  # words in brackets, no tag
    ends = ends or any(word in _END_WORDS for word in words)
    if thoughts:
        return (_Mark.CLOSE if ends else _Mark.OPEN), " ".join(word for word in words if word not in _SMALL_WORDS)
    return (_Mark.ANSWERED if ends else _Mark.ANSWER), " ".join(words)


def _answer(text: str, begin: int, marks: list[tuple[_Mark, int, int]], objects: list[Piece], thought: bool) -> Spoken:
    blocks = _blocks(text, marks)
    finals = [end for mark, _, end in marks if mark is _Mark.FINAL and _tidy(text[end:])]
    if blocks:
        pieces = []
        for start, end in blocks:
            within = [piece for piece in objects if start <= piece.start and piece.end <= end]
            pieces += within or [Piece(start, end, None, _tidy(text[start:end]))]
    elif finals:
        pieces = [piece for piece in objects if piece.start >= finals[-1]]
        pieces = pieces or [Piece(finals[-1], len(text), None, _tidy(text[finals[-1] :]))]
    else:
        pieces = list(objects) or [Piece(begin, len(text), None, _tidy(text[begin:]))]
    around, at = [], begin
    for piece in pieces:
        around.append(text[at : piece.start])
        at = piece.end
    return Spoken(tuple(pieces), _tidy(" ".join(around)), _tidy(text[at:]), False, thought, _tidy(text[begin:]))


def _blocks(text: str, marks: list[tuple[_Mark, int, int]]) -> list[tuple[int, int]]:
    """Return what stands in tags of answers, innermost ones only."""
    blocks: list[tuple[int, int]] = []
    opened: int | None = None
    for mark, start, end in marks:
        if mark is _Mark.ANSWER:
            opened = end
        elif mark is _Mark.ANSWERED and opened is not None:
            blocks.append((opened, start))
            opened = None
    if opened is not None:
        blocks.append((opened, len(text)))
    return [block for block in blocks if _tidy(text[slice(*block)])]


def _unboxed(text: str) -> str:
    r"""Return a text with tags of an answer for every box of LaTeX: ``\boxed{\text{left}}``."""
    for _ in range(MAX_BOXES):
        box = _BOXED.search(text)
        if box is None:
            break
        end = _closing_brace(text, box.end())
        inside = _IN_BOX.sub(r"\1", text[box.end() : end])
        if re.match(r'\s*"\w+"\s*:', inside):  # the braces of the box are those of an object as well
            inside = f"{{{inside}}}"
        text = f"{text[: box.start()]}<answer>{inside}{'</answer>' if end < len(text) else ''}{text[end + 1 :]}"
    return text


def _unfenced(text: str) -> str:
    """Return a text with tags of a thought for every block of code that says it is one; blocks within belong to it."""
    for _ in range(MAX_BOXES):
        block = _FENCED_THOUGHT.search(text)
        if block is None:
            break
        depth, end = 1, len(text)
        for fence in _FENCE.finditer(text, block.end()):
            depth += 1 if fence[1] else -1
            if not depth:
                end = fence.start()
                break
        closing = "</think>" if end < len(text) else ""
        text = f"{text[: block.start()]}<think>{text[block.end() : end]}{closing}{text[end + 3 :]}"
    return text


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for found in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return found.start()
    return len(text)


def _object_at(text: str, start: int) -> tuple[dict[str, Any], int] | None:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (value, end) if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs) and any(fields[name] != value for name, value in pairs):
        raise ValueError("a field is there twice, and differs")
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _tidy(text: str) -> str:
    """Return text without what templates put around it, tags of answers, and the fences of a block of code."""
    text = _NOISE.sub(" ", text)
    text = _TAG.sub(lambda tag: " " if _meaning(tag)[0] else tag[0], text)
    return _FENCES.sub("", text).strip()
