"""Measuring speech offline: intelligibility, speaker similarity, quality, and the trials they are measured
on.
"""
