"""The short cut to the text of plain markup. Only `innertext` imports it; without it every text is the same."""
