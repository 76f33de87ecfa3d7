"""The only modules that use the network. Both transports follow the rules of ``client``; each adds an HTTP library."""
