"""What all benchmarks say: the machine, the figures for people, the figures as JSON."""

import os
import platform
from pathlib import Path
from typing import Any

import torch


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": cpu.partition(":")[2].strip() or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The figures for people."""
    said = [f"{name:<28} {found[name]}" for name in ("lengths", "padding_share_of_all_batches") if name in found]
    for label, figures in found.get("contenders", {}).items():
        seconds = figures["seconds"]
        said.append(
            f"{label:<12} {seconds['median']:.3f} s ({seconds['min']:.3f}-{seconds['max']:.3f})  "
            f"{figures['samples_per_second']:.2f} samples/s  {_more(figures)}"
        )
    for way, figures in found.get("precisions", {}).items():
        low, high = figures["interval"]
        right = f"{100 * figures['right']:.2f} % ({100 * low:.2f} to {100 * high:.2f}) of {figures['answers']} right"
        rest = f"{figures['changed']} changed  {figures['seconds']:.2f} s  {figures['megabytes']:.1f} MB"
        said.append(f"{way:<6} {right}  {rest}")
    for pair, ratio in found.get("ratios", {}).items():
        parts = (f"{what.replace('_', ' ')} {value:.3f}" for what, value in ratio.items())
        said.append(f"{pair:<24} " + "  ".join(parts))
    if found.get("benchmark") == "target":
        said.append(
            f"{found['metric']} {found['value']:.4f} after {found['seconds']:.1f} s, "
            f"{found['cpu_seconds']:.1f} s of the CPU, {found['update']} updates"
        )
    if found.get("benchmark") == "opening":
        said.append(
            f"{found['samples']:,} samples of {found['workload']} open in {found['seconds']:.1f} s "
            f"({found['cpu_seconds']:.1f} s of the CPU) and {found['mib']:.0f} MiB; "
            f"a worker has {found['worker_mib']:.0f} MiB"
        )
    if found.get("benchmark") == "samples":
        for name, figures in found["microseconds"].items():
            said.append(f"{name:<8} " + "  ".join(f"{way} {value:.1f} us a sample" for way, value in figures.items()))
    if found.get("benchmark") == "keys":
        said += [f"{name:<4} {found[name]}" for name in ("on", "off")]
        said.append("on - off: {mean:+.4f} ({min:+.4f} to {max:+.4f})".format(**found["difference"]))
    return said or [str(found)]


def _more(figures: dict[str, Any]) -> str:
    """What a step says beside its time, or a whole run."""
    if "first_update" in figures:
        return (
            f"{figures['cpu_seconds']:.3f} s of the CPU  "
            f"first update after {figures['first_update']:.1f} s  {figures['peak_mib']:.0f} MiB  "
            + ", ".join(f"{part} {100 * share:.1f} %" for part, share in figures["shares"].items())
        )
    return (
        f"{figures['tokens_computed']} tokens, {figures['useful_tokens_per_second']:.0f} useful a second, "
        f"{100 * figures['share_of_matrix_peak']:.0f} % of the matrix peak  "
        f"{figures['peak_mib']:.0f} MiB, {figures['fixed_mib']:.0f} of them fixed"
    )
