"""Tokenizers as LMs have them, small: what they share is that each knows control tokens in another way."""

from collections.abc import Callable

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from models.configuration import SPEECH_TOKENS

LETTERS = [chr(code) for code in range(33, 127)] + list("éüß中文")
TEXT = [
    "Meet the harbour master at nine, and do not forget the <b>red</b> lantern of the second pier.",
    "A user may start a turn; the end of a turn is where the model begins: INST, start, end, of, turn, text, tool, audio.",
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %}{{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
BERT = "{% for m in messages %}[CLS] {{ m.role }} : {{ m.content }} [SEP]{% endfor %}"


def _bytes(special: list[str], *, ignore_merges: bool = False) -> Tokenizer:
    """Bytes as letters (GPT-2, Llama 3, Qwen). The special tokens are words of the vocabulary too."""
    made = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet))
    return made


def _pieces(words: list[str]) -> list[tuple[str, float]]:
    return [(piece, -5.0 - place / 100) for place, piece in enumerate(["▁", *LETTERS, *words])]


def gpt2() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=_bytes(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=CHATML,
    )


def llama3() -> PreTrainedTokenizerFast:
    """A word of the text that stands in the vocabulary is taken whole (`ignore_merges`), and words are split at blanks alone."""
    special = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    made = _bytes(special, ignore_merges=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=special[0], eos_token=special[1], chat_template=LLAMA3, extra_special_tokens=special[2:]
    )


def qwen() -> PreTrainedTokenizerFast:
    """Some tokens are not marked special, and some are runs of blanks."""
    found = gpt2()
    found.add_tokens([AddedToken(token, special=False, normalized=False) for token in ("<think>", "</think>", "<tool_call>")])
    found.add_tokens([AddedToken(" " * count, special=False, normalized=False) for count in (4, 8)])
    return found


def gemma() -> PreTrainedTokenizerFast:
    """Unigram with `<s>` and its like as pieces that the model itself finds, symbols of the user and bytes for the rest."""
    control = [("<pad>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("<start_of_turn>", 0.0), ("<end_of_turn>", 0.0)]
    bytes_ = [(f"<0x{value:02X}>", -20.0) for value in range(256)]
    made = Tokenizer(models.Unigram(control + bytes_ + _pieces(["▁turn", "start", "_of_"]), unk_id=3, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    made.add_tokens([AddedToken(token, normalized=False) for token in ("<start_of_turn>", "<end_of_turn>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", chat_template=GEMMA
    )


def mistral() -> PreTrainedTokenizerFast:
    """BPE of sentencepiece: a blank before every text, merges that spell a control token, tokens that swallow blanks."""
    control = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    pieces = [*control, *(f"<0x{value:02X}>" for value in range(256)), "▁", *LETTERS, "<s", "▁[", "[I", "NS", "NST", "[INS"]
    merges = [("<", "s"), ("<s", ">"), ("N", "S"), ("NS", "T"), ("[", "I"), ("[I", "NS"), ("[INS", "T"), ("▁", "[")]
    pieces += ["[INST"]
    merges += [("[INST", "]")]
    made = Tokenizer(
        models.BPE({piece: number for number, piece in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in ("[INST]", "[/INST]")])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=MISTRAL
    )


def bert() -> PreTrainedTokenizerFast:
    """WordPiece over words between blanks, in which a control token is one; letters are made small and of one form (NFKC)."""
    control = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted({letter.lower() for letter in LETTERS})
    pieces = [*control, *letters, *(f"##{letter}" for letter in letters), "turn", "[cls]"]
    made = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.WordPiece(cleanup=False)
    found = PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        chat_template=BERT,
    )
    found.add_tokens([AddedToken("<tool>", special=False, normalized=True), AddedToken("<|mark|>", special=False, normalized=True)])
    return found


LMS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {made.__name__: made for made in (gpt2, llama3, qwen, gemma, mistral, bert)}


def lm_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer with the speech tokens, as `InserterProcessor.from_parts` makes it."""
    found = LMS[name]()
    found.add_special_tokens({"additional_special_tokens": SPEECH_TOKENS}, replace_extra_special_tokens=False)
    return found


def control_of(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Every token that was added, but blanks."""
    return {number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
