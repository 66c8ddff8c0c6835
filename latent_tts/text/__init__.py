"""English to symbols: what is spoken (normalize.py), how (phonemes.py), as which symbols (symbols.py)."""
