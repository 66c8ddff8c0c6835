# make speak   install into .venv and say a sentence into hello.wav
# make test    install the training, evaluation and test extras as well; ruff, then pytest, a process and thread a core
# PYTHON=python3.11 make ...   chooses the interpreter (3.10 to 3.12)
# TEXT="..." REFERENCE=ref.wav make speak   chooses the words and the voice

PYTHON ?= python3
VENV ?= .venv
export TEXT ?= Hello there. This voice was cloned from a few seconds of a recording.
export REFERENCE ?= latent_tts/models/nano/reference.flac
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check -c tools/constraints.txt
PACKAGING := setup.py pyproject.toml tools/constraints.txt

.PHONY: speak test lint clean
.DELETE_ON_ERROR:

speak: $(VENV)/.installed
	$(VENV)/bin/tts "$$TEXT" --reference "$$REFERENCE" --output hello.wav

test: $(VENV)/.installed-extras lint
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.installed-extras
	$(VENV)/bin/ruff check

# A stamp is written last, so an installation that was broken off is taken up again.
$(VENV)/.installed: $(PACKAGING) | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

# --no-deps: Resemblyzer names webrtcvad, which needs a compiler; webrtcvad-wheels (an extra) is the same module.
$(VENV)/.installed-extras: $(VENV)/.installed
	$(PIP) --editable '.[train,eval,transformers,server,demo,docs,test]'
	$(PIP) --no-deps 'resemblyzer>=0.1.4'
	touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "make: $(PYTHON) is missing or is not Python 3.10 to 3.12; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info hello.wav
