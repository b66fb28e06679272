"""All that this package changes in RecBole for the whole process, listed in :mod:`.table`."""
