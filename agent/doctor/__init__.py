"""`site-agent doctor`: one examination of the whole box.

Each check is a function from what is known of the box to findings with a remedy.
"""
