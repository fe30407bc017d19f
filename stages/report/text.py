"""Format the scores as Markdown, for a repository's page, a model card or a terminal."""

from tabulate import tabulate

from inserter.evaluation import EvaluateReport, Scores
from inserter.page.browser.words import FOLLOWED, LANGUAGES, TASKS, probability, signed
from inserter.scoring import table as scoretable
from stages.report.pairs import Worded, grouped


def markdown(scores: EvaluateReport) -> str:
    """Return one table per task and language, then the paired comparisons.

    scores: the content of reports/evaluate.json. Shares are in per cent, with 95 % intervals and n.
    """
    parts = ["# Spoken instructions that the model follows", *_forms(scores["speechinstructbench"])]
    for (task, lang), header, lines in scoretable.grid(scores["speechinstructbench"]):
        parts.append(f"## {TASKS.get(task, task)}, {LANGUAGES.get(lang, lang)}")
        parts.append(f"{FOLLOWED.get(task, 'Followed, %')}; in brackets the 95 % interval (bootstrap over items).")
        align = ["left", *["right"] * (len(header) - 1)]
        parts.append(tabulate(lines, header, tablefmt="github", colalign=align, disable_numparse=True))
    if likely := scoretable.likelihood(scores):
        header, lines, forgotten = likely
        align = ["left", *["right"] * (len(header) - 1)]
        parts += ["## By likelihood", "No text is generated; in brackets the 95 % interval (bootstrap over documents or prompts)."]
        parts += [tabulate(lines, header, tablefmt="github", colalign=align, disable_numparse=True), forgotten]
    if people := scoretable.people(scores):
        parts.append("## Recordings of people")
        parts.append("\n".join(f"- {name}: {value}" for name, value in scoretable.people_lines(people)))
    groups = grouped(scores.get("comparisons") or [])
    if groups:
        parts.append("## Paired comparisons")
        parts.append("Closed-ended items, paired, in points. p is from a sign-flip test and not corrected for the number of lines.")
    for (lang, heading), pairs in groups.items():
        parts.append(f"**{heading}** ({LANGUAGES.get(lang, lang)})")
        parts.append("\n".join(f"- {pair['name']}: {pair['says']} ({figures(pair)})" for pair in pairs))
    return "\n\n".join(parts) + "\n"


def figures(pair: Worded) -> str:
    """Return a pair's figures: `95 % −37.9 to +11.6, p = 0.389, 30 items; not settled`."""
    interval = pair["interval"]
    between = "" if interval is None else f"95 % {signed(interval[0])} to {signed(interval[1])}, "
    settled = "; not settled" if pair["settled"] is False else ""
    return f"{between}{probability(pair['p_value'])}, {pair['n_prompts']} items{settled}"


def _forms(scores: Scores) -> list[str]:
    used = {row["form"] for row in scoretable.rows(scores)}
    lines = [f"- **{form}**: {meaning}" for form, meaning in scoretable.FORMS.items() if form in used]
    return ["\n".join(lines)] if lines else ["Nothing was scored."]
