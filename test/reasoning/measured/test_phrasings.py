"""Many ways to ask for one thing: each is understood, and answered as it is in a room that is known."""

from __future__ import annotations

import math

import pytest
from support.known_room import AHEAD, scene

from cc_ros.geometry.evaluate import Found, evaluate
from cc_ros.geometry.queries import Side, marks_in
from cc_ros.reasoning.measured import reading
from cc_ros.reasoning.measured.questions import read
from cc_ros.reasoning.measured.reading import meanings

EVERYWHERE, IN_FRONT = scene(), scene(AHEAD)

# What is asked for -> its value, and how people say it.
ASKED: dict[str, tuple[object, tuple[str, ...]]] = {
    "left of another": (
        True,
        (
            *(
                "is 1 left of 3",
                "Is mark 1 to the left of mark 3?",
                "is object one on the left of #3",
                "is 1 left from 3",
            ),
            *("tell me whether 1 is left of 3", "is 1 further left than 3, please", "does 1 lie to the left of 3?"),
            *(
                "From here, is number 1 left of number 3?",
                "is 1 on the left-hand side of 3",
                "Is it true that 1 is left of 3?",
            ),
        ),
    ),
    "not right of another": (False, ("is 1 right of 3", "could you tell me if 1 is on the right side of 3?")),
    "which side of another": (
        "left",
        ("is 1 left or right of 3", "on which side of 3 is 1?", "Is mark 1 to the left or to the right of mark 3?"),
    ),
    "which side of me": (
        "right",
        ("is 3 on my left or right", "on which side is 3", "is 3 to my right or to my left?"),
    ),
    "on my left": (True, ("is 1 on my left", "is mark 1 to your left?", "is 1 on the robot's left")),
    "with the back to a mark": (
        False,
        (
            "with my back to 7, is 3 on my left",
            "Is 3 on my left with my back to mark 7?",
            "facing away from 7, is 3 on my left",
        ),
    ),
    "facing a mark": (
        True,
        ("if I face 7, is 3 on my left", "facing 7, is 3 to my left?", "When I look at 7, is 3 on my left?"),
    ),
    "from one mark facing another": (
        True,
        (
            *("standing at 2 facing 1, is 3 on my left", "If I stand at 2 and face 1, is 3 on my left?"),
            *("You are sitting on mark 2, facing mark 1. Is mark 3 to your left?", "from 2 facing 1, is 3 on my left"),
            *("is 3 on the left for someone at 2 facing 1?", "imagine you are at 2 looking at 1: is 3 on your left"),
        ),
    ),
    "from one mark with the back to another": (False, ("standing at 2 with my back to 1, is 3 on my left?",)),
    "behind me": (
        (7,),
        (
            "behind me",
            "what is behind me",
            "which marks are behind me?",
            "what's behind the robot",
            "is there anything behind me",
        ),
    ),
    "on my right": ((3, 6), ("what's on my right", "which marks are to my right", "list the marks on my right")),
    "in front of me": (True, ("is 2 in front of me", "is 2 ahead of me", "is 2 in front?", "is 2 before me")),
    "behind another": (True, ("is 4 behind 1", "tell me if 4 is behind 1", "is mark four behind mark one?")),
    "in front of another": (True, ("is 1 in front of 4", "is 1 before 4")),
    "in front or behind": ("behind", ("is 5 in front of or behind 2", "is 5 behind or in front of 2")),
    "above another": (True, ("is 4 above 1", "is 4 higher than 1", "is 4 higher up than 1")),
    "below another": (True, ("is 5 below 1", "is 5 lower than 1")),
    "above or below": ("above", ("is 4 above or below 1", "is 4 higher or lower than 1")),
    "highest": (4, ("which mark is highest", "what is the highest object", "which of 1, 4 and 5 is higher up")),
    "lowest": (5, ("which is the lowest", "lowest mark")),
    "leftmost": (
        4,
        (
            *("leftmost", "which mark is leftmost", "what is the leftmost mark", "which is furthest to the left"),
            *("which mark is the furthest left", "the left-most one", "which is the leftmost of 1, 3 and 4"),
        ),
    ),
    "rightmost": (
        3,
        ("which is further right, 1 or 3", "which one is the rightmost?", "which is more to the right: 3 or 5"),
    ),
    "nearest": (
        3,
        (
            *("which mark is nearest", "what is closest to me", "the nearest mark", "which is nearer, 3 or 5"),
            *(
                "which one is closer to me, 3 or 5?",
                "is 3 or 5 closer",
                "which of 3 and 5 is nearer",
                "am I closer to 3 or 5",
            ),
            *(
                "name the closest object",
                "tell me which mark is the closest one",
                "Which is nearer to the camera: 3 or 5?",
            ),
        ),
    ),
    "nearest to a mark": (6, ("which mark is closest to 2", "what's nearest to mark two", "is 2 nearer to 6 or to 5")),
    "farthest": (5, ("which mark is farthest", "which is the furthest away from me", "which is more distant, 3 or 5")),
    "is the nearest": (True, ("is 3 the nearest mark", "tell me whether 3 is the closest")),
    "nearer than another": (
        True,
        ("is 3 nearer than 5", "is 3 closer to me than 5 is", "is 3 closer than 5", "if 3 is nearer than 5"),
    ),
    "farther than another": (False, ("is 3 farther away than 5", "is 3 further from me than 5")),
    "nearer to one than to another": (True, ("is 6 nearer to 2 than to 5", "is 6 closer to 2 than 5 is")),
    "between": (
        (6,),
        (
            *(
                "what is between 3 and 2",
                "which marks are between 2 and 3?",
                "what lies between 2 and 3",
                "between 2 and 3",
            ),
            *("is there anything in between 2 and 3", "which mark is between marks 2 and 3"),
        ),
    ),
    "is between": (True, ("is 6 between 2 and 3", "does 6 lie between 3 and 2?")),
    "within": (
        (3,),
        (
            *(
                "which marks are within 2 m",
                "what is within two metres of me",
                "within 200 cm",
                "what's less than 2m away",
            ),
            *("list all marks that are nearer than 2 meters", "which objects are within a radius of 2 m"),
        ),
    ),
    "is within": (True, ("is 6 within 2 m of 2", "is 6 less than 2 metres from 2", "is 6 closer than 2 m to 2")),
    "is beyond": (True, ("is 5 more than 3 m away", "is 5 farther than 3 m from me")),
    "number within": (1, ("how many marks are within 2 m", "how many marks are there within 2 m of me")),
    "number": (
        7,
        ("how many marks are there", "how many marked objects do you see", "count the marks", "number of marks"),
    ),
    "list": (
        (1, 2, 3, 4, 5, 6, 7),
        ("list all marks", "which marks are there", "show me the marks", "name the marks, please"),
    ),
    "from left to right": (
        (4, 1, 5, 2, 6, 3),
        (
            "list from left to right",
            "sort the marks from left to right",
            "from left to right, list the marks",
            "left to right",
            "what is the order of the marks from left to right",
            "which marks are there from left to right",
        ),
    ),
    "from right to left": (
        (3, 2, 1),
        ("list 1, 2 and 3 from right to left", "order marks 2, 1 and 3 from right to left"),
    ),
    "by distance": (
        (3, 1, 6, 7, 2, 4, 5),
        ("sort the marks by distance", "list all marks from nearest to farthest", "order by distance from me"),
    ),
    "distance of two": (
        2.915,
        (
            *(
                "how far apart are 1 and 3",
                "how far is 1 from 3",
                "distance between 1 and 3",
                "how far is it from 1 to 3",
            ),
            *(
                "what's the distance from one to three?",
                "tell me how far 1 is from 3",
                "how many metres apart are 1 and 3",
            ),
            *(
                "how close are 1 and 3",
                "do you know how far apart 1 and 3 are?",
                "what is the distance between marks 1 and 3",
            ),
        ),
    ),
    "distance": (
        1.5,
        (
            "how far is 3",
            "how far away is #3?",
            "how far am I from 3",
            "what is the distance to 3",
            "how close is 3",
            "how far is it to 3",
            "how many meters away is 3?",
        ),
    ),
    "bearing": (
        math.radians(-53.13),
        (
            "in which direction is 3",
            "which way is 3",
            "what is the bearing of 3",
            "how far do I have to turn to face 3",
            "turn to 3",
            "face mark 3",
            "please look at 3",
            "Rotate towards the object number 3",
        ),
    ),
    "angle": (math.radians(90), ("what is the angle between 1 and 3",)),
    "place": (
        (1.5, math.radians(-53.13)),
        (
            *(
                "where is 3",
                "where's 3",
                "where's object 3?",
                "can you tell me where 3 is",
                "locate 3",
                "where can I find mark 3",
            ),
            *(
                "what is the position of 3",
                "go to 3",
                "Please drive over to number three!",
                "approach 3",
                "I want to go to 3",
            ),
            *("bring me to mark 3", "could you please move closer to 3", "let's go to 3"),
        ),
    ),
    "place from a mark": ((3.324, math.radians(58.03)), ("if I stand at 2 facing 1, where is 3",)),
    "coordinates": ((0.9, -1.2, 1.0), ("what are the coordinates of 3", "coordinates of mark 3")),
    "same": (
        False,
        ("are 1 and 3 the same object", "is 1 the same thing as 3", "tell me whether 1 and 3 are the same"),
    ),
}
SAID = [(text, meaning) for meaning, (_, texts) in ASKED.items() for text in texts]


