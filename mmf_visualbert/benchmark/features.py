"""Reading region features: our store beside MMF's LMDBFeatureReader and beside numpy copying the same bytes.

visualbert benchmark features --json benchmarks/features.json
"""

import argparse
import importlib.util
import json
import mmap
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import torch

from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.processors.batch_room import batch_room
from mmf_visualbert.processors.regions import RegionFeatures

TURN = 16  # records that a contender reads before the next one's turn
BATCH = 64


def run(args: argparse.Namespace) -> dict:
    """Warm and cold reading, and a store with a million ids."""
    torch.set_num_threads(1)  # as a DataLoader's worker has
    if importlib.util.find_spec("mmf") is None:
        raise InputError("the benchmark of features reads with MMF's reader too; install MMF: visualbert install-mmf")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        paths = write_stores(Path(folder), args)
        found = {"cold": cold(paths, args)}  # first: what this process maps stays in memory
        found["warm"] = warm(paths, args)
        found["batches"] = batches(paths, args)
        many = write_many(Path(folder), args.ids)
        found["many_ids"] = {name: child("many", name, many, args.ids) for name in ("ours", "mmf")}
    rates = {name: figures["samples_per_second"] for name, figures in (found["warm"] | found["batches"]).items()}
    found["speed_ratios"] = {
        "ours_fp16_batch / mmf_batch": rates["ours_fp16_batch"] / rates["mmf_batch"],
        "ours_fp32_batch / mmf_batch": rates["ours_fp32_batch"] / rates["mmf_batch"],
        "ours_fp16_batch / numpy_batch": rates["ours_fp16_batch"] / rates["numpy_batch"],
        "ours_fp16 / mmf_into_batch": rates["ours_fp16"] / rates["mmf_into_batch"],
        "ours_fp32 / mmf_into_batch": rates["ours_fp32"] / rates["mmf_into_batch"],
        "ours_fp16_tensor / mmf": rates["ours_fp16_tensor"] / rates["mmf"],
        "ours_fp32_tensor / mmf": rates["ours_fp32_tensor"] / rates["mmf"],
        "ours_fp16 / mmf": rates["ours_fp16"] / rates["mmf"],
        "numpy_memory_fp16 / mmf": rates["numpy_memory_fp16"] / rates["mmf"],  # no copy of these bytes is faster
        "ours_fp16 / numpy_memory_fp16": rates["ours_fp16"] / rates["numpy_memory_fp16"],
        "ours_fp16 / numpy_file_fp16": rates["ours_fp16"] / rates["numpy_file_fp16"],
        **{
            f"cold {name} / disk_sequential": found["cold"][name]["megabytes_per_second"]
            / found["cold"]["disk_sequential"]["megabytes_per_second"]
            for name in ("ours_in_order", "ours_shuffled", "ours_shuffled_4_workers", "mmf_shuffled")
        },
    }
    versions = {
        "lmdb": lmdb.__version__,
        "numpy": np.__version__,
        "mmf": importlib.import_module("mmf.version").__version__,
    }
    shape = [args.images, args.regions, args.dimension]
    return {"benchmark": "features", "shape": shape, "versions": versions, **found}


def key(number: int) -> str:
    """As COCO's."""
    return f"COCO_train2014_{number:012d}"


