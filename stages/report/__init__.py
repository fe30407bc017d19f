"""What people read of the benchmark: a static page with the sound beside it, the table as Markdown, the figure."""
