"""Who may sign in, and what is logged of refusals."""
