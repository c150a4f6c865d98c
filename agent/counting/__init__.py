"""Counting: looks at key frames of the recorded video, for people, picture quality and sound quality."""
