"""Pages that both programs have: signing in, passwords, accounts, the audit."""
