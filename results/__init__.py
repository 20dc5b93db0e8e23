"""The paper's numbers, the measured records, and the difference between them. Imports no other room and no torch."""
