"""From RecBole's atomic files to batches of whole sequences."""
