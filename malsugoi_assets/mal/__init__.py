"""The site: pure parsers, a polite client, the page store, and the replica."""
