"""Data sets on disk: layouts with exact counts, the embedded digits corpus, preparation and checks."""
