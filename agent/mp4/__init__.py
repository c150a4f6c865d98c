"""MP4 files (ISO/IEC 14496-12): read, write and repair them; no sample is decoded."""
