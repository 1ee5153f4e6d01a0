"""A Python client of the running nodes: questions, keyframes, places of objects.

In a script of its own::

    from cc_ros.client import SpatialMemory

    with SpatialMemory() as memory:
        answer = memory.ask("How many chairs are there?")
        print(answer.text if answer.ok else answer.message)

In a node of yours, ``SpatialMemory(node=self)``; its methods may be called from the node's callbacks as well.

Errors, all of them a :class:`~cc_ros.errors.CCError`::

    NodeError                a running node refused, for the reason in the text
    └─ NotRunningError       a node is not running, went away, or does not respond in time
    SettingsError            an argument that no request can hold

That a question has no answer is no error: ``answer.status`` and ``answer.message`` say why.
"""

from cc_ros.client.memory import SpatialMemory
from cc_ros.client.places import Place
from cc_ros.errors import NodeError, NotRunningError
from cc_ros.motion.halt import Followed, FollowStatus

__all__ = ["FollowStatus", "Followed", "NodeError", "NotRunningError", "Place", "SpatialMemory"]
