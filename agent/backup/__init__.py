"""What a new box needs to go on for a dead one, in one encrypted file; and setting a box up from it."""
