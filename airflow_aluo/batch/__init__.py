"""Many edits in one task: which are asked for, and what of them is returned."""
