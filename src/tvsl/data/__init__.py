"""Labelled clips to train on, by name; a new data set is one more file and one more entry."""

from collections.abc import Mapping

from tvsl.data.clips import ClipSet
from tvsl.data.synthetic import SyntheticClips

DATA_SETS: Mapping[str, type[ClipSet]] = {data.name: data for data in (SyntheticClips,)}
