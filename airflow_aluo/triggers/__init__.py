"""Triggers of the Aluo provider."""
