"""Builds, trains and tests one model."""
