"""Run the stage: `python -m stages.sft`.

The stage makes data/sft/model from the pre-trained model, and from pairs and conversations.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from inserter.errors import InserterError
from inserter.files import read_batches, read_table, write_table
from inserter.params import Params, Sft
from inserter.paths import DATA, REPORTS
from inserter.run.closure import deciding
from inserter.run.work import WorkFolder
from inserter.seeds import derive, rng
from inserter.sources import stamps
from inserter.tables import DIALOGUES, PAIRS, UTTERANCES, VERIFIED, Dialogue, Pair, known, reason_kind
from inserter.training.batches import HeardLengths, clips_needed, packed_phase
from inserter.training.cliptable import indexed
from inserter.training.examples import Example, chat_example
from inserter.training.gap import mean
from inserter.training.heldout import Subject, losses
from inserter.training.loop import train, write_curve
from inserter.training.models import for_answers, made_whole, new_model, save_model, saved_model
from inserter.training.plan import Shuffled
from inserter.training.processes import from_main, join, main_first, rank
from inserter.training.states import clips_for, clips_to_measure
from inserter.training.tokens import Tokens
from models import InserterProcessor
from stages.sft.clips import spoken, teachers, verified
from stages.sft.dialogues import CLEAN_FILE, dialogue_clips, examples_of, make_dialogues, taught
from stages.sft.pairs import answered, prompts, readable
from stages.sft.rows import files

Lengths = Mapping[str, int]
TOKENS = DATA / "interleave" / "tokens"
HELD_OUT_SHARE = 0.1  # of the pairs and of the conversations, for the loss before and after training


def chat_examples(p: Sft, processor: InserterProcessor, pairs: list[Pair], *, lengths: Lengths) -> list[Example]:
    """Return each pair heard and read at a spoken_share of 0.5.

    At another share, examples of the rarer form are dropped at random.
    """
    share = p.spoken_share
    most = max(share, 1 - share)
    chosen = []
    for pair in pairs:
        random = rng(p.seed, pair["pair_id"], "form")
        if random.random() < share / most:
            chosen.append(chat_example(processor, pair["prompt"], pair["response"], utt_id=pair["utt_id"], lengths=lengths))
        if random.random() < (1 - share) / most:
            chosen.append(chat_example(processor, pair["prompt"], pair["response"], utt_id=None))
    return chosen


def replayed(p: Sft, sequences: Tokens, chat: list[Example]) -> list[Example]:
    """Return pre-training sequences that are replay_share of all positions.

    Without them the model forgets to continue from what it heard. Raises InserterError if only text
    is to be replayed and no sequence is text alone.
    """
    share = p.replay_share
    wanted = sum(e.positions for e in chat) * share / (1 - share)
    order = Shuffled(len(sequences), derive(p.seed, "replay"))
    chosen: list[Example] = []
    for place in range(len(sequences)):
        if wanted <= 0:
            break
        (index,) = order.between(place, place + 1).tolist()
        if p.replay_speech or not sequences.clips_of(index):
            chosen.append(sequences[index])
            wanted -= chosen[-1].positions
    if wanted > 0 and not chosen:
        raise InserterError(
            "sft replays sequences without speech, and there are none",
            "Raise interleave.mixture.text, or set sft.replay_speech to true or sft.replay_share to 0",
        )
    return chosen


def held_out_loss(subject: Subject, examples: Mapping[str, list[Example]]) -> dict[str, float]:
    """Return the loss per token of held-out answers, by the form of what they answer."""
    return {form: mean(losses(subject, found, f"held-out pairs: {form}")) for form, found in examples.items() if found}


def held_out_examples(processor: InserterProcessor, pairs: list[Pair], dialogues: list[Dialogue]) -> dict[str, list[Example]]:
    """Return the examples of held-out pairs and conversations, heard and read."""
    return {
        form: [
            *(
                chat_example(processor, row["prompt"], row["response"], utt_id=row["utt_id"] if form == "heard" else None)
                for row in pairs
            ),
            *(item for row in dialogues if form in row["forms"] for item in examples_of(processor, row, form)),
        ]
        for form in ("heard", "read")
    }


def make_pairs(params: Params, work: WorkFolder) -> dict[str, object]:
    """Write pairs.parquet, the clips, and the tables of clean and of quarantined clips.

    The ranks share out the answers. Rank 0 speaks and verifies the prompts, with all workers.

    Return counts that satisfy prompts = kept + the sum over dropped.
    """
    done = from_main(work.marker("pairs"))
    if done:
        return done
    if not params.sft.prompts:
        return no_pairs(work)
    asked, overlapping = prompts(params.sft)
    asked, unread = readable(asked)
    # The LM before any training writes the answers, since the model is to keep giving these.
    untrained, processor = new_model(params.assets, params.warmup.adapter, 0)
    pairs, edited, failed = answered(params.sft, for_answers(untrained, params.sft.precision), processor, asked=asked, work=work)
    report: dict[str, object] = {}
    if rank() == 0:
        kept, mute, quarantined = heard_pairs(params, pairs, work)
        report = {
            "prompts": params.sft.prompts,
            "kept": kept,
            "rewritten": edited,
            "dropped": {
                "overlaps the benchmark": overlapping,
                "answer fails": dict(failed),
                "cannot be spoken": dict(unread + mute),
                "clip quarantined": dict(quarantined),
            },
        }
        work.mark("pairs", report)
    return from_main(report)  # the other ranks wait here


def no_pairs(work: WorkFolder) -> dict[str, object]:
    """Write the tables of `make_pairs` without a row, and return its counts."""
    report: dict[str, object] = {"prompts": 0, "kept": 0, "rewritten": 0, "dropped": {}}
    if rank() == 0:
        write_table(work / "out" / "pairs.parquet", [], PAIRS)
        write_table(work / "out" / "clips" / "clips.parquet", [], UTTERANCES)
        write_table(work / "out" / "clips" / "quarantine.parquet", [], VERIFIED)
        work.mark("pairs", report)
    return from_main(report)


def heard_pairs(params: Params, pairs: list[Pair], work: WorkFolder) -> tuple[int, Counter[str], Counter[str]]:
    """Speak the prompts of `pairs`, and write the pairs whose clips pass the checks.

    Return how many these are, and how often each reason prevented a clip or quarantined one.
    """
    said, mute = spoken(params, pairs, work)
    corpus = (row for batch in read_batches(CLEAN_FILE, VERIFIED) for row in batch)
    clean, refused = verified(params, said, corpus, work=work)
    quarantined = Counter(reason_kind(known(row["reason"])) for row in refused)
    heard = {row["utt_id"] for row in clean}
    pairs = [pair for pair in pairs if pair["utt_id"] in heard]
    if len(pairs) < 2:
        raise InserterError(
            f"only {len(pairs)} of {params.sft.prompts} prompts have an answer and a clip that pass their checks",
            "Raise sft.prompts, or set assets.lm to a stronger LM",
        )
    write_table(work / "out" / "pairs.parquet", pairs, PAIRS)
    return len(pairs), mute, quarantined


def dialogues_kept_out(dialogues: list[Dialogue], *, alone: bool) -> list[Dialogue]:
    """Return the conversations to measure on: every tenth.

    alone: there are no pairs to measure on, so the last conversation is held out if they are few.
    """
    every = round(1 / HELD_OUT_SHARE)
    return dialogues[every - 1 :: every] or (dialogues[-1:] if alone else [])


def main(params: Params) -> dict[str, object]:
    """Fine-tune the model, and return the content of reports/sft.json."""
    p = params.sft
    if p.prompts:
        teachers(params.synthesize)  # fails before the answers are made
    join()
    with main_first():
        work = WorkFolder(
            "sft",
            {
                "sft": p.model_dump(),
                "assets": params.assets.model_dump(),
                "voices": [v.model_dump() for v in params.synthesize.voices],
                "limits": params.verify.limits(),
                "files": {source.name: stamps(files(source)) for source in p.sources if source.kind == "local"},
            },
            [
                DATA / "pretrain",
                DATA / "interleave",
                CLEAN_FILE,
                DATA / "benchmark" / "prompts.jsonl",
                *deciding("stages.sft"),
            ],
        )
    counts = make_pairs(params, work)
    pairs = read_table(work / "out" / "pairs.parquet", PAIRS)
    model, processor = saved_model(DATA / "pretrain" / "model")
    sources = make_dialogues(params, work, model=model, processor=processor)
    dialogues = read_table(work / "out" / "dialogues" / "dialogues.parquet", DIALOGUES) if sources else []
    with main_first():
        prompt_clips = indexed(
            work / "out" / "clips" / "clips.parquet", UTTERANCES, work / "prompt-clips", shards=work / "out" / "clips"
        )
        corpus = indexed(CLEAN_FILE, VERIFIED, work / "corpus-clips", shards=DATA / "synthesize")
        own_clips = [prompt_clips, *(dialogue_clips(work) if sources else [])]
    lengths = HeardLengths(model, *own_clips, corpus)
    sequences = Tokens.mapped(TOKENS, lengths.of)
    n_held_out = max(1, round(len(pairs) * HELD_OUT_SHARE)) if pairs else 0
    kept_out, taught_pairs = pairs[:n_held_out], pairs[n_held_out:]
    own_kept_out = dialogues_kept_out(dialogues, alone=not pairs)
    measured = {row["dialogue_id"] for row in own_kept_out}
    chat = chat_examples(p, processor, taught_pairs, lengths=lengths)
    chat += taught(p, processor, [row for row in dialogues if row["dialogue_id"] not in measured], lengths=lengths)
    if not chat:
        raise InserterError("nothing is left to learn from beside what is held out", "Add rows to sft.sources, or raise a weight")
    examples = Tokens.of(chat + replayed(p, sequences, chat))
    clips = clips_for(model, processor, [corpus, *own_clips], settings=p, needed=lambda: clips_needed(examples, p))
    answers = held_out_examples(processor, kept_out, own_kept_out)
    measured_on = list(dict.fromkeys(clip for found in answers.values() for item in found for clip in item.clips))
    subject = Subject(
        model, processor, clips_to_measure(model, processor, own_clips, settings=p, names=measured_on), precision=p.precision
    )
    before = held_out_loss(subject, answers)
    outcome = train(model, packed_phase("sft", p, model, examples=examples, clips=clips), work, register=params.register_)
    model = made_whole(model, p.trainable, lambda: saved_model(DATA / "pretrain" / "model")[0])
    if rank() > 0:
        return {}  # rank 0 measures and writes
    subject = replace(subject, model=model)
    after = held_out_loss(subject, answers)
    save_model(model, processor, work / "out" / "model")
    work.publish("out", DATA / "sft")
    write_curve(REPORTS / "plots" / "sft.csv", outcome.curve)
    return {
        **outcome.summary(),
        "precision": p.precision,
        **counts,
        "examples": {
            "heard": sum(bool(e.clips) for e in chat),
            "read": sum(not e.clips for e in chat),
            "replayed": len(examples) - len(chat),
        },
        **({"sources": sources} if sources else {}),
        "held_out_pairs": len(kept_out) + len(own_kept_out),
        "pairs_nll": {"before": before, "after": after},
        "system": {"positions_a_second": outcome.speed},
    }
