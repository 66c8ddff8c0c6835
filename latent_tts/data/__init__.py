"""Data on disk and on its way to the model: Kaldi directories, data sets, batches."""
