"""Setting up the Python environment and the two engines; standard library only."""
