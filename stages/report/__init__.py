"""The stage `report`: the benchmark's results for human readers.

The report is a static page with the audio beside it, a Markdown table and a figure.
"""
