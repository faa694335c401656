"""Writes a feature store. A store appears under its name only when it is whole."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import lmdb
import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.environments import key_text, whole_pages
from mmf_visualbert.features.info import DTYPES, StoreInfo
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.files import sync_folder, write_errors

MAP_SIZE = 1 << 40  # bytes of address space, as MMF's script reserves; the file grows with what is written
_COMMIT_BYTES = 32 << 20


class FeatureStoreWriter:
    """Writes records to `path` + `.partial` and gives the file its name when all are there.

    Use it as a context manager: leaving it without an exception finishes the store. Records are committed as they
    come, so that a process killed at any moment leaves whole records only; with `resume` the next one goes on there.

    Args:
        path: of the store, one file; an existing store of that name is replaced at the end.
        info: what the store says about itself; its `dtype` is taken from the next argument.
        dtype: `float16` or `float32`, the type in which features are kept.
        resume: go on with the records that an interrupted run left; otherwise they are thrown away.
        open_ended: how many regions an image has at most is not known yet; what `info` says becomes the largest number
            that was added.

    Raises:
        InputError: where another process writes the same store, or what was left is another detector's.
    """

    def __init__(
        self,
        path: str | Path,
        info: StoreInfo,
        dtype: str = "float16",
        resume: bool = False,
        open_ended: bool = False,
    ) -> None:
        if dtype not in DTYPES:
            raise InputError(f"the dtype of a feature store is one of {', '.join(DTYPES)}, not '{dtype}'")
        self.path, self.partial = Path(path), Path(f"{path}.partial")
        self.info, self.dtype = replace(info, dtype=dtype), np.dtype(dtype)
        with write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = OneWriter(self.path)
        self._environment, self._transaction = self._open(resume)
        self._uncommitted = 0
        self._keep_partial = resume
        self._open_ended, self._most = open_ended, 1
        try:
            self._check_resumed()
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> "FeatureStoreWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.finish()
            return
        if self._keep_partial:
            with contextlib.suppress(InputError):  # a full disk, which is what is being raised
                self.commit()
        self._close()

    def __contains__(self, key: str) -> bool:
        return bool(key) and self._transaction.cursor().set_key(key.encode())

    def keys(self) -> Iterator[str]:
        """Keys of the records that are there, in LMDB's order, after what was added was brought to the disk.

        They are read in the file: LMDB's binding would read all records again.
        """
        self.commit()
        for name, _ in whole_pages(str(self.partial), str(self.partial)).entries():
            if name not in records.RESERVED:
                yield key_text(name, str(self.partial))

    def add(self, key: str, record: RegionRecord) -> None:
        """Adds one image.

        Raises:
            InputError: for a key that is there already or cannot be one, shapes that do not fit the store, numbers
                that are not finite or too large for its type, boxes outside the image; and where the disk is full.
        """
        if key in self:
            raise InputError(f"two images have the key '{key}' in {self.path}; rename one of the two files")
        record = self._cast(record)
        wrong = self.problem(record)
        if wrong:
            raise InputError(f"the record '{key}' for {self.path} has {wrong}; mend it where it was made")
        self._most = max(self._most, len(record.features))
        self._put(key.encode(), records.encode(key, record))

    def problem(self, record: RegionRecord) -> str | None:
        """What keeps a record out of this store, in words; None where nothing does."""
        record = self._cast(record)
        return records.problem(record) or self._misfit(record)

    def commit(self) -> None:
        """Brings everything added so far to the disk."""
        with disk_errors(self.path):
            self._transaction.commit()
            self._transaction = self._environment.begin(write=True)
        self._uncommitted = 0

    def finish(self) -> None:
        """Writes MMF's list of keys, closes the file and gives it its name.

        Raises:
            InputError: where there is no record, MMF's reader would confuse two keys, or the disk is full.
        """
        try:
            keys = list(self.keys())
            if not keys:
                raise InputError(f"no record was added to {self.path}; a store needs at least one")
            records.check_keys(keys)
            if self._open_ended:
                self.info = replace(self.info, regions=self._most)
                self._put(records.INFO_RECORD, self.info.to_json())
            with disk_errors(self.path):
                self._transaction.put(records.KEYS_RECORD, records.encode_keys(key.encode() for key in keys))
                self._transaction.commit()
                self._environment.sync(True)
                self._environment.close()
                os.replace(self.partial, self.path)
                sync_folder(self.path.parent)
        except BaseException:
            self._close()
            raise
        self._lock.release()

    def _open(self, resume: bool) -> tuple[lmdb.Environment, lmdb.Transaction]:
        """Our own lock is enough, and LMDB's would be a file that it maps, which a full disk cannot have."""
        try:
            with write_errors(self.path):
                if not resume:
                    self.partial.unlink(missing_ok=True)
                elif self.partial.exists():
                    whole_pages(str(self.partial), str(self.partial))
            environment = lmdb.open(
                str(self.partial), subdir=False, map_size=MAP_SIZE, mode=0o644, meminit=False, max_dbs=0, lock=False
            )
            return environment, environment.begin(write=True)
        except InputError:
            self._lock.release()
            raise
        except lmdb.Error as error:
            if not resume:
                self.partial.unlink(missing_ok=True)  # a first page may be there
            self._lock.release()
            if not resume:
                raise InputError(f"{self.path} cannot be written ({error}); free space on its disk") from None
            raise InputError(f"{self.partial} cannot be continued ({error}); remove it and start again") from None

    def _check_resumed(self) -> None:
        stated = self._transaction.get(records.INFO_RECORD)
        if stated is None:
            self._put(records.INFO_RECORD, self.info.to_json())
            return
        wrong = StoreInfo.from_json(bytes(stated), str(self.partial)).mismatches(vars(self.info))
        if wrong:
            raise InputError(
                f"{self.partial} is left from a run with other settings: {'; '.join(wrong)}; "
                "remove it, or repeat that run"
            )

    def _cast(self, record: RegionRecord) -> RegionRecord:
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as not finite
            return record._replace(features=np.asarray(record.features).astype(self.dtype, copy=False))

    def _misfit(self, record: RegionRecord) -> str | None:
        count, dimension = record.features.shape
        if dimension != self.info.dimension:
            return f"features of dimension {dimension} where the store says {self.info.dimension}"
        if count > self.info.regions and not self._open_ended:
            return f"{count} regions where the store says at most {self.info.regions}"
        return None

    def _put(self, key: bytes, value: bytes) -> None:
        with disk_errors(self.path):
            self._transaction.put(key, value)
        self._uncommitted += len(value)
        if self._uncommitted >= _COMMIT_BYTES:
            self.commit()

    def _close(self) -> None:
        """Gives up; what was committed stays where the next one can go on with it."""
        self._transaction.abort()
        self._environment.close()
        if not self._keep_partial:
            self.partial.unlink(missing_ok=True)
        self._lock.release()


class OneWriter:
    """A lock on `path` + `.lock`, held by this process alone: decoding workers that outlive a killed run have none.

    Raises:
        InputError: where another process has it, or nothing can be written there.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(f"{path}.lock")
        while True:
            with write_errors(path):
                self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self.descriptor)
                raise InputError(f"another process is writing {path}; let it finish, or end it") from None
            if self._is_current():
                return
            os.close(self.descriptor)  # the file was removed by its last holder in between

    def __enter__(self) -> "OneWriter":
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Removes the file and gives the lock back."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


@contextlib.contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turns what a full disk raises into one sentence."""
    try:
        with write_errors(path):
            yield
    except lmdb.Error as error:
        raise InputError(
            f"{path} cannot be written ({error}); free space on its disk and start again: "
            "what was committed is kept where the run can be resumed"
        ) from error
