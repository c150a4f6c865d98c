"""Attendance: class files, judgement of half-days against the approved headcount, alerts. Pure but for `watch`."""
