"""Any values of a dataclass, from the types of its fields: a field that is new is drawn as well."""

from __future__ import annotations

import dataclasses
import math
import types
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from hypothesis import strategies as st

from cc_ros.geometry import camera_pose

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
COUNT = st.integers(0, 2**31 - 1)
NUMBER = st.floats(0, 1e6, width=32)
ANGLE = st.floats(-math.pi + 0.01, math.pi)


def any_of(cls: type, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for a dataclass.

    :param given: for fields that cannot hold every value of their type.
    """
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    return st.builds(cls, **{name: given[name] if name in given else _of(hints[name]) for name in names})


def poses() -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for 4x4 poses of a camera."""
    return st.builds(
        lambda place, half: camera_pose(place, (0.0, 0.0, math.sin(half), math.cos(half))),
        st.tuples(NUMBER, NUMBER, NUMBER),
        ANGLE,
    )


def _of(hint: Any) -> st.SearchStrategy[Any]:
    plain = {str: TEXT, bool: st.booleans(), int: COUNT, float: NUMBER, bytes: st.binary(max_size=20)}
    if hint in plain:
        return plain[hint]
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(*(st.none() if kind is type(None) else _of(kind) for kind in arguments))
    if get_origin(hint) is tuple and arguments[-1] is ...:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(hint) is tuple:
        return st.tuples(*map(_of, arguments))
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return any_of(hint)
