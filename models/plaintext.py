"""Encode text from outside with ordinary tokens only: control tokens come from our structure alone.

`split_special_tokens` is not enough for two reasons. The option covers the tokens that are marked
special, but not the other added tokens. And the vocabulary's model may know a control token as a
word of its own (Unigram, WordPiece, BPE with `ignore_merges`). Text is therefore encoded by a twin
of the tokenizer. In the twin, every control token has another name, which no text can guess.
"""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from models.configuration import SPEECH_TOKENS

# Takes the place of a text while the template is rendered. A template that changes texts changes
# the hole too, and is refused.
HOLE = 'hOle<{}>&"'
HOLES = re.compile(re.escape(HOLE).replace(r"\{\}", r"(\d+)"))


class Turn(TypedDict):
    """One turn of a chat."""

    role: str
    content: Sequence[str | None]
    """Texts, and None for a clip."""


class PlainText:
    """Encodes text, and chats that hold text, with the tokenizer of an LM.

    The tokenizer is one of transformers, with a backend of `tokenizers`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, span: Sequence[str] = SPEECH_TOKENS) -> None:
        """Build the twin of `tokenizer`.

        span: the control tokens that stand for a clip.

        Raises ValueError for a tokenizer of another kind, whose treatment of control tokens is
        unknown.
        """
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise ValueError(f"{type(tokenizer).__name__} is a tokenizer without a tokenizer.json")
        self.tokenizer, self.backend, self.span = tokenizer, backend, "".join(span)
        self._twin, self._names, unknown = _twin(backend)
        # The unknown token is legitimate in text: it stands for a letter that the vocabulary lacks.
        self._control = self._names.keys() - {unknown}

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, with none added before or after.

        The ids are those that the tokenizer gives to a text without control tokens.
        """
        return self._encode(text, [])

    def encode_all(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Return the result of `encode` for each text, computed on all cores."""
        distinct = list(dict.fromkeys(texts))
        encodings = self._twin.encode_batch_fast([_whole(text) for text in distinct], add_special_tokens=False)
        return {text: self._checked(found.ids, text, []) for text, found in zip(distinct, encodings, strict=True)}

    def encode_placed(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of `text`, and the character range in `text` of each token."""
        encoding = self._twin.encode(_whole(text), add_special_tokens=False)
        return self._checked(encoding.ids, text, []), encoding.offsets

    def chat(self, turns: Sequence[Turn], **template: Any) -> list[int]:
        """Return the ids of `turns` in the LM's chat template.

        All control tokens are those of the template and of the clips.

        template: arguments of the template besides the turns.

        Raises ValueError for a template that loses or changes a text.
        """
        holed, texts = self._holed(turns, template)
        encoding = self.backend.encode(holed, add_special_tokens=False)
        control = [(span, number) for span, number in zip(encoding.offsets, encoding.ids, strict=True) if number in self._control]
        named, at = "", 0
        for (start, end), number in control:
            named += holed[at:start] + self._names[number]
            at = end
        return self._encode(_filled(named + holed[at:], texts), [number for _, number in control])

    def render(self, turns: Sequence[Turn], **template: Any) -> str:
        """Return what `chat` encodes, as a string for people.

        The string does not show which control tokens are text.
        """
        return _filled(*self._holed(turns, template))

    def _encode(self, text: str, control: list[int]) -> list[int]:
        """Return the ids of a text for the twin, in which exactly `control` appear by name."""
        return self._checked(self._twin.encode(_whole(text), add_special_tokens=False).ids, text, control)

    def _checked(self, ids: list[int], text: str, control: list[int]) -> list[int]:
        if [number for number in ids if number in self._control] != control:
            raise ValueError(f"the LM's tokenizer turns ordinary text into control tokens: {text[:80]!r}")
        return ids

    def _holed(self, turns: Sequence[Turn], template: dict[str, Any]) -> tuple[str, list[str]]:
        """Return the rendered template with a hole for each text, and the texts.

        The blanks around a text are left to the template.
        """
        texts: list[str] = []

        def hole(part: str | None) -> str:
            core = (part or "").strip()
            if part is None or not core:
                return self.span if part is None else part
            texts.append(core)
            before, after = part.split(core, 1)
            return before + HOLE.format(len(texts) - 1) + after

        messages = [{"role": _role(turn["role"]), "content": "".join(map(hole, turn["content"]))} for turn in turns]
        rendered = str(self.tokenizer.apply_chat_template(messages, **{**template, "tokenize": False}))
        lost = set(range(len(texts))) - {int(number) for number in HOLES.findall(rendered)}
        if lost:
            raise ValueError(f"the LM's chat template loses or changes the text {texts[min(lost)][:80]!r} (chat_template.jinja)")
        return rendered, texts


def _whole(text: str) -> str:
    """Return `text` with a question mark for each lone half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _filled(holed: str, texts: list[str]) -> str:
    return HOLES.sub(lambda found: texts[int(found[1])], holed)


def _role(role: str) -> str:
    if not role.isidentifier():
        raise ValueError(f"the role of a turn must be one word, such as user, and is {role[:80]!r}")
    return role


def _twin(backend: Tokenizer) -> tuple[Tokenizer, dict[int, str], int | None]:
    """Return a twin with renamed control tokens, the names by id, and the unknown token's id.

    Every added token counts as a control token, special or not. Blanks do not count: some LMs add
    runs of blanks to write code.
    """
    state = json.loads(backend.to_str())
    secret = secrets.token_hex(16)
    control = [token for token in state["added_tokens"] if token["content"].replace("▁", " ").strip()]
    renamed = {token["content"]: f"{secret}{token['id']:08x}" for token in control}
    names = {token["id"]: renamed[token["content"]] for token in control}
    for token in control:
        token["content"] = names[token["id"]]
    unknown = _unknown(state["model"])
    _rename(state["model"], renamed)
    twin = Tokenizer.from_str(json.dumps(state | {"post_processor": None, "truncation": None, "padding": None}))
    if any(twin.token_to_id(name) != number for number, name in names.items()):
        raise ValueError("the LM's tokenizer has added tokens whose ids cannot be reproduced (tokenizer.json)")
    return twin, names, unknown


def _unknown(model: dict[str, Any]) -> int | None:
    if model["type"] == "Unigram":
        return model["unk_id"]
    return model["vocab"].get(model.get("unk_token"))


def _rename(model: dict[str, Any], renamed: dict[str, str]) -> None:
    """Rename tokens in the state of a `tokenizers` model.

    Merges that would make or use a renamed token are dropped.
    """
    if model["type"] == "Unigram":
        model["vocab"] = [[renamed.get(piece, piece), score] for piece, score in model["vocab"]]
        return
    model["vocab"] = {renamed.get(token, token): number for token, number in model["vocab"].items()}
    if model.get("unk_token"):
        model["unk_token"] = renamed.get(model["unk_token"], model["unk_token"])
    if "merges" in model:
        prefix = model["continuing_subword_prefix"] or ""
        model["merges"] = [[a, b] for a, b in model["merges"] if not {a, b, a + b.removeprefix(prefix)} & renamed.keys()]
