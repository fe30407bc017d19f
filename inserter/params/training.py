"""Training: the model's adapter, the phases, what learns in them and how fast."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from inserter.params.section import Positive, Precision, Section, Seed, Share

Steps = Annotated[int, Field(ge=0)]


class Adapter(Section):
    """kind `pooling`: stack of frames + projection (the paper's). `soft_token`: CTC over the LM's vocabulary, blanks and repeats
    dropped, posterior-weighted token embeddings. `decoder`: what Whisper's decoder writes, as embeddings of the LM's tokens, and a
    linear map of the states that wrote it; it has no other key."""

    kind: Literal["pooling", "soft_token", "decoder"]
    stride: Positive
    hidden_size: Positive
    layers: Annotated[int, Field(ge=0)]
    spelling: Annotated[int, Field(ge=0)]  # width of the tokens' letters beside their embeddings; 0: none
    top: Annotated[int, Field(ge=1, le=64)]  # tokens that a soft token is a mixture of


class Model(Section):
    """delimiters: what stands around a clip's positions: `none`, or `tokens`, <|audio_bos|> and <|audio_eos|> as in the paper."""

    delimiters: Literal["none", "tokens"]


class Trainable(Section):
    """What learns in a phase. lm: full, lora or frozen. encoder: then clips are encoded anew in every step, not once."""

    adapter: bool
    encoder: bool
    lm: Literal["full", "lora", "frozen"]

    @model_validator(mode="after")
    def _something_learns(self) -> "Trainable":
        if not (self.adapter or self.encoder or self.lm != "frozen"):
            raise ValueError("nothing would learn; for no training set steps to 0")
        return self


class Optimizer(Section):
    """AdamW (betas .9/.98), linear warm-up, cosine to 10 %. Separate rates for adapter, encoder and LM."""

    adapter_lr: Annotated[float, Field(ge=0)]
    encoder_lr: Annotated[float, Field(ge=0)]
    lm_lr: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Annotated[float, Field(gt=0)]
    warmup_share: Share


class Warmup(Section):
    """The adapter before pre-training: made from the seed; `soft_token` then learns to spell the LM's tokens, by CTC, alone.

    steps 0 leaves that out. negatives: sampled tokens a batch. weight_decay, clip, warmup_share: as in Optimizer.
    """

    seed: Seed
    adapter: Adapter
    steps: Steps
    batch_seconds: Annotated[float, Field(gt=0)]
    lr: Annotated[float, Field(gt=0)]
    negatives: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Annotated[float, Field(gt=0)]
    warmup_share: Share
    precision: Precision
    checkpoint_steps: Positive
    keep_checkpoints: Positive


class Pretrain(Section):
    """steps 0: no pre-training. batch_positions: text and speech positions a step, over all processes. micro_positions: of them at
    a time in each process (gradient accumulation), which memory goes by. gradient_checkpointing: layers are computed again in the
    backward pass instead of kept. checkpoint_steps: between two resume points, of which the last keep_checkpoints are kept.
    gap_steps: between two measurements of the gap on held-out contexts, in one process, and after the last; 0: `evaluate` alone
    measures it. distill: share of the loss after speech that is KL(read || heard), of the LM as it is when it reads the same text;
    the rest is the cross-entropy, and so is all of it where nothing is heard."""

    seed: Seed
    steps: Steps
    distill: Share
    batch_positions: Positive
    micro_positions: Positive
    gradient_checkpointing: bool
    trainable: Trainable
    optimizer: Optimizer
    gap_steps: Steps
    precision: Precision
    checkpoint_steps: Positive
    keep_checkpoints: Positive


class Sft(Section):
    """prompts: how many are written by the generator; those that the LM answers correctly by the checks are kept.

    samples: answers that are tried for each prompt, the first of them greedy, until one passes. rewrite: where none does, the
    last is edited until it does (stages/sft/rewrite.py).
    spoken_share: of the pairs that are heard rather than read. replay_share: pre-training sequences mixed in. The rest: as in
    Pretrain.
    """

    seed: Seed
    prompts: Positive
    samples: Positive
    rewrite: bool
    max_new_tokens: Positive
    spoken_share: Share
    replay_share: Annotated[float, Field(ge=0, lt=1)]
    steps: Positive
    batch_positions: Positive
    micro_positions: Positive
    gradient_checkpointing: bool
    trainable: Trainable
    optimizer: Optimizer
    precision: Precision
    checkpoint_steps: Positive
    keep_checkpoints: Positive
