"""Brings what is on disk up to date: reads, divides and embeds files, and commits the result."""
