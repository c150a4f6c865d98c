"""A virtual ONVIF and RTSP camera for the demo, tests and benchmarks; imports nothing of the agent."""
