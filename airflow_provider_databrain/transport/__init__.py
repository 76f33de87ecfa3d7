"""The only rooms that touch the network. Both follow the rules of ``api``; each adds one HTTP library."""
