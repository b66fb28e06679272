"""The settings of a run: read, completed and checked."""
