"""Inspection: clips by class ID, their manifests, the drawing of random moments."""
