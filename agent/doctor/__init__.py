"""`site-agent doctor`: one look at the whole box. Each check is a function from what the box knows to findings with a mend."""
