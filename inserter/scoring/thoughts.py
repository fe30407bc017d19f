"""Reasoning models think aloud before they answer. What they think is no answer, and a draft in it is no verdict."""

import re

NAME = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|思考(?:过程)?|推理(?:过程)?)"
# <think>, <thinking budget=3>, [THINK], ◁think▷, 【思考】, <|begin_of_thought|>, <|START_THINKING|>, <|channel>thought
OPENING = rf"<{NAME}(?:\s[^<>]*)?>|\[THINK\]|◁{NAME}▷|【{NAME}】|<\|(?:begin|start)_(?:of_)?{NAME}\|>|<\|channel>\w*"
CLOSING = rf"</\s*{NAME}\s*>|\[/THINK\]|◁/{NAME}▷|【/{NAME}】|<\|end_(?:of_)?{NAME}\|>|<channel\|>"
MARK = re.compile(rf"(?P<opening>{OPENING})|{CLOSING}", re.IGNORECASE)
# gpt-oss's channels, <|channel|>final<|message|>…, and the same when a server left the special tokens out
CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?(?:<\|message\|>)?")
CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
BARE_ANALYSIS, BARE_FINAL = re.compile(r"\s*analysis(?=[^\s.:,;!?'’])"), "assistantfinal"


def said(text: str) -> str | None:
    """`text` without its thoughts; None when it ends inside them, so that nothing was said.

    A closing mark alone ends thoughts that began before the text: some chat templates write the opening one.
    """
    answer = _final_channel(text)
    if answer is None:
        return None
    kept: list[str] = []
    depth = start = 0
    for mark in MARK.finditer(answer):
        if mark["opening"]:
            if depth == 0:
                kept.append(answer[start : mark.start()])
            depth += 1
            continue
        if depth == 0:
            kept = []
        depth, start = max(0, depth - 1), mark.end()
    return None if depth else "".join([*kept, answer[start:]])


def _final_channel(text: str) -> str | None:
    """The last channel of gpt-oss's, None where that is not the final one; the text itself where it has no channels."""
    channels = list(CHANNEL.finditer(text))
    if channels:
        return CHANNEL_END.split(text[channels[-1].end() :])[0] if channels[-1][1].lower() == "final" else None
    if BARE_ANALYSIS.match(text):
        return text.rpartition(BARE_FINAL)[2] if BARE_FINAL in text else None
    return text
