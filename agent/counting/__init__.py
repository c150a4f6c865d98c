"""Looks: key frames of the recorded video, judged for people, picture and sound."""
