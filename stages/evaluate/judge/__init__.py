"""A judge for open-ended and adjustment answers, any OpenAI-compatible endpoint: resumable, cached. docs/JUDGE.md."""

from stages.common.questions import questions_of
from stages.evaluate.judge.files import judge_file
from stages.evaluate.judge.prompts import Task
from stages.evaluate.judge.run import judge
from stages.evaluate.judge.settings import JudgeSettings
from stages.evaluate.judge.usage import Usage

__all__ = ["JudgeSettings", "Task", "Usage", "judge", "judge_file", "questions_of"]
