"""``python -m latent_tts`` is the console command."""

import sys

from latent_tts.cli import main

if __name__ == "__main__":
    sys.exit(main())
