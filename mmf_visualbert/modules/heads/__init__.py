"""What reads the states of the encoder for a task: one file a head."""
