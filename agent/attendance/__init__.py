"""Attendance: judgement of half-days against the approved headcount, and alerts.

Pure, except for what uses the catalog (`worker`, `figures`, `approved`) or reads files (`punch_import`).
"""
