"""Next-token loss on the text of interleaved sequences, from the warmed-up adapter."""
