"""Pages of results, one self-contained file each."""
