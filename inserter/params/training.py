"""Parameters of training: the adapter, the phases, what learns in them and how fast."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from inserter.params.section import Distinct, Positive, Precision, Section, Seed, Share

Steps = Annotated[int, Field(ge=0)]
Recompute = Literal["none", "selective", "full"]
"""What the backward pass computes again instead of keeping it (inserter/training/recompute.py).

- `none`: nothing.
- `selective`: all of a layer except the results of its matrix products and its attention.
- `full`: each layer as a whole.
"""


class Adapter(Section):
    """The adapter between the speech encoder and the LM. `decoder` uses none of the other keys."""

    kind: Literal["pooling", "stacking", "soft_token", "decoder"]
    """Which adapter is used.

    - `pooling`: the encoder averages its frames before its last layer norm, and one linear layer
      projects them to the LM's width, as in the paper (Qwen2-Audio).
    - `stacking`: one linear layer projects frames that are side by side.
    - `soft_token`: CTC over the LM's vocabulary. Blanks and repeats are dropped, and the rest
      becomes posterior-weighted token embeddings.
    - `decoder`: what Whisper's decoder writes, as embeddings of the LM's tokens, plus a linear map
      of the decoder states that wrote the tokens.
    """
    stride: Positive
    """Encoder frames (50 per second) that become one: averaged by `pooling`, else side by side."""
    hidden_size: Positive
    """`soft_token`: width of the convolution blocks before the CTC head."""
    layers: Annotated[int, Field(ge=0)]
    """`soft_token`: number of convolution blocks."""
    spelling: Annotated[int, Field(ge=0)]
    """`soft_token`: width of the tokens' letters beside their embeddings; 0: none."""
    top: Annotated[int, Field(ge=1, le=64)]
    """`soft_token`: tokens that a soft token is a mixture of."""


class Model(Section):
    """How the model sees clips among text."""

    delimiters: Literal["none", "tokens"]
    """What stands around the positions of a clip.

    `tokens` are <|audio_bos|> and <|audio_eos|>, as in the paper.
    """


class Lora(Section):
    """LoRA of the LM, if `trainable.lm` is `lora`. After training, the matrices are merged."""

    rank: Positive
    alpha: Positive
    """The matrices' product is scaled by alpha / rank."""
    targets: Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1), Distinct]
    """Linear layers of the LM that get matrices.

    `all-linear`: all but the head. Otherwise: names of the LM, or ends of names, like `q_proj`.
    """
    dropout: Annotated[float, Field(ge=0, lt=1)]
    """Share of the matrices' input that is zeroed in a training step."""


class Trainable(Section):
    """What learns in a phase."""

    adapter: bool
    encoder: bool
    """If the encoder learns, clips are encoded again in every step instead of once."""
    lm: Literal["full", "lora", "frozen"]
    lora: Lora

    @model_validator(mode="after")
    def _something_learns(self) -> "Trainable":
        if not (self.adapter or self.encoder or self.lm != "frozen"):
            raise ValueError("no part is trainable; to train nothing, set steps to 0")
        return self


class Optimizer(Section):
    """AdamW (betas 0.9 and 0.98) with linear warm-up and cosine decay to 10 % of the rate.

    Adapter, encoder and LM have separate learning rates.
    """

    adapter_lr: Annotated[float, Field(ge=0)]
    encoder_lr: Annotated[float, Field(ge=0)]
    lm_lr: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Annotated[float, Field(gt=0)]
    """Largest norm of the gradient; a longer gradient is scaled down."""
    warmup_share: Share
    """Share of the steps in which the rates rise."""


class Warmup(Section):
    """The adapter before pre-training.

    The adapter is initialised from the seed. A `soft_token` adapter then learns alone, by CTC, to
    spell the LM's tokens. The fields weight_decay, clip and warmup_share are as in Optimizer.
    """

    seed: Seed
    adapter: Adapter
    steps: Steps
    """Steps of CTC; 0 leaves CTC out."""
    batch_seconds: Annotated[float, Field(gt=0)]
    """Most seconds of padded audio per batch."""
    lr: Annotated[float, Field(gt=0)]
    negatives: Positive
    """Tokens that are sampled per batch, in addition to those of the targets."""
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Annotated[float, Field(gt=0)]
    warmup_share: Share
    precision: Precision
    checkpoint_steps: Positive
    keep_checkpoints: Positive


