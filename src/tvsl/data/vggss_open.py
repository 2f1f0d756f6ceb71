"""VGG-SS by classes that training heard and classes that it did not (EZ-VSL's open-set split)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal

from tvsl.data.dataset import Split
from tvsl.data.rows import read_by_id
from tvsl.data.vggsound_single import VGGSoundSingle
from tvsl.data.vggss import TRAIN_FILE, VGGSS_FILE
from tvsl.errors import DataError
from tvsl.id_lists import clip_name

_HEARD_FILE = "vggss_heard.txt"


class VGGSSHeard(VGGSoundSingle):
    """2,564 test clips of the 110 classes that are trained on.

    Attributes:
        among: Classes among which to detect: the ``own`` 110, or ``all`` 221 of VGG-SS.
    """

    name: ClassVar[str] = "vggss-heard"
    title: ClassVar[str] = "VGG-SS, heard classes"
    files: ClassVar[tuple[str, ...]] = ("vggss_heard_test.csv", VGGSS_FILE)
    train_files: ClassVar[tuple[str, ...]] = (_HEARD_FILE, TRAIN_FILE)
    among: Literal["own", "all"] = "own"

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the listed clips, or all; see the base class."""
        return self.all_names if self.among == "all" else self._own_names

    @cached_property
    def _own_names(self) -> tuple[str, ...]:
        ids = read_by_id(self.find_list(self.files[0]), {1, 2}, clip_name)
        labels = {self.annotations[name].label for name in ids if name in self.annotations}
        return tuple(sorted(labels))

    def training_labels(self) -> dict[str, str]:
        """Classes of the 59,468 training clips.

        EZ-VSL's list names the clips and not their classes; those come from the list for
        VGGSound-Single.
        """
        path = self.find_list(_HEARD_FILE)
        wanted = read_by_id(path, {1, 2}, clip_name)
        labels, heard = super().training_labels(), set(self._own_names)
        wrong = [name for name in wanted if labels.get(name) not in heard]
        if wrong:
            raise DataError(
                f"Of {len(wrong)} of {len(wanted)} clips no list says that they are of a heard "
                f"class; one is '{wrong[0]}'.",
                f"Check {TRAIN_FILE}, which must hold all training clips of VGGSound.",
                path,
            )
        return {name: labels[name] for name in wanted}


class VGGSSUnheard(VGGSSHeard):
    """2,575 test clips of 110 classes that are not trained on; heads for it hear the others."""

    name: ClassVar[str] = "vggss-unheard"
    title: ClassVar[str] = "VGG-SS, unheard classes"
    files: ClassVar[tuple[str, ...]] = ("vggss_unheard_test.csv", VGGSS_FILE)
    train_files: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[tuple[Split, ...]] = ("test",)
