from stages.common.runner import run_stage
from stages.corpus.stage import main

run_stage("corpus", main)