def test_there_are_many_meanings_and_more_ways_to_ask_for_them() -> None:
    assert len(ASKED) >= 20 and len({text for text, _ in SAID}) >= 90


@pytest.mark.parametrize(("text", "meaning"), SAID, ids=[text for text, _ in SAID])
def test_what_people_say_is_understood_and_answered_as_it_is(text: str, meaning: str) -> None:
    query = read(text)
    assert query is not None
    in_front = meaning in ("leftmost", "rightmost", "from left to right")  # of marks all around none is
    found = evaluate(query, IN_FRONT if in_front else EVERYWHERE)
    assert isinstance(found, Found), found.reason
    expected = ASKED[meaning][0]
    assert found.value == (pytest.approx(expected, abs=0.002) if isinstance(expected, float | tuple) else expected)
    assert 0.5 < found.confidence <= 1 and found.reason and found.text
    assert set(found.marks) <= set(EVERYWHERE.ids)


NOT_UNDERSTOOD = (
    # more than marks
    *(
        "is 3 the chair",
        "left of the red 3",
        "is the chair 3 left of 5",
        "is 3 left of the sofa",
        "which chair is nearest",
    ),
    *(
        "how many chairs are there",
        "how many objects are there",
        "go to the sofa",
        "which marks are within 2 m of the sofa",
    ),
    *("how many marks are on the table", "how many marked objects are red", "is 3 really a chair", "what is mark 2"),
    # more than one thing
    *("where is 3 and where is 5", "where is 3? where is 5?", "where are 3 and 5", "is 3 left of 5 and right of 7"),
    *(
        "go to 3 and then to 4",
        "turn to 3, where is 5",
        "go to 3 if 3 is left of 5",
        "go to 3 or 5",
        "which two marks are nearest",
    ),
    # negations, and what is not supported
    *(
        "is 3 not left of 5",
        "isn't 3 left of 5",
        "do not go to 3",
        "which mark is not left of 5",
        "is 3 never left of 5",
    ),
    *(
        "was 3 left of 5",
        "is 3 under 5",
        "is 3 on 5",
        "is 3 next to 5",
        "is 3 near 5",
        "how big is 3",
        "go to 3 slowly",
    ),
    *(
        "never go to 3",
        "go to 3, no",
        "turn away from 3",
        "go to 3 behind 5",
        "go left of 3",
        "is 3 left of 5 in front of me",
    ),
    # more than one reading, or half a question
    *("is 3 closer to 7 than 5", "which marks are within 2", "in which direction is 3 from 5", "is 3 left of 5 or 7"),
    *(
        "you are sitting on 2: is 7 to your left",
        "if I stand at 2 facing 4 with my back to 5, where is 3",
        "is 3 left of 5 from 2",
    ),
    *("is 3 left", "is 3 between 5", "behind", "3", "mark 3", "what is the distance", "go 3", ""),
    # numbers that are no marks
    *(
        "is 2.5 left of 3",
        "is -3 left of 5",
        "is 3rd left of 5",
        "where is the third mark",
        "how far is 3 m from 4",
        "where is 3 5",
    ),
    *("go to 3 metres", "drive 3 m to 4", "turn left to mark 3", "is 3 2 m away", "where is 3 in picture 2"),
)


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_not_understood_to_the_last_word_is_not_understood_at_all(text: str) -> None:
    assert read(text) is None


def test_a_long_polite_question_is_read_in_time_and_an_endless_one_not_at_all() -> None:
    assert read(
        "hello robot, could you please tell me on which side of the object number 5 mark 3 is, thank you"
    ) == Side(3, 5)
    assert meanings("please " * 2000 + "where is 3") == set()
    assert read(f"where is {'9' * 5000}") is None


@pytest.mark.parametrize(
    ("text", "mark"), [("where is twenty-one", 21), ("where is ninety nine", 99), ("where is 0", 0)]
)
def test_numbers_are_read_in_words_and_digits(text: str, mark: int) -> None:
    query = read(text)
    assert query is not None and marks_in(query) == (mark,)


def test_every_rule_of_the_grammar_has_a_meaning_and_no_meaning_is_left_over() -> None:
    makes = {rule.alias or rule.origin.name for rule in reading.grammar().rules if not rule.origin.name.startswith("_")}
    inlined = {"query", "condition", "of_something"}
    assert makes - inlined == set(reading.MEANINGS)


def test_no_two_words_that_are_alike_are_both_in_the_grammar() -> None:
    assert not set(reading.SYNONYMS) & reading.vocabulary() - {","}
    assert set(reading.ALIKE) <= reading.vocabulary()
