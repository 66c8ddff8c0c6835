"""A speech server with OpenAI's interface, and the page beside it."""
