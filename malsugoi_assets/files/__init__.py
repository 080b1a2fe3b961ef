"""The `files` source: ratings and catalogues from a folder, checked, with every name resolved to an id."""
