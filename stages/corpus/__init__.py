"""corpus: sources in params → clean documents of whole paragraphs, without duplicates and benchmark prompts, split."""
