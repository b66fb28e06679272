"""Models side by side: the runs of a benchmark, and the report that is made of them."""
