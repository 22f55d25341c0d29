"""Answers for questions that mean the same: embeddings, a lexical guard, and a meter of how often that was wrong."""
