"""How fast one account may be asked, and which edit to look at next: arithmetic, with the clock passed in."""
