"""Turn answers with verdicts into the table: shares with intervals, and paired comparisons.

The shares are by task, language, variant and form.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from inserter.evaluation import ClosedCell, Comparison, Ends, Levels, Shares
from inserter.scoring.chance import deal
from inserter.scoring.closed import aggregate
from inserter.scoring.intervals import share_interval, sign_flip_p
from inserter.scoring.records import Given

Cell = tuple[str, str, str]  # language, variant, form
Dealt = dict[tuple[str, str], list[Given]]
Measure = Callable[[Given], tuple[float, int]]  # from a row to (followed, asked)
SCORES = ("strict", "loose", "mean")
LEVELS = ("prompt", "instruction")
ALL = "all"  # the variant of a comparison over all variants together
CHANCE = "chance"  # the form of `deals`
PAIRED = "mean-instruction"  # the figure that the published table prints


def measure(score: str, level: str) -> Measure:
    """Return how a scored row counts for `score` at `level`.

    score: strict, loose, or mean of both. level: prompt or instruction.
    """

    def count(row: Given, kind: str) -> float:
        return float(all(row[kind])) if level == "prompt" else float(sum(row[kind]))

    def of(row: Given) -> tuple[float, int]:
        kinds = ("strict", "loose") if score == "mean" else (score,)
        return sum(count(row, kind) for kind in kinds) / len(kinds), 1 if level == "prompt" else len(row["strict"])

    return of


def deals(rows: Sequence[Given], form: str = "heard") -> Dealt:
    """Return `deal` of one form's answers, by language and variant: the rows of the form CHANCE."""
    answered = {name: group for name, group in _groups(rows) if name[2] == form}
    return {(lang, variant): dealt for (lang, variant, _), group in answered.items() if (dealt := deal(group))}


def closed_table(
    rows: Sequence[Given], dealt: Dealt | None = None, form: str = "heard"
) -> dict[str, dict[str, dict[str, ClosedCell]]]:
    """Return {lang: {variant: {form: cell}}} of closed-ended rows.

    dealt: `deals` of the rows in `form`, if they were made before.

    The form "chance" is the share of other prompts' instructions that the answers in `form` follow
    (`deal`). This form has no interval of its own: see `comparisons`.
    """
    dealt = deals(rows, form) if dealt is None else dealt
    table: dict[str, dict[str, dict[str, ClosedCell]]] = {}
    for (lang, variant, one), group in _groups(rows):
        forms = table.setdefault(lang, {}).setdefault(variant, {})
        forms[one] = closed_cell(group, f"{lang} {variant} {one}")
        if one == form and (lang, variant) in dealt:
            scores = aggregate(dealt[lang, variant])
            forms[CHANCE] = {**forms[one], **_shares(scores), "interval": None}
    return table


def _groups(rows: Sequence[Given]) -> Iterator[tuple[Cell, list[Given]]]:
    groups: dict[Cell, list[Given]] = defaultdict(list)
    for row in rows:
        groups[row["lang"], row["variant"], row["form"]].append(row)
    yield from sorted(groups.items())


def closed_cell(group: Sequence[Given], name: str) -> ClosedCell:
    """Return the scores of closed-ended rows with intervals, whose randomness comes from `name`."""
    scored = [row for row in group if row["strict"] is not None]
    scores = aggregate(scored)
    return {
        **_shares(scores),
        "interval": {
            score: {level: _interval(scored, measure(score, level), name, score, level) for level in LEVELS} for score in SCORES
        },
        "n_prompts": scores["n_prompts"],
        "n_instructions": scores["n_instructions"],
        "n_dropped": len(group) - len(scored),
    }


def _shares(scores: Given) -> Shares:
    return {"strict": _levels(scores, "strict"), "loose": _levels(scores, "loose"), "mean": _levels(scores, "mean")}


def _levels(scores: Given, score: str) -> Levels:
    return {level: scores[f"{score}-{level}"] for level in LEVELS}


def _interval(rows: Sequence[Given], of: Measure, *names: str) -> Ends:
    counts = np.array([of(row) for row in rows], dtype=float).reshape(-1, 2)
    return share_interval(counts[:, 0], counts[:, 1], *names)


