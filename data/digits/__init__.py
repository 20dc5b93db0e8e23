"""The embedded corpus: scikit-learn's handwritten digits and photographs in the published layout of every data set."""
