"""TaskFlow decorators of the Aluo provider."""
