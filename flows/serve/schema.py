"""What a request may say, in the form of OpenAI's chat API, and what is refused."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.serve.errors import ApiError

# Parameters that change nothing here, or only at other values. None: at any value.
WITHOUT_EFFECT: dict[str, tuple[object, ...] | None] = {
    "user": None,
    "metadata": None,
    "service_tier": None,
    "safety_identifier": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "store": (False,),
    "n": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "stop": ([],),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (False, True),
}


class Text(BaseModel):
    """Written text."""

    type: Literal["text"]
    text: str


class AudioFile(BaseModel):
    """A sound file in base64. The file itself says what it is."""

    data: str
    format: Literal["wav", "mp3", "flac", "ogg"]


class Audio(BaseModel):
    """Speech."""

    type: Literal["input_audio"]
    input_audio: AudioFile


class System(BaseModel):
    """What the model is told beforehand."""

    role: Literal["system", "developer"]
    content: str | list[Text]


class User(BaseModel):
    """What the user says: parts in any order and number."""

    role: Literal["user"]
    content: str | list[Annotated[Text | Audio, Field(discriminator="type")]]


class Assistant(BaseModel):
    """An earlier answer."""

    role: Literal["assistant"]
    content: str | list[Text]
    tool_calls: None = None


class StreamOptions(BaseModel):
    """What a stream has besides text."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of a request. Fields that are not named here: see WITHOUT_EFFECT."""

    model_config = ConfigDict(extra="allow")
    model: str | None = None
    messages: list[Annotated[System | User | Assistant, Field(discriminator="role")]] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def limit(self) -> int | None:
        """The largest number of tokens of the answer; None: the request gives none."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def files(self) -> list[str]:
        """The sound files in base64, in the order of their turns."""
        return [part.input_audio.data for turn in self.messages for part in turn.content if isinstance(part, Audio)]

    def turns(self) -> list[dict[str, Any]]:
        """Return the turns as `InserterProcessor.apply_chat_template` takes them."""
        return [{"role": turn.role.replace("developer", "system"), "content": _parts(turn.content)} for turn in self.messages]


def _parts(content: str | list[Text] | list[Text | Audio]) -> list[dict[str, str]]:
    """Return the parts of a turn. A line break separates texts that follow each other."""
    parts: list[dict[str, str]] = []
    for part in [Text(type="text", text=content)] if isinstance(content, str) else content:
        if isinstance(part, Audio):
            parts.append({"type": "audio"})
        elif parts and parts[-1]["type"] == "text":
            parts[-1]["text"] += "\n" + part.text
        else:
            parts.append({"type": "text", "text": part.text})
    return parts


def read_chat(body: bytes) -> ChatRequest:
    """Return the request of a body. Raises ApiError (400) for one that cannot be answered."""
    try:
        asked = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        # A wrong content has one error for a string and one for each part; the inmost says most.
        inmost = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
        where = ".".join(str(place) for place in inmost["loc"])
        raise ApiError(400, f"{where or 'body'}: {inmost['msg']}", "invalid_value", param=where or None) from error
    refuse_unknown(asked.model_extra or {}, WITHOUT_EFFECT)
    if asked.seed is not None and asked.temperature:
        _unsupported("seed", "works only with temperature 0, where the answer is the same each time")
    last = asked.messages[-1]
    if not isinstance(last, User):
        raise ApiError(400, f"the last message must be a user's and has the role {last.role}", "invalid_value", param="messages")
    for number, turn in enumerate(asked.messages):
        if not any(isinstance(part, Audio) or part.strip() for part in _said(turn.content)):
            raise ApiError(400, f"messages.{number}: the content is empty", "invalid_value", param=f"messages.{number}.content")
    return asked


def _said(content: str | list[Text] | list[Text | Audio]) -> list[str | Audio]:
    return [content] if isinstance(content, str) else [part.text if isinstance(part, Text) else part for part in content]


def refuse_unknown(given: Mapping[str, object], without_effect: Mapping[str, tuple[object, ...] | None]) -> None:
    """Raise ApiError (400) for a parameter that would have an effect that cannot be had here."""
    for name, value in given.items():
        allowed = without_effect.get(name, ())
        if value is not None and allowed is not None and value not in allowed:
            _unsupported(name, "is not supported here" + (f" other than {allowed[0]!r}" if allowed else ""))


def _unsupported(name: str, why: str) -> NoReturn:
    raise ApiError(400, f"{name[:80]} {why}", "unsupported_parameter", param=name[:80])
