"""What one operation reads: axis maps, relations made of them, and one rule per kind of op."""
