"""Ask a judge about open-ended and adjustment answers: docs/JUDGE.md.

The judge is any OpenAI-compatible endpoint. A run can be resumed, and replies are cached.
"""

from inserter.scoring.judge.files import judge_file
from inserter.scoring.judge.prompts import Task
from inserter.scoring.judge.run import judge
from inserter.scoring.judge.settings import JudgeSettings
from inserter.scoring.judge.usage import Usage
from inserter.scoring.questions import questions_of

__all__ = ["JudgeSettings", "Task", "Usage", "judge", "judge_file", "questions_of"]
