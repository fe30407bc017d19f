"""The adapters, which turn what is known of a clip into positions of the LM.

All adapters have one interface: `forward` returns one tensor per clip.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.ear import split_rows
from models.encoder import Count
from models.spelling import spelling_vectors

FRAMES = 512  # frames scored at a time; the scores of 49 k classes take 100 MB
FLOOR = 0.1  # added to a channel's spread: a channel that says nothing stays quiet


class ConvBlock(nn.Module):
    """A residual block: a depthwise convolution (context of 9 frames) and a pointwise MLP.

    Padding frames stay zero. An MLP over stacked frames sees no context, and stayed at 20 % token
    error whatever the amount of data. Subword targets (case, word starts, long words) need the
    neighbouring frames.
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


class ProjectionAdapter(nn.Module):
    """One linear layer from encoder states to the LM's width.

    `pooling`, the paper's adapter, projects states that the encoder has averaged (stride 1), as
    Qwen2-Audio's projector does. `stacking` projects `stride` states side by side.
    """

    def __init__(self, encoder_width: int, lm_width: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.project = nn.Linear(stride * encoder_width, lm_width)

    def forward(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Return positions (ceil(length / stride), LM width) for each clip.

        states: encoder states (clips, frames, width), with `lengths` (clips,).
        embeddings: the LM's table, which is not used.
        """
        rows = self.project(stack(states, lengths, self.stride))
        return [row[:n] for row, n in zip(rows, stacked_lengths(lengths, self.stride).tolist(), strict=True)]


class SoftTokenAdapter(nn.Module):
    """CTC over the LM's own vocabulary. Each frame that is kept becomes a mixture of embeddings.

    Blanks and repeats are dropped. A frame that is kept becomes Σ p(k)·E(k) over the `top` best
    tokens. `E` is the LM's table as it is now. The LM therefore receives mixtures of its own token
    embeddings, at about the rate of text.

    A mixture of all 49 k tokens blurs what is heard. Before the LM learns anything, a warmed-up
    adapter closes this share of the gap:

        best tokens | all  | 8    | 4    | 2    | 1
        gap closed  | 0.67 | 0.73 | 0.75 | 0.75 | 0.77

    The loss after what was heard is least with 4 tokens.

    A frame is compared with the embedding and the letters (`spellings`) of every token. A few hours
    of speech teach a tenth of the vocabulary. With letters, 17 % of the tokens that were never
    taught were spelled, against 5 % without.
    """

    spellings: Tensor
    """(vocabulary, spelling): the letters of each token."""
    mean: Tensor
    """(encoder width,): see `standardise`."""
    spread: Tensor
    """(encoder width,): see `standardise`."""

    def __init__(
        self,
        encoder_width: int,
        lm_width: int,
        vocabulary: int,
        *,
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
        """Reset all parts, so that every token is about as likely as any other.

        With an initial scale of 10 on the query, CTC began at 90 nats per token. The token error
        was then 0.98 after 200 steps. With this reset and `prefer_blanks`, the token error was 0.34
        after 150 steps.
        """
        for part in self.modules():
            reset = None if part is self else getattr(part, "reset_parameters", None)
            if reset:
                reset()
        self.mean.zero_()
        self.spread.fill_(1.0)

    @torch.no_grad()
    def prefer_blanks(self) -> None:
        """Make the blank the likeliest class, so that nothing is spelled until something is learnt.

        From this start of CTC, the token error after 300 steps was 0.243. From a start with equal
        classes, the token error was 0.262.
        """
        self.blank.bias.fill_(6.0)

    def learn_letters(self, tokens: list[str]) -> None:
        """Set `spellings` from how each token is written.

        The LM's table may have more rows than there are tokens. The spellings of these rows stay 0.
        """
        if self.spellings.shape[1]:
            self.spellings[: len(tokens)] = spelling_vectors(tokens, self.spellings.shape[1]).to(self.spellings)

    @torch.no_grad()
    def standardise(self, states: Iterable[Tensor]) -> None:
        """Give every encoder channel a mean of 0 and a spread of 1, as measured on some clips.

        states: (frames, width) per clip.

        The spreads of Whisper base's channels are 0.7 to 7.3. With equal spreads, the token error
        after 500 steps was 0.209, against 0.230 without.
        """
        spread, mean = torch.std_mean(torch.cat(list(states)).to(self.mean), dim=0)
        self.mean.copy_(mean)
        self.spread.copy_(spread + FLOOR)

    def hidden(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return (clips, frames / stride, hidden_size) of encoder states (clips, frames, width)."""
        frames = stack((states - self.mean) / self.spread, lengths, self.stride)
        steps = torch.arange(frames.shape[1], device=frames.device)
        real = (steps < stacked_lengths(lengths, self.stride).to(steps.device)[:, None])[..., None]
        hidden = F.gelu(self.project(frames)) * real
        for block in self.blocks:
            hidden = block(hidden, real)
        return self.norm(hidden)

    def directions(self, embeddings: Tensor, vocabulary: Tensor | None = None) -> Tensor:
        """Return what frames are compared with, per token: (vocabulary, LM width + spelling).

        A row has the token's embedding, scaled to length 1, and the token's letters. The scaling
        drops the norm, which says how common a token is. There is no gradient.

        vocabulary: the ids whose rows are returned. None: all.
        """
        kind = embeddings.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else embeddings.dtype
        rows = slice(None) if vocabulary is None else vocabulary
        table = F.normalize(embeddings.detach()[rows], dim=-1).to(dtype)  # once, not per product
        return torch.cat([table, self.spellings[rows].to(dtype)], dim=-1)

    def scores(self, hidden: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the tokens (..., vocabulary) and of the blank (..., 1).

        directions: see the method of that name.
        """
        query = self.query(hidden)
        return query @ directions.T.to(query.dtype), self.blank(hidden)

    def forward(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Return positions (tokens heard, LM width) for each clip.

        states: encoder states (clips, frames, width), with `lengths` (clips,).
        embeddings: the LM's table.

        The tokens are chosen without a gradient, since the table is most of the cost. Only the
        scores of the chosen tokens have a gradient.
        """
        hidden, directions = self.hidden(states, lengths), self.directions(embeddings)
        with torch.no_grad():
            keep, tokens = self.kept(hidden, stacked_lengths(lengths, self.stride), directions, top=self.top)
        query = self.query(hidden[keep])
        weights = (query[:, None].float() * directions[tokens].float()).sum(dim=-1).softmax(dim=-1)
        soft = (weights[..., None] * F.embedding(tokens, embeddings)).sum(dim=1).to(embeddings.dtype)
        return list(soft.split(keep.sum(dim=1).tolist()))

    def kept(self, hidden: Tensor, lengths: Tensor, directions: Tensor, *, top: int = 1) -> tuple[Tensor, Tensor]:
        """Return which frames are kept, (clips, frames) bool, and their tokens (frames kept, top).

        A frame is kept if its best class is neither the blank nor the best class of the frame
        before. The tokens of a frame are the `top` best, the best first.
        """
        real = torch.arange(hidden.shape[1], device=hidden.device) < lengths.to(hidden.device)[:, None]
        best = real.new_full((*real.shape, top), -1, dtype=torch.long)
        blank = ~real
        chunks = [self._best(chunk, directions, top) for chunk in hidden[real].split(FRAMES)]
        best[real], blank[real] = (torch.cat(parts) for parts in zip(*chunks, strict=True))
        said = best[..., 0].masked_fill(blank, -1)
        before = torch.cat([torch.full_like(said[:, :1], -1), said[:, :-1]], dim=1)
        keep = (said >= 0) & (said != before)
        return keep, best[keep]

    def _best(self, hidden: Tensor, directions: Tensor, top: int) -> tuple[Tensor, Tensor]:
        """Return the best tokens (n, top) of frames, and whether the blank is better (n,).

        hidden: the frames (n, hidden_size).
        """
        scores, blank = self.scores(hidden, directions)
        values, tokens = scores.topk(top)
        return tokens, blank[:, 0] > values[:, 0]

    @torch.no_grad()
    def spell(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[int]]:
        """Return greedy token ids for each clip: what the adapter alone heard."""
        return [[token for token, _ in clip] for clip in self.spell_placed(states, lengths, embeddings)]

    @torch.no_grad()
    def spell_placed(self, states: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[tuple[int, int]]]:
        """Return the tokens of `spell`, each with the encoder frame at which the token begins."""
        hidden, directions = self.hidden(states, lengths), self.directions(embeddings)
        keep, tokens = self.kept(hidden, stacked_lengths(lengths, self.stride), directions)
        frames = (keep.nonzero()[:, 1] * self.stride).tolist()
        pairs = list(zip(tokens[:, 0].tolist(), frames, strict=True))
        ends = keep.sum(dim=1).cumsum(0).tolist()
        return [pairs[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def ctc_loss(
        self, states: Tensor, lengths: Tensor, targets: list[list[int]], *, embeddings: Tensor, negatives: Tensor
    ) -> Tensor:
        """Return the CTC loss per target token, over a sample of the vocabulary.

        The sample has the targets' own tokens and `negatives` (ids). One sampled vocabulary per
        batch makes the step about 10 times faster than 49 k classes. A clip that is shorter than
        its target gives no loss (zero_infinity).
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
    """The embedding of each token that the recogniser wrote, plus a linear map of a decoder state.

    The state is the one that wrote the token. The map begins at 0, so before any training the LM
    receives what it would receive in a cascade of the recogniser and the LM. Training adds the rest
    of the decoder's knowledge: its doubt, its second choices, and how the words were said.
    """

    def __init__(self, decoder_width: int, lm_width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(decoder_width, elementwise_affine=False)
        # Scales states to length 1. At their own length, Adam's first steps drown the embeddings.
        self.scale = decoder_width**-0.5
        # A parameter of the adapter itself: transformers does not initialise a module of ours whose
        # only parameters are those of its children.
        self.residual = nn.Parameter(torch.zeros(lm_width, decoder_width))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.residual.zero_()

    def forward(self, rows: Tensor, lengths: Tensor, embeddings: Tensor) -> list[Tensor]:
        """Return positions (n, LM width) for each clip.

        rows: as in `models.ear.as_rows`, (clips, n, decoder width + 2), with `lengths` (clips,).
        embeddings: the LM's table.
        """
        states, tokens = split_rows(rows)
        positions = F.embedding(tokens, embeddings) + F.linear(self.scale * self.norm(states), self.residual).to(embeddings.dtype)
        return [row[:n] for row, n in zip(positions, lengths.tolist(), strict=True)]

    def spell(self, rows: Tensor, lengths: Tensor, embeddings: Tensor) -> list[list[int]]:
        """Return the token ids of each clip: what was heard."""
        return [row[:n].tolist() for row, n in zip(split_rows(rows)[1], lengths.tolist(), strict=True)]


def stack(states: Tensor, lengths: Tensor, stride: int) -> Tensor:
    """Put each `stride` neighbouring frames side by side, with padding zeroed.

    Returns (clips, ceil(frames / stride), stride * width).
    """
    clips, frames, width = states.shape
    real = torch.arange(frames, device=states.device) < lengths.to(states.device)[:, None]
    states = F.pad(states * real[..., None], (0, 0, 0, -frames % stride))
    return states.reshape(clips, states.shape[1] // stride, stride * width)


def stacked_lengths(lengths: Count, stride: int) -> Count:
    """Return the number of frames per clip after `stack`."""
    return (lengths + stride - 1) // stride
