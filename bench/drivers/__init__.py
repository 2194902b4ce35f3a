"""The drivers that are compared, one file each."""
