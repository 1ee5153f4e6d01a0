"""Thoughts never count as the answer, however they are spelled; for a move, nothing that may be one does."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.reasoning import Answer, Kind, Move, Style
from cc_ros.reasoning.replies.check import check
from cc_ros.reasoning.replies.reply import Unusable, complete, read_reply, text_so_far
from cc_ros.reasoning.replies.thoughts import spoken

STOP = '{"action": "STOP", "value": 0}'
GO = '{"action": "FORWARD", "value": 4.0}'
SPELLINGS = [
    *[
        (f"<{name}>", f"</{name}>")
        for name in (
            *(
                "think",
                "thinking",
                "thought",
                "thoughts",
                "reasoning",
                "reason",
                "THINK",
                "Thinking",
                " think ",
                "seed:think",
            ),
            *("longcat_think", "antml:thinking", "reflection", "analysis", "scratchpad", "inner_monologue"),
            *("seed:think", "mm:think"),
        )
    ],
    *[(f"[{name}]", f"[/{name}]") for name in ("THINK", "think", "Thinking", "REASONING")],
    ("◁think▷", "◁/think▷"),
    ("＜think＞", "＜/think＞"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|think_start|>", "<|think_end|>"),
    ('<think budget="512">', "</think>"),
    ('<details type="reasoning" done="true">', "</details>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("```thinking\n", "\n```\n"),
    ("analysisThe user ", "assistantfinal"),
    ("Here is my thought process:", "Here is my response:"),
    ("<think><think>", "</think></think>"),
    ("<think>a</think><think>", "</think>"),
    ("<think></think>", "</think>"),
    ("<思考>", "</思考>"),
    ("【思考】", "【/思考】"),
    ("<réflexion>", "</réflexion>"),
    ("<think>a<reflection>b</reflection>", "</think>"),
    ("<seed:think>a<seed:cot_budget_reflect>10 tokens</seed:cot_budget_reflect>", "</seed:think>"),
    ("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),
]
CLOSINGS = sorted({close for _, close in SPELLINGS if "`" not in close})
WRAPS = [
    ("", ""),
    ("\n\n", "\n"),
    ("<answer>", "</answer>"),
    ("<answer>\n", ""),
    ("<|begin_of_box|>", "<|end_of_box|>"),
    ("<answer><|begin_of_box|>", "<|end_of_box|></answer>"),
    ("```json\n", "\n```"),
    ("~~~jsonc\n", "\n~~~"),
    ("<response>", "</response>"),
    ("[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("", "<|im_end|>"),
    ("", "<|return|>"),
    ("", "</s>"),
]
DRAFTS = st.sampled_from(
    [
        f"I could say {GO} but a person stands there.",
        "Maybe TURN_LEFT(90)? No, so I stop.",
        "FORWARD(4)",
        GO,
        f"```json\n{GO}\n```",
        f"<answer>{GO}</answer>",
        f"<|begin_of_box|>{GO}<|end_of_box|>",
        '\\boxed{FORWARD(4)} {"action": "FORWARD", "val',
        '{"reason": "wait',
        '{"answer": "<think>"}',
        "{{{[[[",
        "Final answer: FORWARD(4)",
    ]
) | st.text(max_size=60)


def judged(text: str, kind: Kind = Kind.NAVIGATE, choices: tuple[str, ...] = ()) -> Answer:
    return check(read_reply(text), kind, Style.MARKS, choices, (1, 2, 3), max_forward=5.0)


@pytest.mark.parametrize(("opening", "closing"), SPELLINGS)
@pytest.mark.parametrize("opened", [True, False])
def test_the_move_after_the_thoughts_counts(opening: str, closing: str, opened: bool) -> None:
    if not opened and "`" in closing:
        return  # the end of any block of code
    for final in (STOP, "STOP", f"\n\n{STOP}\n"):
        for draft in (f"I could say {GO} but a person stands there.\n", "Maybe TURN_LEFT(90)? ... so I stop.\n", GO):
            answer = judged(f"{opening if opened else ''}{draft}{closing}{final}")
            assert answer.action is not None and answer.action.move is Move.STOP


@given(st.sampled_from(SPELLINGS), DRAFTS, st.sampled_from(WRAPS), st.sampled_from([STOP, "STOP", "TURN_LEFT(30)"]))
def test_no_draft_in_any_spelling_of_thought_moves_a_robot(
    tags: tuple[str, str], draft: str, wrap: tuple[str, str], final: str
) -> None:
    answer = judged(f"{tags[0]}{draft}{tags[1]}{wrap[0]}{final}{wrap[1]}")
    assert str(answer.action) == ("TURN_LEFT(30)" if "TURN" in final else "STOP")


@given(st.sampled_from(CLOSINGS), DRAFTS, st.sampled_from(WRAPS), st.sampled_from(["left", '{"answer": "left"}']))
def test_only_closing_tags_are_enough(closing: str, draft: str, wrap: tuple[str, str], final: str) -> None:
    text = f'{draft}\nright? {{"answer": "right"}}\n{closing}{wrap[0]}{final}{wrap[1]}'
    assert judged(text, Kind.LEFT_RIGHT).text == "left"
    assert judged(text.replace("left", "2").replace("right", "3"), Kind.COUNT).text == "2"
    assert judged(text.replace("left", "A").replace("right", "B"), Kind.CHOICE, ("red", "blue")).choice == 0


@given(st.sampled_from(SPELLINGS), DRAFTS)
def test_thoughts_without_an_end_leave_no_answer(tags: tuple[str, str], draft: str) -> None:
    text = f"{tags[0]}{draft} {GO}"
    if not spoken(draft).thought and "`" not in tags[0] and tags[1] not in tags[0]:
        for kind in (Kind.NAVIGATE, Kind.FREE, Kind.LEFT_RIGHT):
            with pytest.raises(Unusable):
                judged(text, kind)
        assert text_so_far(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        f"{GO} {STOP}",
        f"{STOP}\n{GO}",
        f"I could say {GO} but a person stands there, so {STOP}",
        f"{GO} But wait, a person stands there.",
        f"Do FORWARD(4)? No: {STOP}",
        f'{{"action": "FORWARD", "value": 4.0 {STOP}',
        f"<answer>{GO}</answer><answer>{STOP}</answer>",
        "<answer>FORWARD(4)</answer> no, <answer>STOP</answer>",
        f"{GO}<answer>STOP</answer>",
        f"{GO}<think>a person!</think>",
        f"{GO}<think>a person!",
        f"<musing>{GO}",
        f"<|musing|>{GO}",
        "Maybe TURN_LEFT(90)? But a person stands there, so I stop.",
        "Perhaps this: FORWARD(4)",
        "I could turn left. FORWARD(4)",
        "Should I do this: FORWARD(4)?",
        "Maybe FORWARD(4).\nFinal answer: STOP",
        '{"action": "FORWARD", "value": 4, "action": "STOP"}',
        '{"action": "FORWARD", "value": 4, "answer": "STOP"}',
        '{"action": "FORWARD(4)", "value": 0.5}',
        '{"action": "FORWARD(90 degrees)"}',
        '{"action": "TURN_LEFT", "value": 90, "reason": "maybe, but a person</think> so"}',
        '{"action": "TURN_LEFT", "value": 90, "reason": "<think>maybe"}',
        '{"action": "<think>TURN_LEFT(90)"}',
        "FORWARD(4",
        f'{GO} {{"action": "FORWARD", "value": 1}}',
        f'{GO} {{"action": "FLY"}}',
        f"[{GO}, {STOP}]",
        "<think>FORWARD(4)</think>",
        "<think></think>",
        *(
            f"{words}{said}"
            for words in (
                *("Do the opposite of this: ", "Wrong: ", "An unsafe reply is ", "The sign says: ", "Let me think. "),
                *("Nicht: ", "Vielleicht so: ", "No hagas esto: ", "不要："),
            )
            for said in ("FORWARD(4)", GO)
        ),
        '{"action": "FORWARD", "value": true}',
    ],
)
def test_a_move_that_leaves_a_doubt_is_none(text: str) -> None:
    with pytest.raises(Unusable):
        judged(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{STOP} {STOP}",
        f"I see a person. {STOP}",
        f"A person stands there, so I STOP: {STOP}",
        '{"reason": "<think>maybe forward</think> a person", "action": "STOP", "value": 0}',
        '{"reason": "I could say {\\"action\\": \\"FORWARD\\", \\"value\\": 4}", "action": "STOP", "value": 0}',
        '{"action": "<think>FORWARD(4)</think>STOP"}',
        json.dumps(STOP),
        "**STOP**",
        "`STOP`",
        '"STOP"',
        "\\boxed{STOP}",
        "\\boxed{\\text{STOP}}",
        f"\\boxed{STOP}",
        f"\\boxed{{{STOP}}}",
        "The move is <|begin_of_box|>STOP<|end_of_box|>.",
        "A person stands there.\nSTOP",
    ],
)
def test_a_move_without_a_doubt_is_read(text: str) -> None:
    assert str(judged(text).action) == "STOP"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"answer": "left"} no: {"answer": "right"}', ""),
        ('{"answer": "left"}\n{"answer": "Left."}', "left"),
        ('{"answer": "left", "confidence": 0.2} {"answer": "left", "confidence": 0.9}', "left"),
        ('{"answer": "left"} {"note": 3}', "left"),
        ('{"type": "object"} {"answer": "left"}', "left"),
        ('{"answer": "left"}\nFinal answer: {"answer": "right"}', "right"),
        ("It could be left.\n**Final Answer:** right", "right"),
        ("<answer>left</answer> <answer>right</answer>", ""),
        ('{"answer": "left"} <answer>right</answer>', "right"),
        ('{"answer": "both"} {"answer": "left"}', "left"),
        (' it says </think> on the wall", "marks": []}', ""),
    ],
)
def test_of_several_answers_the_final_one_counts_or_none(text: str, said: str) -> None:
    if said:
        assert judged(text, Kind.LEFT_RIGHT).text == said
    else:
        for kind in (Kind.LEFT_RIGHT, Kind.FREE):
            with pytest.raises(Unusable):
                judged(text, kind)


def test_tags_within_the_strings_of_a_whole_reply_end_no_thought() -> None:
    assert judged('{"answer": "a sign: <b>exit</b>", "marks": [1]}', Kind.FREE).text == "a sign: <b>exit</b>"
    assert judged("a < b, I think, and c > d", Kind.FREE).text == "a < b, I think, and c > d"
    assert judged('{"answer": "x\\ud800y"}', Kind.FREE).text.encode() == b"x?y"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (STOP, True),
        (f"<think>x</think>{STOP}", True),
        ("left", True),
        (STOP[:-1], False),
        ("<think>x", False),
        ("", False),
    ],
)
def test_a_reply_is_known_to_be_complete(text: str, whole: bool) -> None:
    assert complete(text) is whole


@given(st.sampled_from(SPELLINGS), st.integers(0, 200))
def test_thoughts_are_not_shown_while_they_arrive(tags: tuple[str, str], cut: int) -> None:
    whole = f"{tags[0]}hidden{tags[1]}" + '{"reason": "seen", "answer": "left"}'
    shown = text_so_far(whole[:cut])
    if tags[0][0] in "<[◁＜" and tags[1] not in tags[0]:
        assert "hidden" not in shown
    assert text_so_far(whole) == "seen\nleft"


@given(st.text(alphabet='<>/|[]{}\\"think answer:,boxed`\n', max_size=200))
def test_any_text_is_read_in_the_end(text: str) -> None:
    spoken(text)
    text_so_far(text)
    try:
        judged(text)
    except Unusable:
        return


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    [
        *["<", "{", "[", "\n", "\\", " ", "<think>", "</think>", "<answer>"],
        *['{"a":', '{"a": [1, ', "\\boxed{", "```thinking "],
    ],
)
def test_no_text_takes_long_to_read(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    text_so_far(text)
    with contextlib.suppress(Unusable):
        judged(text)
