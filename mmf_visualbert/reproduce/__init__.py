"""The paper's experiments as chains of MMF runs: what to run, in which order, and the row to put beside the paper's."""
