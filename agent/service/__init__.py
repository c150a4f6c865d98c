"""The running service: composition, threads, watchdog, page process."""
