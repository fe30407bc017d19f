"""Check the trainer on a card: is it right, how fast is it, and does a plain adapter learn to hear.

`--pack` writes a bundle on a prepared machine, and `--bundle` runs the checks from the bundle
alone. docs/TRAINING.md describes the commands and the figures.
"""
