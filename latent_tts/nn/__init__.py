"""Network parts that know torch and nothing of speech."""
