"""Opening streams and files with PyAV."""
