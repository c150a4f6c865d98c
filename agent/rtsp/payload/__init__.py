"""RTP payload formats: packets in, access units of pictures and frames of sound out."""
