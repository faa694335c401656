"""A package, because a checkout of MMF that is on the path has a package of this name too: ours comes first."""
