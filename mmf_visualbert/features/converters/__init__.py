"""Region features in other people's formats, read one image at a time."""

from mmf_visualbert.features.converters.arrays import from_npy_folder, from_store, from_uniter
from mmf_visualbert.features.converters.hdf5 import from_ban_hdf5
from mmf_visualbert.features.converters.source import BOXES, LAYOUTS, NUMBERS, Found, Image, KeyPattern, Reader, Reading
from mmf_visualbert.features.converters.tables import from_bottom_up_tsv, from_lxmert_tsv
from mmf_visualbert.features.converters.vinvl import from_vinvl_tsv

__all__ = ["BOXES", "FORMATS", "LAYOUTS", "NUMBERS", "Found", "Image", "KeyPattern", "Reader", "Reading"]

FORMATS: dict[str, Reader] = {
    "mmf": from_store,
    "npy": from_npy_folder,
    "bottom_up_tsv": from_bottom_up_tsv,
    "lxmert_tsv": from_lxmert_tsv,
    "ban_hdf5": from_ban_hdf5,
    "uniter": from_uniter,
    "vinvl_tsv": from_vinvl_tsv,
}
