"""The paper's numbers, the measured records, and the difference between them. Imports no other room and no torch."""

from results.activation import refuse_outside

refuse_outside()
