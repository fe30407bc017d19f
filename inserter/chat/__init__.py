"""Ask a model behind an OpenAI-style chat API: the judge, and any model that is measured."""

from inserter.chat.client import ChatClient, GaveUp
from inserter.chat.completions import Completions, Reply
from inserter.chat.form import Message
from inserter.chat.settings import ChatSettings, Secret, Variables

__all__ = ["ChatClient", "ChatSettings", "Completions", "GaveUp", "Message", "Reply", "Secret", "Variables"]
