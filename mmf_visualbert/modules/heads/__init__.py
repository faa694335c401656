"""What reads the states of the trunk for a task: one file a head."""
