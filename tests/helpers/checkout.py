"""Where the checkout is that these tests are of."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
