"""The 25 verifiable instruction types of SpeechInstructBench (IFEval's, with Chinese rules): docs/SCORING.md.

`check` for one instruction, `verdicts` for a response with all of its instructions, strict and loose.
"""

from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.ifeval.registry import CHECKS, Check
from inserter.scoring.ifeval.verdicts import check, loose_forms, verdicts, without_marker

__all__ = ["CHECKS", "Check", "Mode", "Unscorable", "check", "loose_forms", "verdicts", "without_marker"]
