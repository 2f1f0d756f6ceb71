"""The public lists and annotations: where they are, what they must hash to, where they are kept.

This package does not contain them. They are data files of public repositories, each at one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tvsl.download import Progress, download
from tvsl.errors import DataError
from tvsl.paths import lists_folder

_RAW: Final = "https://raw.githubusercontent.com"
_AVGN: Final = f"{_RAW}/stoneMo/AVGN/96282c3680601fe1de14c7ccbb65a0f4328f1e33/metadata"
_EZ_VSL: Final = f"{_RAW}/stoneMo/EZ-VSL/8231b49c21454baed5c48c4cb9ad0c0812db8c4c/metadata"
_EZ_VSL_TRAIN: Final = f"{_RAW}/stoneMo/EZ-VSL/24658cbb25889f873fd7707251cdcc70ef101bff/metadata"
_SLAVC: Final = f"{_RAW}/stoneMo/SLAVC/05b429c6f474ca6f1070d08e1d0142948d1625bf/metadata"
_LVS: Final = (
    f"{_RAW}/hche11/Localizing-Visual-Sounds-the-Hard-Way"
    "/2dd2256ef6813e749e5d72dbae809aee1222aae8/metadata"
)


@dataclass(frozen=True)
class PublicList:
    """A list or annotation file of a public repository.

    Attributes:
        file: Its file name.
        url: Where it is.
        sha256: What it must hash to.
    """

    file: str
    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it belongs on this machine."""
        return lists_folder() / self.file


_FILES: Final = (
    (_LVS, "vggss.json", "ae300b4a259267e6fe839970d495862edd70bfe3da63d925bcdb34054ed3b15e"),
    (_LVS, "vggss_test.csv", "971081929d45caf21a148a6ca968822d96e8316331d0cc0bafb1783acb4d2c35"),
    (_LVS, "flickr_test.csv", "faf5465bdb991cfb7506ccadef64dfea9e9bceb47e895d0e4dbdc2a0ca622871"),
    (
        _EZ_VSL,
        "vggss_heard_test.csv",
        "70a01c6828e7b84531823616ebb2e32e75bbaf5e44c715fa366b61111ab33c4e",
    ),
    (
        _EZ_VSL,
        "vggss_unheard_test.csv",
        "11883813db359df63e1a28f69bb53e1ceef7f5b8d68e0149de5792540acb9e17",
    ),
    (
        _EZ_VSL_TRAIN,
        "vggss_heard.txt",
        "db900e2df283236b3e5485ae95a4a09f0904f8da184fc7da6f1ab1d24f6c5aa2",
    ),
    (
        _SLAVC,
        "vggss_test_plus_silent.csv",
        "905a009428e16d1108e5af112d8e682dbe1702a2ed897b3d56753ff587018e4e",
    ),
    (
        _SLAVC,
        "flickr_test_plus_silent.csv",
        "45a0d32b64a9ef9e567d3eaf4a4a29683cdb0f7f4e1924a0e26cde24fa298643",
    ),
    (
        _AVGN,
        "vggsound_single_test.csv",
        "524511f56934441ad86f0cef16b1cb6bd9367c91d963adbca6240b4de30845cc",
    ),
    (
        _AVGN,
        "vggsound_duet_test.csv",
        "3e212fb1ac3f7f8d71ca6fdff81aa7a3d1e1908d98f946aa644b7d213df730a6",
    ),
    (
        _AVGN,
        "vgginstruments_test.csv",
        "93b96403745cd9c5063517bb539b753fe378b25635ab97eca28689a916d59276",
    ),
    (
        _AVGN,
        "vgginstruments_multi_test.csv",
        "1979f24434971473c5d0fb02455bc25b5b19db7e8a81c09bfd23a7a20177ead4",
    ),
    (
        _AVGN,
        "vgginstruments_multi_train.txt",
        "920764e927835cbabf0a1fa3faef9cc1d3a2988967513e23b7e4fafd5c1edbfa",
    ),
    (
        _AVGN,
        "music_solo_test.csv",
        "7920a6c77e19a4c76e44c3d9d2b112195b40e7be1fd4a5c69860e7dbe1e60c3b",
    ),
    (
        _AVGN,
        "music_solo_train.txt",
        "f912a9b4f4d55489215e31394a9f42d11256bed91575b9cc9ab8dd5fb37c6741",
    ),
    (_AVGN, "music_solo.json", "beb7508129540b98fab3ceb63c62541fc4615eeaffbd05c6c9ab7a9b558e893c"),
    (
        _AVGN,
        "music_duet_test.csv",
        "4cdeceac0e49000398101677d13e40cb52481b560074438e8ce511d8b4dbdd85",
    ),
    (
        _AVGN,
        "music_duet_train.txt",
        "297bbc81e8a03afb629cc48dcd2999984bb775dacf0f4df42986a2af9559bbe1",
    ),
    (_AVGN, "music_duet.json", "ef9dadc0146ea69cc7c41088cba04c10174b617d8a8bcdc4cce65e17e749168f"),
)

PUBLIC_LISTS: Final[Mapping[str, PublicList]] = {
    file: PublicList(file, f"{folder}/{file}", sha256) for folder, file, sha256 in _FILES
}
"""All public lists by their file names."""


def find_list(files: Sequence[str], folders: Sequence[Path], name: str) -> Path:
    """Find a list: in some folders, then among what was fetched.

    Args:
        files: Its file name, and names of others that would do as well.
        folders: Where to look first.
        name: The data set, for the message.

    Returns:
        The path of the first that is there.

    Raises:
        DataError: None is there; the message says how to get one.
    """
    places = [*folders, lists_folder()]
    for file in files:
        for folder in places:
            if (folder / file).is_file():
                return folder / file
    if files[0] in PUBLIC_LISTS:
        remedy = f"Run `tvsl data fetch-lists {name}`, or put {PUBLIC_LISTS[files[0]].url}"
    else:
        remedy = "It cannot be fetched from a public repository: put it"
    raise DataError(
        f"The list {' or '.join(files)} of the data set '{name}' is not here.",
        f"{remedy} into {places[0]} or {places[-1]}.",
        places[0] / files[0],
    )


def fetch_lists(files: Sequence[str], progress: Progress | None = None) -> list[Path]:
    """Fetch public lists that are not here yet; those that are here are compared with the table.

    Args:
        files: Their file names.
        progress: Called with files so far and files in all.

    Returns:
        Where they are.

    Raises:
        DataError: No network, a wrong checksum, or a folder that cannot be written.
    """
    paths = []
    for file in files:
        entry = PUBLIC_LISTS[file]
        by_hand = f"download by hand {entry.url} to {entry.path}"
        paths.append(download(entry.url, entry.path, entry.sha256, by_hand, error_type=DataError))
        if progress is not None:
            progress(len(paths), len(files))
    return paths
