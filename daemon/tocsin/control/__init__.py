"""The running daemon's API on a Unix socket, and the client by which commands reach it."""