class Pretrain(Section):
    """Pre-training on interleaved sequences."""

    seed: Seed
    from_: Annotated[Literal["base", "champion"], Field(alias="from")]
    """Which weights training begins with.

    - `base`: those of `assets`, and the adapter of `warmup`.
    - `champion`: those of the registered champion, which has to have the same LM, encoder and
      adapter. A new champion alone does not make the stage run again.
    """
    steps: Steps
    """0: no pre-training. Without effect if `minutes` is given."""
    minutes: Annotated[float, Field(gt=0)] | None
    """If given, as many steps as fit into this time, at the rate that the machine reaches.

    The rate is measured before the first step, and the number of steps is kept with the unfinished
    work. The minutes are those of the steps alone. What encodes the clips beforehand, measures the
    gap or writes a resume point comes on top. Another machine makes another number of steps.
    """
    distill: Share
    """Share of the loss after speech that is KL(read || heard); the rest is cross-entropy.

    "read" is the current LM when it reads the same text. Where nothing is heard, the whole loss is
    cross-entropy.
    """
    batch_positions: Positive
    """Text and speech positions per step, over all ranks."""
    micro_positions: Positive
    """Positions per micro-batch of a rank (gradient accumulation); memory depends on them."""
    gradient_checkpointing: Recompute
    compile: bool
    """Whether the LM's layers are compiled (torch.compile).

    It takes half a minute and a C++ compiler, and pays in runs of many steps. Needs
    `gradient_checkpointing: none`.
    """
    trainable: Trainable
    optimizer: Optimizer
    gap_steps: Steps
    """Steps between two measurements of the gap on held-out contexts.

    The gap is also measured after the last step; with several ranks, only then. With 0, only
    `evaluate` measures the gap.
    """
    precision: Precision
    checkpoint_steps: Positive
    """Steps between two resume points."""
    keep_checkpoints: Positive
    """Number of resume points to keep, the newest ones."""

    @model_validator(mode="after")
    def _compiled_layers_keep_activations(self) -> "Pretrain":
        # A checkpoint is compiled as a whole or not at all, and attention is left out.
        if self.compile and self.gradient_checkpointing != "none":
            raise ValueError("compile: true needs gradient_checkpointing: none")
        return self


class SftSource(Section):
    """One source of conversations for fine-tuning (docs/TRAINING.md)."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
    """Part of the ids of its conversations and clips: letters, digits, `_` and `-`."""
    kind: Literal["local", "hub"]
    path: str
    """What to read, by kind.

    - `local`: a file, folder or glob of .jsonl, .json or .parquet; JSON also as .gz or .zst.
    - `hub`: org/name or org/name:configuration, or a local folder laid out like a data set of the
      hub.
    """
    split: str = "train"
    """Split of a hub data set."""
    form: Literal["heard", "read", "both"] = "heard"
    """How the user's turns are learnt from.

    - `heard`: as their audio. If a conversation has no audio, voices speak the user's turns.
    - `read`: as text. Audio needs a transcript.
    - `both`: in each of the two forms that the conversation can have.
    """
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often a conversation is learnt from, relative to a generated pair.

    At 2 each conversation stands twice among the examples. At 0.5 half of them are drawn.
    """
    language: str = "en"
    """ISO 639-1 code of the language that is spoken."""
    license: str = "unknown"
    limit: Positive | None = None
    """Most rows that are read; null: no limit."""


class Sft(Section):
    """Fine-tuning on conversations. The fields that Pretrain has too mean the same."""

    seed: Seed
    sources: Annotated[tuple[SftSource, ...], Distinct]
    """Conversations of one's own, beside the generated pairs; [] for none."""
    prompts: Annotated[int, Field(ge=0)]
    """Prompts that the generator writes; those that the LM answers correctly by the checks stay.

    0: no generated pairs. There must then be `sources`.
    """
    samples: Positive
    """Answers that are tried per prompt until one passes its checks; the first is greedy."""
    rewrite: bool
    """If no answer passes, edit the last one until it does (stages/sft/rewrite.py)."""
    max_new_tokens: Positive
    """Longest answer, in tokens."""
    spoken_share: Share
    """Share of the generated pairs that are heard instead of read."""
    replay_share: Annotated[float, Field(ge=0, lt=1)]
    """Share of all positions that pre-training sequences get, from 0 to below 1."""
    replay_speech: bool
    """Whether these sequences may have speech; false: only those of text alone."""
    steps: Positive
    batch_positions: Positive
    micro_positions: Positive
    gradient_checkpointing: Recompute
    trainable: Trainable
    optimizer: Optimizer
    precision: Precision
    checkpoint_steps: Positive
    keep_checkpoints: Positive

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> "Sft":
        if not (self.prompts or self.sources):
            raise ValueError("prompts: 0 needs sources")
        return self
