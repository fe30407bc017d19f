"""From what is known of a clip to positions of the LM. Three adapters behind one interface: `forward` gives a tensor a clip."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.ear import split_rows
from models.spelling import spelling_vectors

FRAMES = 512
FLOOR = 0.1  # to a channel's spread: one that says nothing stays quiet


class ConvBlock(nn.Module):
    """Depthwise convolution (context of 9 frames) and a pointwise MLP, residual; padding frames stay zero.

    An MLP over stacked frames sees no context and stayed at 20 % token error however much it was fed;
    subword targets (case, word starts, long words) need the neighbours.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 9, padding=4, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        mixed = self.depthwise((frames * real).transpose(1, 2)).transpose(1, 2)
        return (frames + self.contract(F.gelu(self.expand(self.norm(mixed))))) * real


class PoolingAdapter(nn.Module):
    """The paper's: `stride` frames side by side, one projection to the LM's width."""

    def __init__(self, encoder_width: int, lm_width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.project = nn.Linear(stride * encoder_width, lm_width)

    def forward(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Encoder states (clips, frames, width) with `lengths` (clips,) -> for each clip (ceil(length / stride), LM width).

        `embeddings` (the LM's table) is not used.
        """
        pooled = self.project(stack(states, lengths, self.stride))
        return [row[:n] for row, n in zip(pooled, stacked_lengths(lengths, self.stride).tolist(), strict=True)]


class SoftTokenAdapter(nn.Module):
    """CTC over the LM's own vocabulary; blanks and repeats dropped; what is kept becomes Σ p(k)·E(k) over the `top` tokens.

    All 49 k tokens blur what is heard: before the LM learns anything a warmed-up adapter closes 0.67 of the gap with them, with the
    best 8 tokens 0.73, 4 0.75, 2 0.75, 1 0.77; the loss after what was heard is least with 4.

    The LM so receives a mixture of its own token embeddings, at about the rate of text. `E` is the LM's table as it is now.
    A frame is compared with every token's embedding and with its letters (`spellings`): a few hours of speech teach a tenth of
    the vocabulary, and by their letters 17 % of the tokens that were never taught were spelled, against 5 % without.
    """

    spellings: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        encoder_width: int,
        lm_width: int,
        vocabulary: int,
        stride: int,
        hidden_size: int,
        layers: int,
        spelling: int,
        top: int,
    ) -> None:
        super().__init__()
        self.stride, self.top = stride, top
        self.project = nn.Linear(stride * encoder_width, hidden_size)
        self.blocks = nn.ModuleList(ConvBlock(hidden_size) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.query = nn.Linear(hidden_size, lm_width + spelling)
        self.blank = nn.Linear(hidden_size, 1)
        self.register_buffer("mean", torch.zeros(encoder_width))
        self.register_buffer("spread", torch.ones(encoder_width))
        self.register_buffer("spellings", torch.zeros(vocabulary, spelling, dtype=torch.float16))

    def reset_parameters(self) -> None:
        """Every token about as likely as any other. With an initial scale of 10 on the query, CTC began at 90 nats a token, and
        token error was 0.98 after 200 steps where this, with `prefer_blanks`, had 0.34 after 150.
        """
        for part in self.modules():
            reset = None if part is self else getattr(part, "reset_parameters", None)
            if reset:
                reset()
        self.mean.zero_()
        self.spread.fill_(1.0)

    @torch.no_grad()
    def prefer_blanks(self) -> None:
        """Nothing is said until something is learnt: where CTC starts from. Token error after 300 steps was 0.243, and 0.262 from a
        start at which all classes are alike."""
        self.blank.bias.fill_(6.0)

    def learn_letters(self, tokens: list[str]) -> None:
        """How each token is written. The LM's table may have more rows than there are tokens: theirs stay 0."""
        if self.spellings.shape[1]:
            self.spellings[: len(tokens)] = spelling_vectors(tokens, self.spellings.shape[1]).to(self.spellings)

    @torch.no_grad()
    def standardise(self, states: Iterable[Tensor]) -> None:
        """Give every encoder channel a mean of 0 and a spread of 1, by those of some clips' states (frames, width). The channels of
        Whisper base spread from 0.7 to 7.3; so made alike, token error after 500 steps was 0.209, and 0.230 without.
        """
        spread, mean = torch.std_mean(torch.cat(list(states)).to(self.mean), dim=0)
        self.mean.copy_(mean)
        self.spread.copy_(spread + FLOOR)

    def hidden(self, states: Tensor, lengths: Tensor) -> Tensor:
        """(clips, frames / stride, hidden_size) from encoder states (clips, frames, width)."""
        frames = stack((states - self.mean) / self.spread, lengths, self.stride)
        steps = torch.arange(frames.shape[1], device=frames.device)
        real = (steps < stacked_lengths(lengths, self.stride)[:, None])[..., None]
        hidden = F.gelu(self.project(frames)) * real
        for block in self.blocks:
            hidden = block(hidden, real)
        return self.norm(hidden)

    def directions(self, embeddings: Tensor, vocabulary: Tensor | None = None) -> Tensor:
        """(vocabulary, LM width + spelling): the table with rows of length 1, since a token's norm says how common it is, beside
        the tokens' letters; of the ids `vocabulary` alone where they are given. Without a gradient."""
        kind = embeddings.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else embeddings.dtype
        rows = slice(None) if vocabulary is None else vocabulary
        table = F.normalize(embeddings.detach()[rows], dim=-1).to(dtype)  # once, not once a matrix product
        return torch.cat([table, self.spellings[rows].to(dtype)], dim=-1)

    def scores(self, hidden: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the tokens (..., vocabulary) and of the blank (..., 1). directions: see there."""
        query = self.query(hidden)
        return query @ directions.T.to(query.dtype), self.blank(hidden)

    def forward(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Encoder states (clips, frames, width) -> for each clip (tokens heard, LM width).

        Which tokens is decided without a gradient; their scores alone have one: the table is most of the cost.
        """
        hidden, directions = self.hidden(states, lengths), self.directions(embeddings)
        with torch.no_grad():
            keep, tokens = self.kept(hidden, stacked_lengths(lengths, self.stride), directions, self.top)
        query = self.query(hidden[keep])
        weights = (query[:, None].float() * directions[tokens].float()).sum(dim=-1).softmax(dim=-1)
        soft = (weights[..., None] * F.embedding(tokens, embeddings)).sum(dim=1).to(embeddings.dtype)
        return list(soft.split(keep.sum(dim=1).tolist()))

    def kept(self, hidden: Tensor, lengths: Tensor, directions: Tensor, top: int = 1) -> tuple[Tensor, Tensor]:
        """(clips, frames) bool: the best class is not the blank, and not the frame before's. The `top` best tokens of these frames
        (frames kept, top), the best first."""
        real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
        best = real.new_full((*real.shape, top), -1, dtype=torch.long)
        blank = ~real
        chunks = [self._best(chunk, directions, top) for chunk in hidden[real].split(FRAMES)]  # 512 frames of 49 k classes: 100 MB
        best[real], blank[real] = (torch.cat(parts) for parts in zip(*chunks, strict=True))
        said = best[..., 0].masked_fill(blank, -1)
        before = torch.cat([torch.full_like(said[:, :1], -1), said[:, :-1]], dim=1)
        keep = (said >= 0) & (said != before)
        return keep, best[keep]

    def _best(self, hidden: Tensor, directions: Tensor, top: int) -> tuple[Tensor, Tensor]:
        """Of frames (n, hidden_size): the best tokens (n, top), and whether the blank is better (n,)."""
        scores, blank = self.scores(hidden, directions)
        values, tokens = scores.topk(top)
        return tokens, blank[:, 0] > values[:, 0]

    @torch.no_grad()
    def spell(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[int]]:
        """Greedy token ids for each clip: what the adapter alone heard."""
        return [[token for token, _ in clip] for clip in self.spell_placed(states, lengths, embeddings)]

    @torch.no_grad()
    def spell_placed(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[tuple[int, int]]]:
        """`spell`, each token with the encoder frame that it begins at."""
        hidden, directions = self.hidden(states, lengths), self.directions(embeddings)
        keep, tokens = self.kept(hidden, stacked_lengths(lengths, self.stride), directions)
        frames = (keep.nonzero()[:, 1] * self.stride).tolist()
        pairs = list(zip(tokens[:, 0].tolist(), frames, strict=True))
        ends = keep.sum(dim=1).cumsum(0).tolist()
        return [pairs[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def ctc_loss(self, states: Tensor, lengths: Tensor, targets: list[list[int]], embeddings: Tensor, negatives: Tensor) -> Tensor:
        """CTC loss a target token, over the targets' own tokens and `negatives` (ids) instead of the whole table.

        A sampled vocabulary a batch makes the step about 10 times faster than 49 k classes. A clip that is shorter than its
        target gives no loss (zero_infinity).
        """
        flat = torch.tensor([t for target in targets for t in target], device=states.device)
        vocabulary, index = torch.cat([flat, negatives.to(flat.device)]).unique(return_inverse=True)
        frames = stacked_lengths(lengths, self.stride)
        scores = self.scores(self.hidden(states, lengths), self.directions(embeddings, vocabulary))
        log_probs = torch.cat([part.float() for part in scores], dim=-1).log_softmax(-1)
        sizes = torch.tensor([len(t) for t in targets], device=states.device)
        loss = F.ctc_loss(
            log_probs.transpose(0, 1),
            index[: len(flat)],
            frames,
            sizes,
            blank=len(vocabulary),
            reduction="sum",
            zero_infinity=True,
        )
        return loss / sizes.sum().clamp(min=1)


class DecoderAdapter(nn.Module):
    """The embedding of each token that the recogniser wrote, and a linear map of the state that wrote it, which begins at 0.

    So before any training the LM receives what a cascade of the recogniser and the LM would; what is learnt is the rest of what
    the decoder knew: its doubt, its second choices, how it was said.
    """

    def __init__(self, decoder_width: int, lm_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(decoder_width, elementwise_affine=False)
        self.scale = decoder_width**-0.5  # states of length 1: at their own length Adam's first steps drown the embeddings
        # A parameter of the adapter itself: transformers initialises no module of our own that has none but its children's.
        self.residual = nn.Parameter(torch.zeros(lm_width, decoder_width))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.residual.zero_()

    def forward(self, rows: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Rows of `models.ear.as_rows` (clips, n, decoder width + 2) with `lengths` (clips,) -> for each clip (n, LM width)."""
        states, tokens = split_rows(rows)
        positions = F.embedding(tokens, embeddings) + F.linear(self.scale * self.norm(states), self.residual).to(embeddings.dtype)
        return [row[:n] for row, n in zip(positions, lengths.tolist(), strict=True)]

    def spell(self, rows: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[int]]:
        """The token ids of each clip: what was heard."""
        return [row[:n].tolist() for row, n in zip(split_rows(rows)[1], lengths.tolist(), strict=True)]


def stack(states: Tensor, lengths: Tensor, stride: int) -> Tensor:
    """(clips, ceil(frames / stride), stride * width): neighbours side by side, padding zeroed."""
    clips, frames, width = states.shape
    real = torch.arange(frames, device=states.device) < lengths[:, None]
    states = F.pad(states * real[..., None], (0, 0, 0, -frames % stride))
    return states.reshape(clips, -1, stride * width)


def stacked_lengths(lengths: Tensor, stride: int) -> Tensor:
    return (lengths + stride - 1) // stride
