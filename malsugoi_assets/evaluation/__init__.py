"""Protocols, metrics, intervals and reports: how good a model is, honestly."""
