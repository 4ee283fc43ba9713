"""One file per schema change, never edited once released."""
