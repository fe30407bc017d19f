"""Code that the flows and stages share; `score` and `judge` need nothing outside this package."""

from inserter.registration import watch

watch()
