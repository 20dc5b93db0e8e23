"""One self-contained HTML page of everything measured: no network, no script, readable on paper and on a phone."""
