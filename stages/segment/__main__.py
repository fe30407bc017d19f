from inserter.run.runner import run_stage
from stages.segment.stage import main

run_stage("segment", main)
