"""Operators of the Aluo provider."""
