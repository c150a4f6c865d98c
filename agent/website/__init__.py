"""What the box's page and the bureau's board share: connections, TLS, sign-in, sessions, layout. Drawn on the server."""
