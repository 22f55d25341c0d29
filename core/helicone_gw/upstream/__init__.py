"""One call of one provider: where it goes, what it carries, and how its answer comes back."""
