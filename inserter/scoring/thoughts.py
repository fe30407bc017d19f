"""Remove the thoughts that a reasoning model writes before its answer.

Thoughts are no answer, and a draft in them is no verdict.
"""

import re

NAME = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|思考(?:过程)?|推理(?:过程)?)"
# <think>, <thinking budget=3>, [THINK], ◁think▷, 【思考】, <|begin_of_thought|>,
# <|START_THINKING|>, <|channel>thought
OPENING = rf"<{NAME}(?:\s[^<>]*)?>|\[THINK\]|◁{NAME}▷|【{NAME}】|<\|(?:begin|start)_(?:of_)?{NAME}\|>|<\|channel>\w*"
CLOSING = rf"</\s*{NAME}\s*>|\[/THINK\]|◁/{NAME}▷|【/{NAME}】|<\|end_(?:of_)?{NAME}\|>|<channel\|>"
MARK = re.compile(rf"(?P<opening>{OPENING})|{CLOSING}", re.IGNORECASE)
# The channels of gpt-oss, <|channel|>final<|message|>…, also if a server left out the special
# tokens.
CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?(?:<\|message\|>)?")
CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
BARE_ANALYSIS, BARE_FINAL = re.compile(r"\s*analysis(?=[^\s.:,;!?'’])"), "assistantfinal"


def said(text: str) -> str | None:
    """Return `text` without its thoughts; None if it ends inside them, so that nothing was said.

    A closing mark alone ends thoughts that began before the text: some chat templates write the
    opening mark.
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
    """Return the last channel of gpt-oss, or None if that is not the final one.

    A text without channels is returned as it is.
    """
    channels = list(CHANNEL.finditer(text))
    if channels:
        return CHANNEL_END.split(text[channels[-1].end() :])[0] if channels[-1][1].lower() == "final" else None
    if BARE_ANALYSIS.match(text):
        return text.rpartition(BARE_FINAL)[2] if BARE_FINAL in text else None
    return text
