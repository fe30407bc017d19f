"""`params.yaml` as typed, frozen objects, one module per part. Unlisted keys are refused."""

from inserter.params.gates import Check, MinRows
from inserter.params.scoring import Benchmark, BenchmarkItems, BenchmarkVoices, Evaluate, EvaluateItems, Register, Variants
from inserter.params.section import Section
from inserter.params.speech import Augmentation, Interleave, Mixture, SecondOpinion, Synthesize, Verify, Voice
from inserter.params.text import Corpus, CorpusGate, NearDuplicates, Segment, SentenceSpans, Source, WordSpans
from inserter.params.training import Adapter, Lora, Model, Optimizer, Pretrain, Sft, SftSource, Trainable, Warmup
from inserter.params.whole import Assets, Params, checked, laid_over, load, read

__all__ = [
    "Adapter",
    "Assets",
    "Augmentation",
    "Benchmark",
    "BenchmarkItems",
    "BenchmarkVoices",
    "Check",
    "Corpus",
    "CorpusGate",
    "Evaluate",
    "EvaluateItems",
    "Interleave",
    "Lora",
    "MinRows",
    "Mixture",
    "Model",
    "NearDuplicates",
    "Optimizer",
    "Params",
    "Pretrain",
    "Register",
    "SecondOpinion",
    "Section",
    "Segment",
    "SentenceSpans",
    "Sft",
    "SftSource",
    "Source",
    "Synthesize",
    "Trainable",
    "Variants",
    "Verify",
    "Voice",
    "Warmup",
    "WordSpans",
    "checked",
    "laid_over",
    "load",
    "read",
]
