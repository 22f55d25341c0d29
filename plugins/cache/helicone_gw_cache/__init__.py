"""Answers from memory, disk or Redis: Helicone's cache headers, single flight, what every hit saved."""
