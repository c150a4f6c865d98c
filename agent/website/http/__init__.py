"""HTTP: connections, TLS, byte ranges, limits."""
