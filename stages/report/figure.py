"""Draw the share followed by variant and form, with 95 % intervals.

The figure has one panel per task and language.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from inserter.evaluation import Scores
from inserter.page.browser.words import LANGUAGES, TASKS
from inserter.scoring import table as scoretable
from inserter.scoring.table import ScoreRow
from inserter.tables import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart. Markers differ too, for print.
STYLE = {
    "heard": ("#0072B2", "o"),
    "read": ("#D55E00", "D"),
    "cascade": ("#009E73", "s"),
    "lm": ("#6B7280", "^"),
    "asr_lm": ("#CC79A7", "P"),
    "chance": ("#9CA3AF", "v"),
}
FOLLOWED = {"closed": "instructions followed", "open": "questions met", "adjustment": "corrections followed"}
SPREAD = 0.16  # distance between the forms of a variant; variants are 1 apart


def draw(scores: Scores, path: Path) -> None:
    """Write `scores` as a PNG to `path`. The same scores give the same bytes.

    scores: `speechinstructbench` in reports/evaluate.json.
    """
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in sorted(scoretable.rows(scores), key=lambda row: scoretable.place(row["task"], row["lang"])):
        if row["share"] is not None:
            panels.setdefault((row["task"], row["lang"]), []).append(row)
    heights = [max(0.8, 0.62 * len({row["variant"] for row in rows})) for rows in panels.values()]
    figure = Figure(figsize=(8, 1.3 + sum(heights) + 0.5 * len(heights)), layout="constrained", dpi=160)
    if not panels:
        figure.text(0.5, 0.5, "nothing was scored", ha="center", va="center")
    else:
        grid = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axes, (name, rows) in zip(grid, panels.items(), strict=True):
            _panel(axes, name, rows)
        _legend(figure, {row["form"] for rows in panels.values() for row in rows})
    figure.savefig(path, format="png", metadata={"Software": None})


def _panel(axes: "Axes", name: tuple[str, str], rows: list[ScoreRow]) -> None:
    task, lang = name
    variants = sorted({row["variant"] for row in rows}, key=lambda v: (v != "standard", v))
    forms = [form for form in scoretable.FORMS if any(row["form"] == form for row in rows)]
    for row in rows:
        colour, marker = STYLE.get(row["form"], ("black", "o"))
        place = forms.index(row["form"]) if row["form"] in forms else len(forms)
        y = variants.index(row["variant"]) + SPREAD * (place - (len(forms) - 1) / 2)
        if row["low"] is not None:
            axes.plot([100 * row["low"], 100 * known(row["high"])], [y, y], color=colour, linewidth=1.6, solid_capstyle="round")
        axes.plot(
            100 * known(row["share"]),
            y,
            marker=marker,
            markersize=6,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.6,
            clip_on=False,  # whole at 0 and 100
            zorder=3,
        )
    axes.set_yticks(range(len(variants)), variants)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.grid(axis="x", color="#E5E7EB")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    followed = FOLLOWED.get(task, "followed")
    title = f"{TASKS.get(task, task)}, {LANGUAGES.get(lang, lang)}: {followed}, % with 95 % interval"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")


def _legend(figure: "Figure", forms: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linewidth=1.6, label=scoretable.FORMS[form])
        for form, (colour, marker) in STYLE.items()
        if form in forms
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
