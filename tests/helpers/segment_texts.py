"""Documents for the tests of spans."""

from inserter.text.words import count_words

SENTENCE = "We met Mr. Smith in the U.S. Capitol, and he said, as he often does, that all was well. "


CHINESE = "今年春天，我们在北京的老城里遇见了史密斯先生，他像往常一样说：“一切都很好！”"


def document(name: str, text: str, split: str = "train", language: str = "en") -> dict:
    values = {"doc_id": name, "source": "s", "license": "l", "weight": 1.0, "language": language, "split": split, "text": text}
    return values | {"n_words": count_words(text)}
