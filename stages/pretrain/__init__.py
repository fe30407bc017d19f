"""CTC warm-up of the adapter, then next-token loss on the text of interleaved sequences."""
