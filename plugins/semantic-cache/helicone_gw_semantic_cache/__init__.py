"""Answers for questions that mean the same: embeddings, a lexical guard, and a meter of how often that was wrong."""

import os

# Read when numpy is first imported. A product with one vector is bound by memory: more threads do not make it quicker,
# and where the cores are busy they make it wait for one another, ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
