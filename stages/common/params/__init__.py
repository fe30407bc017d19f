"""`params.yaml` as typed, frozen objects, a module for each part. A key that is not listed there is refused."""

from stages.common.params.gates import Check, MinRows
from stages.common.params.scoring import Benchmark, BenchmarkItems, BenchmarkVoices, Evaluate, EvaluateItems, Register, Variants
from stages.common.params.section import Section
from stages.common.params.speech import Augmentation, Interleave, Mixture, SecondOpinion, Synthesize, Verify, Voice
from stages.common.params.text import Corpus, CorpusGate, NearDuplicates, Segment, SentenceSpans, Source, WordSpans
from stages.common.params.training import Adapter, Model, Optimizer, Pretrain, Sft, Trainable, Warmup
from stages.common.params.whole import Assets, Params, checked, laid_over, load, read

__all__ = [
    "Adapter", "Assets", "Augmentation", "Benchmark", "BenchmarkItems", "BenchmarkVoices", "Check", "Corpus", "CorpusGate",
    "Evaluate", "EvaluateItems", "Interleave", "MinRows", "Mixture", "Model", "NearDuplicates", "Optimizer", "Params", "Pretrain",
    "Register", "SecondOpinion", "Section", "Segment", "SentenceSpans", "Sft", "Source", "Synthesize", "Trainable", "Variants",
    "Verify", "Voice", "Warmup", "WordSpans", "checked", "laid_over", "load", "read",
]  # fmt: skip