def write_stores(folder: Path, args: argparse.Namespace) -> dict[str, Path]:
    """The same records: ours in both types, MMF's as its script writes them, and bytes one after the other."""
    paths = {name: folder / f"{name}.lmdb" for name in ("ours_fp16", "ours_fp32", "mmf")}
    paths["numpy_file_fp16"] = folder / "flat.bin"
    generator = np.random.default_rng(0)
    base = generator.normal(size=(args.regions, args.dimension)).astype(np.float32)
    boxes = np.tile(np.array([0, 0, 100, 100], np.float32), (args.regions, 1))
    classes, scores = np.arange(args.regions), np.linspace(1, 0, args.regions, dtype=np.float32)
    info = StoreInfo("benchmark", args.dimension, args.regions)
    theirs = lmdb.open(str(paths["mmf"]), map_size=1 << 40)
    with (
        FeatureStoreWriter(paths["ours_fp16"], info, "float16") as half,
        FeatureStoreWriter(paths["ours_fp32"], info, "float32") as whole,
        theirs.begin(write=True) as transaction,
        open(paths["numpy_file_fp16"], "wb") as flat,
    ):
        for number in range(args.images):
            features = base + number % 7
            record = RegionRecord(features, boxes, 640, 480, classes, scores)
            half.add(key(number), record)
            whole.add(key(number), record)
            item = {"feature_path": key(number), "features": features, "image_height": 480, "image_width": 640}
            item |= {"num_boxes": args.regions, "objects": classes, "cls_prob": None, "bbox": boxes}
            transaction.put(key(number).encode(), pickle.dumps(item))
            flat.write(features.astype(np.float16).tobytes())
        transaction.put(b"keys", pickle.dumps([key(number).encode() for number in range(args.images)]))
    theirs.close()
    # copies: LMDB opens a file once a process, and each contender has bytes of its own to bring into the caches
    paths["mmf_on_ours_fp16"], paths["mmf_into_batch"] = folder / "copy.lmdb", folder / "mmf_copy.lmdb"
    shutil.copyfile(paths["ours_fp16"], paths["mmf_on_ours_fp16"])
    for name in ("ours_fp16", "ours_fp32"):
        paths[f"{name}_tensor"] = folder / f"{name}_copy.lmdb"
        shutil.copyfile(paths[name], paths[f"{name}_tensor"])
    shutil.copytree(paths["mmf"], paths["mmf_into_batch"])
    os.sync()
    return paths


def contender(
    name: str, paths: dict[str, Path], args: argparse.Namespace, key: Callable[[int], str] = key
) -> Callable[[int, np.ndarray], object]:
    """A function that reads record `number` into a slot (R, D) of a batch.

    `mmf` and those that end in `_tensor` leave the batch alone and only make a new tensor (R, D), as MMF's reader does.
    """
    size = args.regions * args.dimension
    if name.startswith("ours"):
        store = FeatureStore(paths[name])
        if name.endswith("_tensor"):
            kind = torch.float16 if "fp16" in name else torch.float32
            shape = (args.regions, args.dimension)
            return lambda number, slot: store.read_into(key(number), torch.empty(shape, dtype=kind).numpy())
        return lambda number, slot: store.read_into(key(number), slot)
    if name.startswith("mmf"):
        from mmf_visualbert.plugin.feature_reader import feature_reader

        reader = feature_reader(paths[name], args.regions)
        if name.endswith("_into_batch"):  # as MMF's SampleList collates: each tensor is copied into the batch
            return lambda number, slot: torch.from_numpy(slot).copy_(reader.read(f"{key(number)}.npy")[0])
        return lambda number, slot: reader.read(f"{key(number)}.npy")
    if name == "numpy_file_fp16":
        flat = np.frombuffer(mmap.mmap(os.open(paths[name], os.O_RDONLY), 0, prot=mmap.PROT_READ), np.uint8)
    else:
        flat = torch.empty(args.images * size * 2, dtype=torch.uint8).numpy()  # begins where copying is quickest
        flat[:] = np.fromfile(paths["numpy_file_fp16"], np.uint8)
    source = flat.reshape(args.images, size * 2)
    return lambda number, slot: np.copyto(slot.reshape(-1).view(np.uint8), source[number])


def warm(paths: dict[str, Path], args: argparse.Namespace) -> dict[str, dict]:
    """Samples a second of one process, files in the page cache, records in random order.

    The contenders take turns every few records, so that whatever else runs on the machine slows all of them alike; the
    rate is that of the median turn.
    """
    names = ["ours_fp16", "ours_fp32", "mmf", "mmf_on_ours_fp16", "numpy_file_fp16", "numpy_memory_fp16"]
    names += ["ours_fp16_tensor", "ours_fp32_tensor", "mmf_into_batch"]
    keys = [key(number) for number in range(args.images)]  # making them is not what is measured
    readers = {name: contender(name, paths, args, keys.__getitem__) for name in names}
    dtypes = {name: torch.float32 if name in ("ours_fp32", "mmf_into_batch") else torch.float16 for name in names}
    shape = (64, args.regions, args.dimension)
    batches = {name: torch.empty(shape, dtype=dtypes[name]).numpy() for name in names}
    order = np.random.default_rng(1).permutation(args.images).tolist()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(args.rounds + 1):  # the first brings the files into memory
        for start in range(0, len(order) - TURN + 1, TURN):
            for name, read in readers.items():
                begin = time.perf_counter()
                for place, number in enumerate(order[start : start + TURN]):
                    read(number, batches[name][(start + place) % 64])
                if round_number:
                    seconds[name].append((time.perf_counter() - begin) / TURN)
    return {name: spread(values) for name, values in seconds.items()}


