"""One module per engine that runs a transfer protocol."""
