"""Tables of reading region features: from memory, beside MMF's reader and numpy, and from a disk, beside the disk."""

from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]

# Figure -> what it is, and the figure that it stands beside.
FROM_MEMORY = {
    "ours_fp16_batch": ("ours, float16: a worker's batch of 64", "mmf_batch"),
    "ours_fp32_batch": ("ours, float32: a worker's batch of 64", "mmf_batch"),
    "mmf_batch": ("MMF's reader, collation and hand-over (float32): a worker's batch of 64", None),
    "numpy_batch": ("numpy copying the float16 bytes to memory of that kind", "mmf_batch"),
    "ours_fp16": ("ours, float16, into a batch that is there", "mmf_into_batch"),
    "ours_fp32": ("ours, float32, into a batch that is there", "mmf_into_batch"),
    "mmf_into_batch": ("MMF's reader (float32) and the copy into the batch that its collation makes", None),
    "ours_fp16_tensor": ("ours, float16, into a tensor of its own", "mmf"),
    "ours_fp32_tensor": ("ours, float32, into a tensor of its own", "mmf"),
    "mmf": ("MMF's reader (float32), into a tensor of its own", None),
    "numpy_memory_fp16": ("numpy copying the float16 bytes, into a batch that is there", "mmf_into_batch"),
}
FROM_DISK = {
    "disk_sequential": "the disk, one file from beginning to end",
    "ours_in_order": "ours, in order",
    "ours_shuffled": "ours, random order, one process",
    "ours_shuffled_4_workers": "ours, random order, four workers",
    "mmf_shuffled": "MMF's reader, random order",
}


def reading(found: Sequence[Found]) -> list[list[str]]:
    """Images a second of one thread, and how many times as many they are as MMF's where both end in the same place."""
    rows = [["from memory, in random order", "machine", "images a second", "times MMF's"], ["---"] * 4]
    for each, machine in _of_features(found):
        rates = {name: figures["samples_per_second"] for name, figures in (each["warm"] | each["batches"]).items()}
        for name, (what, beside) in FROM_MEMORY.items():
            times = f"{rates[name] / rates[beside]:.1f}" if beside else ""
            rows.append([what, machine, f"{rates[name]:,.0f}", times])
    return rows


def disk(found: Sequence[Found]) -> list[list[str]]:
    """MB a second from a disk, and their share of the disk's own."""
    rows = [["from a disk", "machine", "MB a second", "of the disk's"], ["---"] * 4]
    for each, machine in _of_features(found):
        own = each["cold"]["disk_sequential"]["megabytes_per_second"]
        for name, what in FROM_DISK.items():
            rate = each["cold"][name]["megabytes_per_second"]
            rows.append([what, machine, f"{rate:,.0f}", f"{100 * rate / own:.0f} %"])
    return rows


def many(found: Sequence[Found]) -> list[list[str]]:
    """What a store with many ids takes before its first record, and when all were read."""
    rows = [["a million small records", "machine", "first record after", "MiB when all are read"], ["---"] * 4]
    for each, machine in _of_features(found):
        for name, what in (("ours", "ours"), ("mmf", "MMF's reader")):
            figures = each["many_ids"][name]
            rows.append(
                [what, machine, f"{figures['seconds_to_first_record']:.2f} s", f"{figures['mib_all_read']:.0f}"]
            )
    return rows


def extraction(found: Sequence[Found]) -> list[list[str]]:
    """Images a second from files to a finished store, beside the bare detector on tensors that are ready."""
    rows = [["from images", "machine", "images a second", "the bare detector's", "ours of it"], ["---"] * 5]
    for each in (one for one in found if one.get("benchmark") == "extract"):
        ours, bare = (each["rates"][name]["images_per_second"] for name in ("ours", "bare"))
        what = f"`{each['detector']}`, random weights"
        rows.append([what, each["machine"]["cpu"], f"{ours:.2f}", f"{bare:.2f}", f"{100 * ours / bare:.0f} %"])
    return rows


def _of_features(found: Sequence[Found]) -> list[tuple[Found, str]]:
    of_features = [each for each in found if each.get("benchmark") == "features"]
    return [(each, f"{each['machine']['cpu']}, {each['machine']['instructions']}") for each in of_features]


TABLES = {"reading": reading, "disk": disk, "many": many, "extraction": extraction}
