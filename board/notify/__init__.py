"""Tells people of what was raised, by e-mail, webhook, 企业微信 or 钉钉."""
