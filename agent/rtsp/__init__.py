"""RTSP client (RFC 2326, 7826 where cameras use it): a core without sockets, and a thin blocking connection over it."""
