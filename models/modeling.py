"""The speech LLM: speech becomes positions among those of the text, and a causal LM continues."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import ModelOutput

from models.adapter import DecoderAdapter, ProjectionAdapter, SoftTokenAdapter
from models.attention import PACKED, needs_mask
from models.configuration import InserterConfig
from models.decoding import decode
from models.ear import ID_COLUMNS, Ear, Opens, Read, as_rows, opened
from models.encoder import SpeechEncoder
from models.loss import cross_entropy
from models.packing import IGNORE, laid_out
from models.processor import HUB, InserterProcessor
from models.room import check_room

# The automatic classes of transformers that load this model.
AUTO_CLASSES = ("AutoModel", "AutoModelForCausalLM", "AutoModelForMultimodalLM")
# What `decode` does not do, and transformers' own loops do.
OTHER_LOOPS = ("streamer", "assistant_model", "return_dict_in_generate", "prompt_lookup_num_tokens")
FRAMES_AT_ONCE = 12_000  # log-mel frames, two minutes: an hour at once would take gigabytes
# ids (n,) and labels (n,) on the CPU, LM positions of each clip on the model's device
Sequence = tuple[Tensor, Tensor, list[Tensor]]


class InserterForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Encoder -> adapter -> causal LM.

    Every `audio_token_id` in `input_ids` stands for one clip, in order. The positions of the clip
    replace the token. Speech is given as log-mel features, or as `states` that the encoder computed
    before. Such states are exact while the encoder is frozen.
    """

    config_class = InserterConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    input_modalities = ["audio", "text"]  # noqa: RUF012
    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, config: InserterConfig) -> None:
        super().__init__(config)
        lm_width, width = config.text_config.hidden_size, config.audio_config.d_model
        self.encoder = SpeechEncoder(config.audio_config, config.adapter_stride if config.adapter == "pooling" else 1)
        self.adapter: ProjectionAdapter | SoftTokenAdapter | DecoderAdapter
        if config.adapter == "pooling":
            self.adapter = ProjectionAdapter(width, lm_width)
        elif config.adapter == "stacking":
            self.adapter = ProjectionAdapter(width, lm_width, config.adapter_stride)
        elif config.adapter == "soft_token":
            self.adapter = SoftTokenAdapter(
                width,
                lm_width,
                config.text_config.vocab_size,
                stride=config.adapter_stride,
                hidden_size=config.adapter_hidden_size,
                layers=config.adapter_layers,
                spelling=config.adapter_spelling,
                top=config.adapter_top,
            )
        elif config.adapter == "decoder":
            self.ear = Ear(config.audio_config, config.recogniser)
            self.adapter = DecoderAdapter(width, lm_width)
        else:
            raise ValueError(f"unknown adapter {config.adapter!r}; choose pooling, stacking, soft_token or decoder")
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        if self.language_model.config._attn_implementation == "sdpa":
            self.language_model.set_attn_implementation(PACKED)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SoftTokenAdapter | DecoderAdapter):  # its parts come first
            module.reset_parameters()

    @classmethod
    def from_parts(cls, lm: str, encoder: str, tokens: list[str], **config: Any) -> "InserterForConditionalGeneration":
        """Return a new model from a causal LM and a Whisper model, with a random adapter.

        lm, encoder: folders or hub names.
        tokens: how each token of the vocabulary is written. If the LM's table has fewer rows than
            that, it grows to as many. New rows start at the table's mean.
        config: further settings of InserterConfig.
        """
        language_model = AutoModelForCausalLM.from_pretrained(lm, dtype=torch.float32)
        if len(tokens) > language_model.config.get_text_config().vocab_size:
            language_model.resize_token_embeddings(len(tokens), mean_resizing=True)
        whisper = AutoModel.from_pretrained(encoder, dtype=torch.float32)
        model = cls(InserterConfig(text_config=language_model.config, audio_config=whisper.config, **config))
        model.language_model.load_state_dict(language_model.state_dict())
        model.encoder.load_state_dict(whisper.get_encoder().state_dict())
        if model.config.adapter == "decoder":
            model.ear.decoder.load_state_dict(whisper.get_decoder().state_dict())
        if isinstance(model.adapter, SoftTokenAdapter):
            model.adapter.learn_letters(tokens)
        model.generation_config = language_model.generation_config
        model.language_model.generation_config = language_model.generation_config
        return model

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    @property
    def table(self) -> Tensor:
        """The LM's token embeddings (vocabulary, width)."""
        return cast(nn.Embedding, self.get_input_embeddings()).weight

    @classmethod
    def from_pretrained(cls, name: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Load a model as elsewhere in transformers.

        The adapter `decoder` also gets the processor that is saved beside the model. The tokenizers
        of the processor read the recogniser's words.
        """
        found = super().from_pretrained(name, *args, **kwargs)
        model = found[0] if isinstance(found, tuple) else found
        if model.config.adapter == "decoder":
            model.attach(InserterProcessor.from_pretrained(name, **{key: kwargs[key] for key in HUB if key in kwargs}))
        return found

    def attach(self, processor: InserterProcessor) -> None:
        """Attach the processor that reads what the recogniser writes.

        A model with the adapter `decoder` needs the processor before it hears audio.
        """
        self.read: Read = processor.read
        self.reopen: Opens = processor.opens
        self.begins = processor.begins

    @property
    def state_width(self) -> int:
        """The width of the rows that `encode` returns."""
        return self.config.audio_config.d_model + (ID_COLUMNS if self.config.adapter == "decoder" else 0)

    def encode(self, input_features: Tensor, feature_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the adapter's input (clips, n, state_width) and its lengths (clips,).

        input_features: log-mel features (clips, mels, frames).
        feature_lengths: real frames per clip (clips,).

        The input's rows are the encoder's states: frames / 2 per clip, and frames / 2 / stride for
        the adapter `pooling`. For the adapter `decoder`, each row is a token of what the recogniser
        wrote.
        """
        if self.config.adapter == "decoder":
            written = self.ear.hear(self.encoder, input_features, feature_lengths)
            rows = [as_rows(tokens, by, self.read) for tokens, by in written]
            return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows], device=input_features.device)
        clips = max(1, FRAMES_AT_ONCE // input_features.shape[-1])
        parts = zip(input_features.split(clips), feature_lengths.split(clips), strict=True)
        return torch.cat([self.encoder(*part) for part in parts]), self.encoder.state_lengths(feature_lengths)

    def spell_placed(self, input_features: Tensor, feature_lengths: Tensor) -> list[list[tuple[int, int]]]:
        """Return the LM's tokens that are heard in each row of log-mel features.

        Each token comes with the encoder frame (50 per second) at which the token begins. Raises
        AttributeError for the adapters `pooling` and `stacking`, which spell nothing.
        """
        if self.config.adapter != "decoder":
            states, lengths = self.encode(input_features, feature_lengths)
            return cast(SoftTokenAdapter, self.adapter).spell_placed(states, lengths, self.table)
        rows = []
        for written, starts in self.ear.place(self.encoder, input_features, feature_lengths):
            ids, places = self.read(written)
            rows.append([(token, min(starts[place] for place in of)) for token, of in zip(ids, places, strict=True)])
        return rows

    def opens(self, before: int | None) -> bool:
        """Return whether a clip after the token `before` opens a text.

        Such a clip is written without a leading blank. Only the adapter `decoder` makes this
        difference.

        before: None at the start of a sequence.
        """
        return self.config.adapter == "decoder" and (before is None or self.begins[before])

    def hear(
        self, states: Tensor, state_lengths: Tensor, clip_windows: list[int] | None = None, *, opening: list[bool] | None = None
    ) -> list[Tensor]:
        """Return the LM positions of each clip.

        clip_windows: rows per clip. A clip longer than the encoder's window has several rows. None:
            each clip has one row.
        opening: whether each clip opens a text (see `opens`). None: no clip does.
        """
        windows = [1] * len(states) if clip_windows is None else clip_windows
        starts = [sum(windows[:i]) for i in range(len(windows))]
        if opening is not None and any(opening):
            given = [row[:n] for row, n in zip(states, state_lengths.tolist(), strict=True)]
            for start, opens in zip(starts, opening, strict=True):
                if opens and len(given[start]):
                    given[start] = opened(given[start], self.reopen)
            states, state_lengths = pad_sequence(given, batch_first=True), state_lengths.new_tensor([len(row) for row in given])
        rows = self.adapter(states, state_lengths, self.table)
        if clip_windows is None:
            return rows
        return [torch.cat(rows[s : s + n]) for s, n in zip(starts, clip_windows, strict=True)]

    def splice(self, ids: Tensor, text: Tensor, speech: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Replace the placeholders of one sequence by speech.

        ids: (n,).
        text: (n, width), the embeddings of `ids`.
        speech: the LM positions of each clip, in order.

        Returns embeddings (m, width), and the source (m,) of each position: its index in `ids`, or
        -1 for speech. Raises ValueError if placeholders and clips differ in number.
        """
        places = (ids == self.config.audio_token_id).nonzero().flatten().tolist()
        if len(places) != len(speech):
            raise ValueError(f"the text has {len(places)} audio placeholders for {len(speech)} clips")
        index = torch.arange(len(ids), device=ids.device)
        pieces, sources, at = [], [], 0
        for place, clip in zip(places, speech, strict=True):
            pieces += [text[at:place], clip.to(text.dtype)]
            sources += [index[at:place], index.new_full((len(clip),), -1)]
            at = place + 1
        return torch.cat([*pieces, text[at:]]), torch.cat([*sources, index[at:]])

    def packed_losses(
        self, sequences: list[Sequence], read: list[Sequence] | None = None, share: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy (k,) of the k learnt tokens of sequences in one row.

        The second result (k,) is the index of the sequence to which each token belongs.

        read: the sequences that have speech, with text in place of the speech. No gradient flows
            through `read`.
        share: with `read`, the part of the loss of these sequences that is KL(read || heard). The
            rest is the cross-entropy.
        """
        teacher = shares = None
        if read:
            with torch.no_grad():
                teacher, _, _ = self._packed_logits(read)
        logits, targets, owner = self._packed_logits(sequences)
        if read:
            shares = torch.tensor([share if speech else 0.0 for _, _, speech in sequences], device=logits.device)[owner]
        return cross_entropy(logits, targets, teacher, shares=shares), owner

    def _packed_logits(self, sequences: list[Sequence]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits (k, vocabulary) of the k learnt tokens, the tokens and their owners.

        The tokens (k,) are ids. The owners (k,) are indices in `sequences`. The LM's head, a
        fifth of a small model's cost, is computed only where something is learnt.
        """
        row = laid_out(
            [(ids.numpy(), labels.numpy(), [len(clip) for clip in speech]) for ids, labels, speech in sequences],
            self.config.audio_token_id,
        )
        on = row.to(self.device)
        # One look-up for all sequences: each look-up costs a gradient as large as the whole table
        # (113 MB for 49 k tokens).
        embeds = self.get_input_embeddings()(on.ids)
        if len(row.speech):
            heard = torch.cat([clip for _, _, speech in sequences for clip in speech])
            embeds = embeds.index_copy(0, on.speech, heard.to(embeds.dtype))
        packed: dict[str, Any] = {"inputs_embeds": embeds[None], "position_ids": on.places[None]}
        lm = self.language_model.config
        if lm._attn_implementation == PACKED:
            packed |= {"lengths": row.lengths, "ends": on.ends}
            if not needs_mask(lm, max(row.lengths)):
                # A mask of 4 dimensions is passed on as it is, so none is made for the row.
                packed["attention_mask"] = embeds.new_zeros(1, 1, 1, 1)
        logits = self.language_model(**packed, use_cache=False, logits_to_keep=on.before).logits[0]
        return logits, on.targets, on.owner

    def _inputs(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        speech: list[Tensor],
        *,
        side: str,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return a padded batch after splicing: embeddings, attention mask, and sources by row.

        side: where the padding is, `left` or `right`.
        """
        rows, sources, used = [], [], 0
        texts = self.get_input_embeddings()(input_ids)
        for i, (ids, text) in enumerate(zip(input_ids, texts, strict=True)):
            if attention_mask is not None:
                ids, text = ids[attention_mask[i].bool()], text[attention_mask[i].bool()]
            count = int((ids == self.config.audio_token_id).sum())
            row, source = self.splice(ids, text, speech[used : used + count])
            rows.append(row)
            sources.append(source)
            used += count
        if used != len(speech):
            raise ValueError(f"the text has {used} audio placeholders for {len(speech)} clips")
        longest = max(len(row) for row in rows)
        embeds = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
        mask = torch.zeros(len(rows), longest, dtype=torch.long, device=embeds.device)
        for i, row in enumerate(rows):
            where = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
            embeds[i, where] = row
            mask[i, where] = 1
        return embeds, mask, sources

    def _speech(self, given: dict[str, Any], input_ids: Tensor, attention_mask: Tensor | None) -> list[Tensor]:
        """Return the LM positions of each clip, or an empty list if `given` has no speech.

        given: `input_features` and `feature_lengths`, or `states` and `state_lengths`; and
            `clip_windows` (see `hear`).
        """
        if given.get("states") is None:
            if given.get("input_features") is None:
                return []
            given["states"], given["state_lengths"] = self.encode(given["input_features"], given["feature_lengths"])
        rows = [ids if attention_mask is None else ids[attention_mask[i].bool()] for i, ids in enumerate(input_ids)]
        opening = [opens for ids in rows for opens in self.openings(ids.tolist())]
        return self.hear(given["states"], given["state_lengths"], given.get("clip_windows"), opening=opening)

    def openings(self, ids: list[int] | tuple[int, ...]) -> list[bool]:
        """Return the result of `opens` for each clip of a sequence, in order."""
        places = [place for place, token in enumerate(ids) if token == self.config.audio_token_id]
        return [self.opens(ids[place - 1] if place else None) for place in places]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        input_features: Tensor | None = None,
        feature_lengths: Tensor | None = None,
        states: Tensor | None = None,
        state_lengths: Tensor | None = None,
        clip_windows: list[int] | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Return the logits of a batch, which is right-padded after splicing.

        input_ids: (batch, n).
        labels: of the shape of `input_ids`. With labels, the output also has the mean loss on text.
        input_features: (clips, mels, frames), with feature_lengths (clips,). `states` and
            `state_lengths` may take their place.
        clip_windows: see `hear`.
        """
        assert input_ids is not None
        speech = self._speech(
            {
                "input_features": input_features,
                "feature_lengths": feature_lengths,
                "states": states,
                "state_lengths": state_lengths,
                "clip_windows": clip_windows,
            },
            input_ids,
            attention_mask,
        )
        embeds, mask, sources = self._inputs(input_ids, attention_mask, speech, side="right")
        output = self.language_model(inputs_embeds=embeds, attention_mask=mask, use_cache=False, **kwargs)
        if labels is not None:
            spread = torch.full(mask.shape, IGNORE, device=mask.device)
            for i, source in enumerate(sources):
                row = labels[i][attention_mask[i].bool()] if attention_mask is not None else labels[i]
                spread[i, : len(source)] = torch.where(source >= 0, row[source.clamp(min=0)], IGNORE)
            logits = output.logits[:, :-1].flatten(0, 1).float()
            output.loss = nn.functional.cross_entropy(logits, spread[:, 1:].flatten(), ignore_index=IGNORE)
        return output

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        *,
        custom_generate: Callable[..., Any] | str | None = decode,
        **kwargs: Any,
    ) -> Tensor | ModelOutput:
        """Return prompts of text and speech, continued: `input_ids`, and new ids (batch, n + k).

        The speech arguments are those of `forward`. All other arguments go to the LM's own
        `generate`, whose result has the prompts too.

        row_tokens: (batch,) tokens that each row needs room for; by default `max_new_tokens`.
        custom_generate: `decode` searches greedily or samples; all else is left to transformers'
            loops. None: transformers' loops alone.

        Raises TooLong for prompts that have no room together with their answers.
        """
        names = ("input_features", "feature_lengths", "states", "state_lengths", "clip_windows")
        speech = self._speech({name: kwargs.pop(name, None) for name in names}, input_ids, attention_mask)
        embeds, mask, _ = self._inputs(input_ids, attention_mask, speech, side="left")
        settings = kwargs.get("generation_config") or self.generation_config

        def asked(name: str) -> Any:
            return kwargs.get(name) or getattr(settings, name, None)

        check_room(
            self.config, mask.sum(dim=1).tolist(), kwargs.pop("row_tokens", None) or [asked("max_new_tokens") or 0] * len(mask)
        )
        if custom_generate is decode and ((asked("num_beams") or 1) > 1 or any(map(asked, OTHER_LOOPS))):
            custom_generate = None
        # The LM's own generation_config is not saved with the model.
        self.language_model.generation_config = self.generation_config
        made = self.language_model.generate(inputs_embeds=embeds, attention_mask=mask, custom_generate=custom_generate, **kwargs)
        if isinstance(made, Tensor):
            return _after(input_ids, made)
        made.sequences = _after(input_ids, made.sequences)
        return made


def _after(prompts: Tensor, new: Tensor) -> Tensor:
    """Return `new` (batch * k, m) after the prompts (batch, n), each of which has k answers."""
    return torch.cat([prompts.repeat_interleave(len(new) // len(prompts), dim=0).to(new.device), new], dim=1)
