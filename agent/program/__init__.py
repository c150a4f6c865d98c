"""What the two programs, agent and board, share as programs: settings files, output on the terminal."""
