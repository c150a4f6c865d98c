"""Attendance: class files, judgement of half-days against the approved headcount, and alerts.

Pure, except for what reads files (`source`, `xlsx`, `template`) or uses the catalog (`watch`, `figures`, `approved`).
"""
