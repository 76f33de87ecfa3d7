"""The only modules that touch the network. Both follow the rules of ``client``; each adds one HTTP library."""
