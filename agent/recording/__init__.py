"""Recording: RTSP packets into segments on the labelled drive; only telephone sound is re-encoded."""
