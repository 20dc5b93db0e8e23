"""Data sets on disk: layouts with exact counts, the embedded digits corpus, preparation and checks."""

from results.activation import refuse_outside

refuse_outside()
