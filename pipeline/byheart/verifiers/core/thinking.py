"""What of a response is its answer: not what a reasoning model thinks before it, nor what stands after the end of the
turn, nor the marks of a chat template themselves.

Chat templates of some models write the opening tag of the thought into the prompt, so a closing tag alone ends a
thought as well.
"""

from __future__ import annotations

import re

TAGS = {
    "<think>": "</think>",  # DeepSeek-R1, Qwen 3 and most others
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<scratchpad>": "</scratchpad>",
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker, Sky-T1
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",  # gpt-oss
}
"""What opens a thought -> what ends it."""

MARKS = (
    r"<[|｜][a-zA-Z_▁\d]{3,40}[|｜]>|<(?:start|end)_of_turn>|\[INST\]|^<(?:s|bos)>"
    r"|</?(?:s|pad|eos|bos|unk)>(?=\s*(?:$|\n|<))"
)
"""The marks that chat templates set around turns: <|im_end|>, <|eot_id|>, <end_of_turn>, </s>, and so on."""

_MAYBE = re.compile("[" + "".join({re.escape(text[0]) for text in (*TAGS, *TAGS.values(), "<", "[")}) + "]")
_OPENS, _ENDS = (re.compile("|".join(map(re.escape, tags)), re.IGNORECASE) for tags in (TAGS, TAGS.values()))
_BEGIN = re.compile(rf"(?:\s*(?:{MARKS})(?:\s*(?:assistant|model)\b)?)+\s*")
_MARK = re.compile(MARKS)


def answer_part(response: str) -> str | None:
    """What follows the last thought, up to the end of the turn; None where the last thought never ends."""
    if not _MAYBE.search(response):
        return response
    start = 0
    for ended in _ENDS.finditer(response):
        opened = _OPENS.search(response, start, ended.start())
        if opened and not response[ended.end() :].strip() and response[start : opened.start()].strip():
            return response[start : opened.start()]  # the thought follows the answer
        start = ended.end()
    if _OPENS.search(response, start):
        return None
    turn = _BEGIN.match(response, start)
    start = turn.end() if turn else start
    turn_ends = _MARK.search(response, start)
    return response[start : turn_ends.start() if turn_ends else None]
