"""Draw a group's curves: the gap that hearing closes, by the positions of pre-training."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from inserter.files import atomic
from inserter.run.curve import read_curve

# Okabe and Ito's colours, which colour-blind readers tell apart. Markers differ too, for print.
STYLES = (("#0072B2", "o"), ("#D55E00", "D"), ("#009E73", "s"), ("#CC79A7", "^"))
LEAST = 3  # points of a curve
Curve = list[tuple[float, float]]  # (positions, gap closed)


def gap_by_positions(plots: Path) -> Curve:
    """Return the gap closed by positions, from the plots of `pretrain` in the folder `plots`.

    A gap that was not measured is left out. Without these files the curve is empty.
    """
    trained = [0.0]  # positions up to each step
    for row in read_curve(plots / "pretrain.csv"):
        trained.append(trained[-1] + row["positions"])
    measured = read_curve(plots / "pretrain-gap.csv")
    return [(trained[int(row["step"])], row["gap_closed"]) for row in measured if "gap_closed" in row]


def drawable(curves: Iterable[Sequence[object]]) -> bool:
    return any(len(curve) >= LEAST for curve in curves)


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Write the curves of arms, by name, as a PNG. The same curves give the same bytes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained", dpi=160)
    axes = figure.subplots()
    for number, (arm, curve) in enumerate(curves.items()):
        colour, marker = STYLES[number % len(STYLES)]
        axes.plot(*zip(*curve, strict=True), label=arm, color=colour, marker=marker, markersize=4)
    axes.axhline(0, color="#9CA3AF", linewidth=0.8)
    axes.set_xlabel("positions of pre-training")
    axes.set_ylabel("gap closed by hearing")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False)
    atomic(path, lambda place: figure.savefig(place, format="png", metadata={"Software": None}))