def batches(paths: dict[str, Path], args: argparse.Namespace) -> dict[str, dict]:
    """Samples a second of a loader's worker: whole batches of `BATCH`, in memory that the training process sees.

    Ours as our data sets make them, checked and with masks; MMF's reader, collation and hand-over; and numpy copying
    the bytes of ours to memory of the same kind. All take turns.
    """
    makers = {name: batch_maker(name, paths, args) for name in ("ours_fp16", "ours_fp32", "mmf", "numpy")}
    order = np.random.default_rng(4).permutation(args.images).tolist()
    seconds: dict[str, list[float]] = {f"{name}_batch": [] for name in makers}
    for round_number in range(args.rounds + 1):
        for start in range(0, len(order) - BATCH + 1, BATCH):
            numbers = order[start : start + BATCH]
            for name, make in makers.items():
                begin = time.perf_counter()
                make(numbers)
                if round_number:
                    seconds[f"{name}_batch"].append((time.perf_counter() - begin) / BATCH)
    return {name: spread(values) for name, values in seconds.items()}


def batch_maker(name: str, paths: dict[str, Path], args: argparse.Namespace) -> Callable[[list[int]], torch.Tensor]:
    """A function that makes the features (B, R, D) of a batch of records, in memory that the training process sees.

    Ours and numpy's is that of the batch before, as it is in a worker.
    """
    from mmf_visualbert.plugin.kept_memory import KeptMemory
    from mmf_visualbert.plugin.workers import shared_storage

    kept = KeptMemory(shared_storage)

    def memory(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        found = kept.tensor(shape, dtype)
        return torch.empty(shape, dtype=dtype) if found is None else found

    if name == "mmf":
        from mmf_visualbert.plugin.feature_reader import feature_batch, feature_reader

        reader = feature_reader(paths[name], args.regions)
        return lambda numbers: feature_batch(reader, [f"{key(number)}.npy" for number in numbers])
    if name == "numpy":
        copy = contender("numpy_memory_fp16", paths, args)

        def copied(numbers: list[int]) -> torch.Tensor:
            whole = memory((len(numbers), args.regions, args.dimension), torch.float16)
            for place, slot in enumerate(whole.numpy()):
                copy(numbers[place], slot)
            return whole

        return copied
    regions = ImageRegions(FeatureStore(paths[name]), RegionFeatures(args.regions, args.dimension))

    def made(numbers: list[int]) -> torch.Tensor:
        with batch_room(len(numbers), memory) as room:
            return room.stacked([regions.tensors(key(number)) for number in numbers])["region_features"]

    return made


def spread(seconds: list[float]) -> dict[str, float]:
    """Samples a second, of the median turn and of those at the quarters."""
    slow, _, fast = (1 / value for value in reversed(statistics.quantiles(seconds, n=4)))
    return {"samples_per_second": 1 / statistics.median(seconds), "slow_quarter": slow, "fast_quarter": fast}


def cold(paths: dict[str, Path], args: argparse.Namespace) -> dict[str, dict]:
    """The same with the files dropped from the page cache, each in a fresh process, beside reading a file in order."""
    disk = ("disk_sequential", "numpy_file_fp16")  # beside each of ours, since the rates of a disk in a cloud vary
    ours = [(label, "ours_fp16") for label in ("ours_in_order", "ours_shuffled", "ours_shuffled_4_workers")]
    found: dict[str, list[dict]] = {}
    for round_number in range(args.rounds):
        plan = [disk, ours[0], disk, ours[1], disk, ours[2]]
        for label, name in plan + [("mmf_shuffled", "mmf")] * (round_number < 2):
            size = drop_from_cache(paths[name])
            np.ones(size + (1 << 28), np.uint8)  # a virtual machine may lack the memory for the cache until it is used
            found.setdefault(label, []).append(
                child("cold", label, paths[name], args.images, args.regions, args.dimension)
            )
    return {
        label: {name: statistics.median(one[name] for one in all_) for name in all_[0]} for label, all_ in found.items()
    }


def drop_from_cache(path: Path) -> int:
    """Takes a file out of the page cache; it must not be mapped by any process. Its size in bytes."""
    descriptor = os.open(path / "data.mdb" if path.is_dir() else path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    return size


def write_many(folder: Path, ids: int) -> Path:
    """A store with many small records."""
    path = folder / "many.lmdb"
    record = RegionRecord(np.zeros((1, 8), np.float32))
    with FeatureStoreWriter(path, StoreInfo("benchmark", 8, 1)) as writer:
        for number in range(ids):
            writer.add(key(number), record)
    return path


def child(*arguments: object) -> dict:
    """Runs a measurement of this file in a fresh process."""
    command = [sys.executable, "-m", "mmf_visualbert.benchmark.features", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"a measurement failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def measure_cold(label: str, path: str, images: str, regions: str, dimension: str) -> dict[str, float]:
    """Reads all records once; megabytes of features a second."""
    shape = (int(images), int(regions), int(dimension))
    size = shape[1] * shape[2] * (4 if label.startswith("mmf") else 2)
    order = np.arange(shape[0]) if label.endswith("order") else np.random.default_rng(2).permutation(shape[0])
    args = argparse.Namespace(images=shape[0], regions=shape[1], dimension=shape[2])
    slot = np.empty(shape[1:], np.float16)
    if label.endswith("workers"):
        return measure_workers(path, order, args, size)
    if label == "disk_sequential":
        read = None
    else:
        name = "mmf" if label.startswith("mmf") else "ours_fp16"
        read = contender(name, {name: Path(path)}, args)
    begin = time.perf_counter()
    if read is None:
        with open(path, "rb", buffering=0) as stream:
            block = bytearray(1 << 20)
            while stream.readinto(block):
                pass
    else:
        for number in order.tolist():
            read(number, slot)
    seconds = time.perf_counter() - begin
    return {"megabytes_per_second": shape[0] * size / seconds / 1e6, "samples_per_second": shape[0] / seconds}


def measure_workers(path: str, order: np.ndarray, args: argparse.Namespace, size: int) -> dict[str, float]:
    """The same in four forked processes, as a DataLoader's workers read."""
    read = contender("ours_fp16", {"ours_fp16": Path(path)}, args)
    begin = time.perf_counter()
    workers = []
    for part in np.array_split(order, 4):
        pid = os.fork()
        if pid == 0:
            slot = np.empty((args.regions, args.dimension), np.float16)
            for number in part.tolist():
                read(number, slot)
            os._exit(0)
        workers.append(pid)
    for pid in workers:
        os.waitpid(pid, 0)
    seconds = time.perf_counter() - begin
    return {"megabytes_per_second": args.images * size / seconds / 1e6, "samples_per_second": args.images / seconds}


def memory() -> float:
    """MiB of this process that are not pages of files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure_many(name: str, path: str, ids: str) -> dict[str, float]:
    """Time to open a store with many ids and read one record; memory after that and after reading them all."""
    count, before = int(ids), memory()
    args = argparse.Namespace(images=count, regions=1, dimension=8)
    slot = np.empty((1, 8), np.float16)
    if name == "mmf":  # its imports are not what is measured
        importlib.import_module("mmf_visualbert.plugin.feature_reader")
        before = memory()
    begin = time.perf_counter()
    read = contender(name, {name: Path(path)}, args)
    read(0, slot)
    opened = time.perf_counter() - begin
    after = memory()
    for number in np.random.default_rng(3).permutation(count).tolist():
        read(number, slot)
    return {"seconds_to_first_record": opened, "mib_opened": after - before, "mib_all_read": memory() - before}


if __name__ == "__main__":
    measures: dict[str, Callable[..., object]] = {"cold": measure_cold, "many": measure_many}
    print(json.dumps(measures[sys.argv[1]](*sys.argv[2:])))
