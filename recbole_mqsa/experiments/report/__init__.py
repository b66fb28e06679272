"""The report of many runs."""
