from inserter.run.runner import run_stage
from stages.corpus.stage import main

run_stage("corpus", main)
