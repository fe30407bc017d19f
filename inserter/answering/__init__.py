"""Ask any model for the benchmark's items, and write its answers as `inserter score` reads them."""
