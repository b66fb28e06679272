"""The models, their layers and their losses."""
