"""Side-by-side measurements of speed and memory."""

from results.activation import refuse_outside

refuse_outside()
