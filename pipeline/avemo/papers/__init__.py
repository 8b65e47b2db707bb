"""Tables of published papers, as data."""
