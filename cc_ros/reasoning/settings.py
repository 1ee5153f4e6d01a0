"""Every knob of the reasoner, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from cc_ros.encodings import SENT_QUALITY
from cc_ros.errors import SettingsError
from cc_ros.geometry.goals import GoalRules
from cc_ros.keyframes.keyframes import MAX_FRAMES
from cc_ros.reasoning.llm.presets import PRESETS
from cc_ros.reasoning.types import Style
from cc_ros.settings import a_file, a_folder, knob


def ids_of(text: str) -> tuple[int, ...]:
    """Return the ids that a text lists.

    :raises SettingsError: it lists something else.
    """
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise SettingsError(f"ids such as 3,7 are wanted, got {text!r}") from None


@dataclass(frozen=True)
class GoalSettings:
    """Where a robot is sent to."""

    goal_distance: float = knob(0.8, "goals keep so far from the object's edge, over ground, in m", ge=0.0, le=100.0)
    robot_radius: float = knob(0.25, "goals, and the way there, keep so far from everything, in m", ge=0.01, le=5.0)
    goal_sigma: float = knob(
        0.4, "no goal for an object whose place is less certain than this standard deviation, in m", ge=0.01, le=10.0
    )

    @property
    def rules(self) -> GoalRules:
        """The same for the geometry."""
        return GoalRules(self.goal_distance, self.robot_radius, self.goal_sigma)


@dataclass(frozen=True)
class CaptionSettings:
    """Which models say what keyframes of the memory show, for questions in words. By default none is asked."""

    caption_model: str = knob("", "model that says in words what keyframes show; empty = none is asked")
    embedding_model: str = knob("", "model that turns captions into vectors; empty = they are searched by words alone")
    base_url: str = knob("", "endpoint of the caption model; empty = OPENAI_BASE_URL, else the preset's")
    embedding_base_url: str = knob(
        "", "endpoint of the embedding model; empty = that of the caption model, with its preset and key"
    )
    embedding_key_env: str = knob(
        "", "name of the environment variable with the key of embedding_base_url; empty = that of its host's preset"
    )
    preset: str = knob("", "kind of server; empty = told from base_url, else openai", choices=("", *PRESETS))
    key_env: str = knob("", "name of the environment variable that holds the key; empty = the preset's")
    key_file: str = knob("", "file with the key, mode 0600, instead of an environment variable", valid=a_file)
    captions_per_minute: float = knob(6.0, "captions of a minute of the stream, spread evenly", ge=0.01, le=600.0)


@dataclass(frozen=True)
class ReasonerSettings:
    """Which model to ask, how, and how much of it.

    The key is no setting: it is read from an environment variable or a file.
    """

    base_url: str = knob("", "chat endpoint, e.g. http://127.0.0.1:8000/v1; empty = OPENAI_BASE_URL, else the preset's")
    preset: str = knob("", "kind of server; empty = told from base_url, else openai", choices=("", *PRESETS))
    model: str = knob("", "model name as the server knows it; empty = the preset's, or the one that a local server has")
    key_env: str = knob("", "name of the environment variable that holds the key; empty = the preset's")
    key_file: str = knob("", "file with the key, mode 0600, instead of an environment variable", valid=a_file)
    structured: str = knob(
        "auto",
        "how the server is made to answer in JSON: a schema, any JSON, or by being told so; auto = as the preset knows",
        choices=("auto", "json_schema", "json_object", "told"),
    )
    prefer: str = knob(
        "model",
        "who answers a question about marks that both could: the model, or geometry measured from the marks",
        choices=("model", "geometry"),
    )
    tools: bool = knob(
        True, "let the model measure by calling tools; one whose server takes none gets what was measured in the prompt"
    )
    style: str = knob(Style.MARKS.value, "marking and prompting style", choices=tuple(s.value for s in Style))
    frames: int = knob(0, "keyframes a question; 0 = as the keyframe step is configured", ge=0, le=MAX_FRAMES)
    marks: int = knob(0, "marks a question (K); 0 = as the keyframe step is configured", ge=0, le=200)
    blur_marks: str = knob(
        "", "ids of marked objects to blur before pictures leave the machine, e.g. 3,7", valid=ids_of
    )
    prompts_dir: str = knob("", "folder whose text files replace the prompts of the same name", valid=a_folder)
    timeout: float = knob(60.0, "seconds until an answer must be there", ge=0.1, le=3600)
    retries: int = knob(
        3, "how often a request is sent again after a fault of the server or the connection", ge=0, le=20
    )
    backoff: float = knob(0.5, "seconds before the first retry; doubles with each, with jitter", ge=0.0, le=60)
    temperature: float = knob(
        -1.0, "randomness of the model; negative = leave it to the server, as many models want", ge=-1, le=2
    )
    max_answer_tokens: int = knob(0, "longest answer in tokens, with thoughts; 0 = as the preset says", ge=0, le=65536)
    max_image_side: int = knob(1280, "pictures are scaled down to this many pixels on the longer side", ge=64, le=8192)
    jpeg_quality: int = knob(SENT_QUALITY, "JPEG quality of pictures that are scaled down", ge=10, le=100)
    image_detail: str = knob("auto", "detail level, where the server has them", choices=("auto", "low", "high"))
    max_parallel: int = knob(2, "questions at the model at once", ge=1, le=64)
    max_queue: int = knob(8, "questions that may wait; one more is refused at once", ge=0, le=1000)
    breaker_failures: int = knob(5, "faults in a row after which the server is left alone", ge=1, le=1000)
    breaker_seconds: float = knob(30.0, "for how long it is left alone", ge=0.1, le=3600)
    cache_seconds: float = knob(
        60.0, "the same question about the same pictures is not sent again for so long", ge=0, le=86400
    )
    max_requests_per_hour: int = knob(0, "requests to the model; 0 = no limit", ge=0)
    max_requests: int = knob(0, "requests in all; 0 = no limit", ge=0)
    max_tokens_per_hour: int = knob(0, "tokens to and from the model; 0 = no limit", ge=0)
    max_tokens: int = knob(0, "tokens in all; 0 = no limit", ge=0)
    max_cost_per_hour: float = knob(0.0, "money; 0 = no limit; needs the prices", ge=0)
    max_cost: float = knob(0.0, "money in all; 0 = no limit; needs the prices", ge=0)
    price_prompt: float = knob(0.0, "price of a million prompt tokens", ge=0)
    price_answer: float = knob(0.0, "price of a million answer tokens", ge=0)
    history_tokens: int = knob(16000, "navigation: size of the conversation kept; the oldest pictures go first", ge=500)
    max_forward: float = knob(5.0, "navigation: longest move in metres", ge=0.1, le=100)
