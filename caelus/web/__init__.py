"""The pages at /ui: HTML over the table of operations, for who would rather look than type."""