def followed_by_prompt(rows: Sequence[Given]) -> dict[str, tuple[float, float]]:
    """Return PAIRED as {prompt: (followed, asked)}, by key, over closed-ended rows.

    Rows of many variants count together.
    """
    of = measure(*PAIRED.split("-"))
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for row in rows:
        if row["strict"] is not None:
            counts[row["key"]] += of(row)
    return {key: (float(counts[key][0]), float(counts[key][1])) for key in sorted(counts)}


def share_by_prompt(rows: Sequence[Given]) -> tuple[float | None, list[float] | None]:
    """Return the share of `followed_by_prompt` and its 95 % interval; None for both without a row.

    A prompt is resampled with all its variants, which are no independent answers.
    """
    if not (counts := followed_by_prompt(rows)):
        return None, None
    followed, asked = np.array(list(counts.values())).T
    return float(followed.sum() / asked.sum()), share_interval(followed, asked, "by prompt")


def comparisons(rows: Sequence[Given], dealt: Dealt | None = None) -> list[Comparison]:
    """Compare closed-ended rows in pairs, on the same items.

    `heard` is compared with each other form, and each heard variant with its clean twin. One such
    form is CHANCE: what the answers to other prompts follow of the same prompt (dealt: see
    `closed_table`).

    If a language was heard in more than one variant, `heard` is also compared with each form over
    all variants together (variant ALL). The prompt is resampled, because its variants are no
    independent answers.
    """
    cells = {(lang, variant, form): group for (lang, variant, form), group in _groups(rows)}
    by_chance = deals(rows) if dealt is None else dealt
    cells |= {(lang, variant, CHANCE): group for (lang, variant), group in by_chance.items()}
    heard_in = {(lang, variant) for lang, variant, form in cells if form == "heard"}
    languages = [lang for lang, _ in heard_in]
    for lang in sorted(lang for lang in set(languages) if languages.count(lang) > 1):
        for _, variant, form in [cell for cell in cells if cell[0] == lang and (lang, cell[1]) in heard_in]:
            cells.setdefault((lang, ALL, form), []).extend(cells[lang, variant, form])
    pairs = []
    for lang, variant, form in cells:
        if form != "heard" and (lang, variant, "heard") in cells:
            pairs.append(((lang, variant, "heard"), (lang, variant, form)))
        if form == "heard" and variant not in ("standard", ALL) and (lang, "standard", "heard") in cells:
            pairs.append(((lang, variant, "heard"), (lang, "standard", "heard")))
    return [found for a, b in pairs if (found := _compare(a, b, cells))]


def _by_answer(rows: Sequence[Given], together: bool) -> dict[tuple[str, str], np.ndarray]:
    """Return (followed, asked) by prompt, as the mean of its rows.

    If variants stand `together`, the rows of a prompt are divided by variant.
    """
    of = measure(*PAIRED.split("-"))
    found: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for row in rows:
        if row["strict"] is not None:
            found[row["key"], row["variant"] if together else ""].append(of(row))
    return {pair: np.mean(counts, axis=0) for pair, counts in found.items()}


def paired(one: Sequence[Given], other: Sequence[Given], *, together: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what `one` follows more than `other`, and what was asked: (prompts,) each.

    Only prompts that both answered count, with the mean of their rows. Return None without any.
    together: whether the rows are of several variants, which then count by variant.
    """
    sides = [_by_answer(rows, together) for rows in (one, other)]
    by_prompt: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for pair in sorted(sides[0].keys() & sides[1].keys()):
        (followed, count), (other, other_count) = sides[0][pair], sides[1][pair]
        if count == other_count:
            by_prompt[pair[0]] += (followed - other, count)
    if not by_prompt:
        return None
    differences, asked = np.array([by_prompt[key] for key in sorted(by_prompt)]).T
    return differences, asked


def _compare(a: Cell, b: Cell, cells: Mapping[Cell, Sequence[Given]]) -> Comparison | None:
    if (found := paired(cells[a], cells[b], together=a[1] == ALL)) is None:
        return None
    differences, asked = found
    name = " ".join((*a, *b))
    return {
        "task": "closed",
        "lang": a[0],
        "metric": PAIRED,
        "a": {"variant": a[1], "form": a[2]},
        "b": {"variant": b[1], "form": b[2]},
        "difference": float(differences.sum() / asked.sum()),
        "interval": share_interval(differences, asked, name),
        "p_value": sign_flip_p(differences, "two-sided", "comparison", name),
        "n_prompts": len(differences),
    }
