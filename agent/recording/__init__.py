"""Recording: RTSP packets into segments on the labelled drive, nothing re-encoded but telephone sound."""
