"""Marks: readable wherever their objects are, drawn as asked, equal numbers on equal objects."""

import json
import math
import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ros.errors import ImageError, SettingsError
from cc_ros.keyframes import ArrayPicture, Candidate, KeyframeRequest, Keyframes, KeyframeSettings, Mark, MarkSettings
from cc_ros.keyframes.drawing import blur_objects, colour, draw_labels, draw_marks, place_discs

RED, WHITE = (0, 0, 255), (255, 255, 255)


def scene(shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture with three boxes of ids 4, 7 and 9; 9 is small."""
    image = np.full((240, 320, 3), 128, np.uint8)
    labels = np.zeros((240, 320), np.uint16)
    labels[40:120, 30 + shift : 110 + shift] = 4
    labels[60:200, 180 + shift : 260 + shift] = 7
    labels[200:210, 20:30] = 9
    return image, labels


def episode(**knobs) -> Keyframes:
    keyframes = Keyframes(KeyframeSettings(**knobs))
    for i in range(10):
        image, labels = scene(shift=2 * i)
        keyframes.store.offer(Candidate(i, i / 10, ArrayPicture(image), labels))
    return keyframes


@pytest.mark.parametrize(
    ("confidences", "expected"),
    [((0.9, 0.5), [[7, 9], [7, 9]]), ((0.9, 0.2), [[7, 9], [9]]), ((0.5, 0.5), [[9], [9]])],
)
def test_an_object_is_marked_where_it_is_still_likely_once_it_was_sure(confidences, expected):
    keyframes = Keyframes(KeyframeSettings(marks=2, frames=2, min_confidence=0.6))
    for i, sure in enumerate(confidences):
        image, labels = scene()
        keyframes.store.offer(Candidate(i, float(i), ArrayPicture(image), labels, confidences={4: 0.2, 7: sure}))
    assert [[mark.id for mark in frame.marks] for frame in keyframes.marked()] == expected


def test_a_keyframe_without_any_of_the_most_frequent_objects_gets_marks_of_its_own():
    for each, expected in ((0, [[4], [4], []]), (1, [[4], [4], [7]]), (5, [[4], [4], [7]])):
        keyframes = Keyframes(KeyframeSettings(marks=1, frames=3, marks_each=each))
        for i in range(3):
            image, labels = scene()
            labels[(labels == 9) | (labels == (4 if i == 2 else 7))] = 0
            keyframes.store.offer(Candidate(i, float(i), ArrayPicture(image), labels))
        assert [[mark.id for mark in frame.marks] for frame in keyframes.marked()] == expected


def test_what_one_keyframe_marks_for_itself_is_marked_in_all_that_show_it():
    keyframes = Keyframes(KeyframeSettings(marks=1, frames=4, marks_each=1))
    for i, gone in enumerate(((7, 9), (7, 9), (9,), (4, 9))):
        image, labels = scene()
        labels[np.isin(labels, gone)] = 0
        keyframes.store.offer(Candidate(i, float(i), ArrayPicture(image), labels))
    assert [[mark.id for mark in frame.marks] for frame in keyframes.marked()] == [[4], [4], [4, 7], [7]]


def picture(keyframe) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(keyframe.jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_mark_is_a_filled_disc_with_a_number():
    image = np.full((240, 320, 3), 128, np.uint8)
    draw_marks(image, [Mark(12, 160, 120, 1)], settings=MarkSettings(diameter=60))
    changed = (image != 128).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((130, 190, 90, 150), abs=2)
    assert (image == RED).all(axis=2).sum() > 0.5 * np.pi * 30**2
    assert (image == WHITE).all(axis=2).sum() > 100  # the number


@pytest.mark.parametrize("number", [1, 42, 137, 9999, 65535])
def test_the_number_stays_inside_the_disc(number):
    image = np.zeros((200, 200, 3), np.uint8)
    draw_marks(image, [Mark(number, 100, 100, 1)], settings=MarkSettings(diameter=60))
    rows, columns = np.nonzero((image[..., 0] > 128) & (image[..., 1] > 128))
    assert len(rows)
    assert np.hypot(columns - 100, rows - 100).max() <= 31


def test_outline_and_overlay_are_separate_switches():
    def painted(**knobs):
        image, labels = scene()
        draw_marks(image, [Mark(4, 70, 80, 1)], labels, MarkSettings(diameter=20, **knobs))
        inside, edge = tuple(image[50, 40]), tuple(image[80, 30])
        return inside != (128, 128, 128), edge != (128, 128, 128)

    assert painted(outline=False, overlay=False) == (False, False)
    assert painted(outline=True, overlay=False) == (False, True)
    assert painted(outline=False, overlay=True) == (True, True)


@given(
    st.lists(st.tuples(st.floats(-50, 400), st.floats(-50, 300)), max_size=12),
    st.integers(10, 40),
)
def test_discs_stay_inside_the_picture(centres, diameter):
    discs = place_discs(centres, diameter, 320, 240)
    assert discs.shape == (len(centres), 2)
    assert ((discs >= diameter / 2) & (discs <= np.array([319, 239]) - diameter / 2)).all()


def test_discs_that_would_collide_part():
    for centres in ([(100, 100)] * 6, [(0, 0), (3, 3), (0, 5)], [(160, 120), (165, 120), (170, 121), (160, 125)]):
        discs = place_discs(centres, 40, 320, 240)
        for a in range(len(discs)):
            for b in range(a):
                assert np.hypot(*(discs[a] - discs[b])) >= 39


def test_a_disc_with_room_stays_where_it_is():
    assert place_discs([(50, 60), (200, 150)], 40, 320, 240).tolist() == [[50, 60], [200, 150]]


def test_a_picture_smaller_than_a_mark_is_no_trouble():
    image = np.zeros((8, 8, 3), np.uint8)
    draw_marks(image, [Mark(1, 4, 4, 1), Mark(2, 4, 4, 1)], settings=MarkSettings(diameter=60))


def test_equal_numbers_are_equal_objects_in_every_keyframe():
    marked = episode(frames=4, marks=2).marked()
    assert [k.index for k in marked] == [0, 3, 6, 9]
    for keyframe in marked:
        assert [mark.id for mark in keyframe.marks] == [4, 7]
        assert [mark.x for mark in keyframe.marks] == [69 + 2 * keyframe.index, 219 + 2 * keyframe.index]
        assert [mark.area for mark in keyframe.marks] == [6400, 11200]
        assert (picture(keyframe) != 128).any()


def test_raw_keyframes_are_left_as_they_are():
    marked = episode().marked(KeyframeRequest(style="raw"))
    assert all(keyframe.marks == () for keyframe in marked)
    assert np.abs(picture(marked[0]).astype(int) - 128).max() <= 2


def test_set_of_mark_numbers_each_image_on_its_own():
    keyframes = Keyframes()
    for i, ids in enumerate([(4, 7), (7, 4)]):
        labels = np.zeros((240, 320), np.uint16)
        labels[:100, :100] = ids[0]
        labels[120:, 50:300] = ids[1]
        keyframes.store.offer(Candidate(i, i, ArrayPicture(np.zeros((240, 320, 3), np.uint8)), labels))
    marked = keyframes.marked(KeyframeRequest(style="set_of_mark"))
    for keyframe in marked:
        by_number = {mark.id: mark.area for mark in keyframe.marks}
        assert by_number == {1: 120 * 250, 2: 100 * 100}


def test_a_request_goes_before_what_is_set_up():
    keyframes = episode(frames=8, marks=8)
    marked = keyframes.marked(KeyframeRequest(frames=3, marks=1, last_seconds=0.45))
    assert len(marked) == 3
    assert all(k.stamp >= 0.45 - 1e-9 and [m.id for m in k.marks] == [7] for k in marked)


@pytest.mark.parametrize(
    "request_", [KeyframeRequest(frames=65), KeyframeRequest(style="stickers"), KeyframeRequest(last_seconds=-1)]
)
def test_a_request_out_of_range_is_refused_with_the_value(request_):
    with pytest.raises(SettingsError, match=r"65|stickers|-1"):
        episode().marked(request_)


def test_marks_by_hand_are_drawn_as_they_are(tmp_path):
    file = tmp_path / "marks.json"
    file.write_text(
        json.dumps(
            {
                "keyframes": [
                    {"index": 2, "marks": [{"id": 1, "x": 20, "y": 220}, {"id": 2, "x": 300, "y": 20}]},
                    {"index": 5, "marks": []},
                ]
            }
        )
    )
    marked = episode(marks_file=str(file)).marked()
    assert [k.index for k in marked] == [2, 5]
    assert [(m.id, m.x, m.y, m.area) for m in marked[0].marks] == [(1, 20.0, 220.0, 0), (2, 300.0, 20.0, 0)]
    image = picture(marked[0]).astype(int)
    assert image[215, 12, 2] > 200 > image[215, 12, 1]  # red beside the number
    assert np.abs(picture(marked[1]).astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"keyframes": 3}',
        '{"keyframes": [{"index": 0}]}',
        '{"keyframes": []}',
        '{"keyframes": [{"index": 0, "marks": [{"id": "a"}]}]}',
    ],
)
def test_a_marks_file_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "marks.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match="marks file"):
        Keyframes(KeyframeSettings(marks_file=str(file)))


def test_a_blurred_object_cannot_be_made_out_and_the_rest_is_untouched():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (240, 320, 3)).astype(np.uint8)
    _, labels = scene()
    blurred = image.copy()
    blur_objects(blurred, labels, [4])
    inside = blurred[45:115, 35:105].astype(float)
    assert inside.std() < 0.2 * image[45:115, 35:105].std()
    assert (blurred[:, 150:] == image[:, 150:]).all()


def test_colours_by_name_number_and_id():
    assert colour("red") == RED
    assert colour("#102030") == (0x30, 0x20, 0x10)
    assert len({colour("by_id", i) for i in range(1, 30)}) == 29
    with pytest.raises(SettingsError, match="mauve"):
        colour("mauve")
    with pytest.raises(SettingsError, match="mauve"):
        Keyframes(look=MarkSettings(fill="mauve"))


def test_the_overlay_tints_objects_and_leaves_the_rest():
    image, labels = scene()
    shown = draw_labels(image, labels)
    assert (shown[labels == 0] == 128).all()
    assert (shown[labels == 4] != 128).any(axis=1).all()
    assert (image == 128).all()


@pytest.mark.parametrize(
    ("wish", "style", "told"),
    [
        ({"frames": 65}, {}, "frames must be at most 64"),
        ({"marks": 2**32 - 1}, {}, "marks must be at most 500"),
        ({"style": "doodles"}, {}, "kind must be one of marks, raw, set_of_mark"),
        ({"last_seconds": math.nan}, {}, "last_seconds"),
        ({"last_seconds": math.inf}, {}, "last_seconds"),
        ({"last_seconds": -1.0}, {}, "last_seconds"),
        ({}, {"diameter": 100_000}, "diameter must be at most 1000"),
        ({}, {"diameter": 2**32 - 1}, "diameter must be at most 1000"),
        ({}, {"fill": "notacolour"}, "fill: 'notacolour' is no colour"),
        ({}, {"text": "#12345"}, "text: '#12345' is no colour"),
    ],
)
def test_a_wish_meets_the_limits_of_the_settings(wish, style, told):
    with pytest.raises(SettingsError, match=told):
        episode().marked(KeyframeRequest(**wish), MarkSettings(**style))


def test_the_most_that_may_be_wished_for_is_drawn_soon():
    keyframes = Keyframes(KeyframeSettings(min_confidence=0.0))
    labels = np.kron(np.arange(1, 513, dtype=np.uint16).reshape(16, 32), np.ones((12, 8), np.uint16))
    for i in range(4):
        keyframes.store.offer(Candidate(i, float(i), ArrayPicture(np.zeros((192, 256, 3), np.uint8)), labels))
    begun = time.monotonic()
    marked = keyframes.marked(KeyframeRequest(frames=4, marks=500), MarkSettings(diameter=1000))
    assert [len(keyframe.marks) for keyframe in marked] == [500] * 4
    assert time.monotonic() - begun < 20


def test_a_mask_of_another_size_than_its_image_is_refused():
    keyframes = Keyframes()
    keyframes.store.offer(
        Candidate(0, 0.0, ArrayPicture(np.zeros((48, 64, 3), np.uint8)), np.ones((24, 32), np.uint16))
    )
    with pytest.raises(ImageError, match=r"mask of \(32, 24\)"):
        keyframes.marked()
