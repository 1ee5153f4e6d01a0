"""From what a model says to a robot's move. A robot acts on this, so whatever leaves a doubt is refused."""

from __future__ import annotations

import math
import re

from cc_ros.reasoning.replies.reply import Reply, Said, Unusable
from cc_ros.reasoning.types import Action, Move

MAX_TURN = 180.0
_VERB = r"FORWARD|TURN[ _-]?LEFT|TURN[ _-]?RIGHT|STOP"
_NUMBER = r"-?\d+(?:\.\d+)?"
_UNIT = r"m|metres?|meters?|deg|degrees?|°"
# A move alone, in any spelling ...
_ALONE = re.compile(
    rf"(?P<verb>{_VERB})(?:\s*\(\s*(?P<in>{_NUMBER})\s*(?P<in_unit>{_UNIT})?\s*\)"
    rf"|\s*[:,=]?\s*(?P<bare>{_NUMBER})\s*(?P<bare_unit>{_UNIT})?)?(?:\(\))?\s*[.!]?",
    re.IGNORECASE,
)
# ... and one mentioned among other words: as a command, or in JSON.
_COMMAND = re.compile(rf"\b(?P<verb>FORWARD|TURN[ _-]LEFT|TURN[ _-]RIGHT|STOP)\b\s*(?:\(\s*(?P<number>{_NUMBER}))?")
_CALL = re.compile(rf"\b(?P<verb>{_VERB})\s*\(\s*(?P<number>{_NUMBER})", re.IGNORECASE)
_MENTION = re.compile(rf"\b(?P<verb>{_VERB})\b(?P<number>)", re.IGNORECASE)
_DOUBT = re.compile(
    r"\b(?:not|never|neither|nor|cannot|without|maybe|perhaps|might|could|would|should|unless|if|or|possibly|wait|hmm+"
    r"|let me|avoid|instead|wrong|unsafe|dangerous|example"
    r"|nicht|nein|kein\w*|vielleicht|könnte\w*|pas|peut-être|quizás|tal vez|talvez|forse|non)\b"
    r"|n't\b|[?？不别別吗]|也许|也許|可能|如果",
    re.IGNORECASE,
)
# What introduces a move without a word on whether it is meant.
_INTRODUCING = re.compile(
    r"an?|the|my|here|i|is|will|so|thus|then|therefore|hence|this|now|next|final|following|best|safe(?:st)?|chosen"
    r"|robot|navigation|answer|reply|response|output|result|json|object|command|instruction|decision|step|action|move"
    r"|forward|turn|left|right|stop|ok(?:ay)?|sure|s|ll|最终答案"
)
_TAG = re.compile(r"<[/|!]?[^\W\d][^<>]*>|◁|▷|【|】")
_MARKUP = " \t*_`\"'"


def read_move(said: Said, reply: Reply, max_forward: float) -> Action:
    """Return the move that a reply names, beyond doubt.

    It is the last thing said; drafts before it must name the same move; its tags are known.

    :param said: all of what the model said.
    :param reply: one of its possible answers.
    :param max_forward: longest move in metres.
    :raises Unusable: there is a doubt.
    """
    if said.problem is not None:
        raise said.problem
    if said.after.strip(_MARKUP + ".\n"):
        raise Unusable("it goes on after the move; the move must come last")
    words, lead = (reply.action or reply.answer or reply.choice).strip(_MARKUP), ""
    if not said.structured and not _ALONE.fullmatch(words):
        words, lead = _last_words(words)
    alone = _ALONE.fullmatch(words)
    if not alone or _DOUBT.search(lead) or _casts_doubt(said.before or lead):
        raise Unusable("it must name exactly one move: FORWARD, TURN_LEFT, TURN_RIGHT or STOP, and no words around it")
    action = _action(alone, reply, max_forward)
    if _TAG.search(f"{said.before} {lead}"):
        raise Unusable("it holds tags that leave open what is meant; reply with the move alone")
    others = [*_COMMAND.finditer(said.before), *_CALL.finditer(said.before), *_MENTION.finditer(lead)]
    if said.structured and reply.action:
        others += _MENTION.finditer(f"{reply.answer} {reply.choice}")
    for other in others:
        number = other["number"]
        if _move(other["verb"]) is not action.move or (number and float(number) != action.value):
            raise Unusable("it names several moves and does not say which is final; give one")
    return action


def _last_words(text: str) -> tuple[str, str]:
    """Return the last sentence or line of a text, and what comes before."""
    last = re.split(r"[:\n;]|(?<=[.!?])\s+", text)[-1]
    return last.strip(_MARKUP), text[: len(text) - len(last)]


def _casts_doubt(before: str) -> bool:
    """Whether the words just before a move may say that it is not meant: what introduces it is known words alone."""
    words = before.rstrip(_MARKUP)
    sentences = re.split(r"\n|(?<=[.!?])\s+|(?<=[。！？])", words.strip("\n .!。！"))
    clause = re.split("[,，]", sentences[-1])[-1]
    introduces = bool(words) and words[-1] not in "\n.!。！"
    return bool(_DOUBT.search(sentences[-1])) or (
        introduces and any(not _INTRODUCING.fullmatch(word) for word in re.findall(r"[^\W\d_]+", clause.lower()))
    )


def _move(verb: str) -> Move:
    name = re.sub("[ _-]", "", verb).upper()
    return next(move for move in Move if move.value.replace("_", "") == name)


def _action(alone: re.Match[str], reply: Reply, max_forward: float) -> Action:
    move = _move(alone["verb"])
    if move is Move.STOP:
        return Action(move)
    limit, unit = (max_forward, "metres") if move is Move.FORWARD else (MAX_TURN, "degrees")
    digits, given = alone["in"] or alone["bare"], (alone["in_unit"] or alone["bare_unit"] or unit).lower()
    value = float(digits) if digits else reply.value
    if given.startswith("m") != (unit == "metres") or (digits and reply.value not in (0.0, value)):
        raise Unusable(f"{move.value} needs one number of {unit}")
    if not (math.isfinite(value) and 0 < value <= limit):
        raise Unusable(f"{move.value} needs a number of {unit} above 0 and at most {limit:g}")
    return Action(move, value)
