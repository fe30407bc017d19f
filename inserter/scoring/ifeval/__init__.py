"""Check the 25 verifiable instruction types of SpeechInstructBench: docs/SCORING.md.

The types are IFEval's, with rules for Chinese. `check` checks one instruction. `verdicts` checks a
response against all of its instructions, strictly and loosely.
"""

from inserter.scoring.ifeval.arguments import Mode, Unscorable
from inserter.scoring.ifeval.registry import CHECKS, Check
from inserter.scoring.ifeval.verdicts import check, loose_forms, verdicts, without_marker

__all__ = ["CHECKS", "Check", "Mode", "Unscorable", "check", "loose_forms", "verdicts", "without_marker"]
