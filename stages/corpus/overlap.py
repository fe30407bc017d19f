"""Near duplicates (MinHash over word shingles) and overlap with the benchmark's prompts (word n-grams)."""

import re
from collections.abc import Iterable, Iterator

from stages.common.params import NearDuplicates

HAN = r"\u3400-\u9fff"
WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, and each Chinese character: what overlap is measured on."""
    return WORD.findall(text.lower().replace("’", "'"))


def ngrams(text: str, size: int) -> Iterator[str]:
    found = words(text)
    return (" ".join(found[i : i + size]) for i in range(len(found) - size + 1))


class NearDuplicateIndex:
    """Texts seen so far, by the Jaccard similarity of their word shingles (MinHash LSH, datasketch)."""

    def __init__(self, params: NearDuplicates) -> None:
        from datasketch import MinHashLSH

        self.params = params
        # A false candidate costs one comparison, a missed one stays in the corpus: weigh misses 9 to 1.
        self.index = MinHashLSH(threshold=params.threshold, num_perm=params.permutations, weights=(0.1, 0.9))
        self.hashes: dict[str, object] = {}

    def seen(self, key: str, text: str) -> str | None:
        """The key of an earlier text that is about the same; otherwise `text` joins the index and the answer is None."""
        from datasketch import MinHash

        minhash = MinHash(num_perm=self.params.permutations)
        minhash.update_batch([shingle.encode() for shingle in set(ngrams(text, self.params.shingle_words))])
        for other in sorted(self.index.query(minhash)):
            if minhash.jaccard(self.hashes[other]) >= self.params.threshold:
                return other
        self.index.insert(key, minhash)
        self.hashes[key] = minhash
        return None


class Contamination:
    """The word n-grams of the benchmark's prompts. A prompt shorter than n words has none and cannot be looked for."""

    def __init__(self, prompts: Iterable[str], size: int) -> None:
        self.size = size
        self.grams: set[str] = set()
        self.prompts = self.too_short = 0
        for prompt in prompts:
            found = set(ngrams(prompt, size))
            self.grams |= found
            self.prompts += 1
            self.too_short += not found

    def found_in(self, text: str) -> bool:
        return any(gram in self.grams for gram in ngrams(text, self.size))
