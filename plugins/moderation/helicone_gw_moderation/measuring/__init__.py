"""How good the local detectors are: precision and recall over a corpus, into a table."""
