"""Ranks, metrics and costs of a trained model."""
