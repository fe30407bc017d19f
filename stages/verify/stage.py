"""The stage: sort utterances into a clean table and a quarantine table.

First, every clip is measured. Then the norms of each voice are learnt from the measurements. Then
the verdicts are given. The clean clips are written a second time, as a cut manifest of Lhotse.
"""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from inserter.audio.clips import check_shards
from inserter.files import count_rows, read_batches, read_table, write_batches
from inserter.params import Params, Verify
from inserter.paths import DATA
from inserter.reports import VerifyReport
from inserter.run.closure import deciding
from inserter.run.runner import output, say
from inserter.run.work import WorkFolder
from inserter.tables import UTTERANCES, VERIFIED, Verified
from inserter.verification.blocks import MEASURED_BY, by_document, judged, listeners_of, measure_blocks
from inserter.verification.norms import Norms
from stages.verify.cuts import write_cuts
from stages.verify.report import Report


def main(params: Params) -> dict[str, object]:
    clips, limits = DATA / "synthesize", params.verify
    check_shards(clips)
    listeners = listeners_of(params)
    # The limits are left out, so that measurements stay valid if a limit changes.
    recipe = [[str(part) for part in listeners], VERIFIED.names]
    work = WorkFolder("verify", recipe, [clips, *deciding(*MEASURED_BY)], keep_older=True)
    table = clips / "utterances.parquet"
    total = count_rows(table)
    blocks, now = measure_blocks(
        by_document(row for batch in read_batches(table, UTTERANCES) for row in batch),
        total,
        clips,
        folder=work / "blocks",
        listeners=listeners,
        params=params,
        label="verify",
        earlier=[older / "blocks" for older in work.older],
    )
    norms = Norms()
    for path in tqdm(blocks, desc="verify: usual durations", unit="block", leave=False):
        norms.learn(read_table(path, VERIFIED))
    report = Report()
    clean = write_batches(work / "out/clean.parquet", _clean(blocks, norms, limits), VERIFIED)
    write_cuts(work / "out/cuts.jsonl.gz", read_batches(clean, VERIFIED), clips)
    write_batches(work / "out/quarantine.parquet", _refused(blocks, norms, limits, report=report), VERIFIED)
    work.publish("out", output("verify"))
    work.drop_older()
    metrics: VerifyReport = report.metrics()
    reasons = ", ".join(f"{count} {reason}" for reason, count in metrics["quarantined"].items())
    say(f"verify: {metrics['clean']} of {metrics['in']} clips are clean; quarantined: {reasons or 'none'}; heard now: {now}")
    return {**metrics, "system": {"clips_measured": now, "clips_reused": total - now}}


def _clean(blocks: list[Path], norms: Norms, limits: Verify) -> Iterator[list[Verified]]:
    for verdicts in judged(blocks, norms, limits):
        yield [verdict.row for verdict in verdicts if verdict.row["reason"] is None]


def _refused(blocks: list[Path], norms: Norms, limits: Verify, *, report: Report) -> Iterator[list[Verified]]:
    for verdicts in judged(blocks, norms, limits):
        for verdict in verdicts:
            report.add(verdict)
        yield [verdict.row for verdict in verdicts if verdict.row["reason"] is not None]
