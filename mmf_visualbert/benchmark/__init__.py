"""Speed and memory, each figure beside its rival in the same run: what `visualbert benchmark` does."""
