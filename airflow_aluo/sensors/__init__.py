"""Sensors of the Aluo provider."""
