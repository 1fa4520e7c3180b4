"""Hooks of the Aluo provider."""
