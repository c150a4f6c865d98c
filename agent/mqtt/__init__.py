"""One connection to an MQTT broker; the only package that imports paho."""
