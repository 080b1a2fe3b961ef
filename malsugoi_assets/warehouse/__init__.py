"""Where tables live: their declarations, the partition files, the published database."""
