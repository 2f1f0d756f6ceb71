"""Results of an earlier ``tvsl localize`` that ``--resume`` keeps, told by their records."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tvsl.cli.inputs import GivenInput
from tvsl.cli.localized_files import LocalizeOptions, settings_of
from tvsl.cli.output import JSON_NAME, PICTURES, earlier_record, needed_files
from tvsl.errors import OutputError
from tvsl.localizer import Localizer
from tvsl.media import MediaType
from tvsl.utils.atomic import foreign_record, locked
from tvsl.utils.run_folder import changed_keys


class EarlierResults:
    """Results that are whole and were made by the same options, as far as their records tell.

    Names of a vocabulary that were not found, fonts and what else is drawn are in no record.

    Args:
        localizer: The model of this run.
        options: The options of this run.
    """

    def __init__(self, localizer: Localizer, options: LocalizeOptions) -> None:
        media_type: MediaType = "video" if options.audio is None else "picture"
        self._request, self._audio = options.request, options.audio
        self._files = needed_files(options.kinds(media_type), options.format)
        self._settings = settings_of(localizer, options, media_type)
        self._record = {
            "audio": None if options.audio is None else str(options.audio),
            "model": localizer.name,
            "encoder_sha256": localizer.encoder.fingerprint,
            "label_source": "detected" if options.request.labels is None else "given",
        }

    def have(self, source: GivenInput, folder: Path) -> bool:
        """Tell whether the folder of an input holds its result.

        Args:
            source: The input.
            folder: Folder of its results.

        Raises:
            OutputError: It holds another result, or one of which files are missing.
        """
        if not folder.is_dir():
            return False
        with locked(folder):  # what a kill left half moved is put back
            record = earlier_record(folder)
        if record is None:
            return False
        try:
            made = (folder / JSON_NAME).stat().st_mtime
            others = self._differences(source, record, made)
            gone = [name for name in record["files"] if not (folder / name).is_file()]
        except (KeyError, TypeError, AttributeError) as error:
            raise foreign_record(folder / JSON_NAME) from error
        if others:
            raise OutputError(
                f"The result here was made otherwise: its {', '.join(others)} differ.",
                "Give the options that it was made with, or another folder; --force replaces it.",
                folder,
            )
        if gone:
            raise OutputError(
                f"Of the result here {gone[0]} is missing.",
                "Remove the folder, so that it is made again.",
                folder,
            )
        return True

    def _is_newer(self, source: Path, made: float) -> bool:
        """Tell whether what was localized has changed since, as the standard input always has."""
        with suppress(OSError):  # it is gone: its result is all that there is
            times = (path.stat().st_mtime for path in (source, self._audio) if path is not None)
            return max(times) > made
        return False

    def _differences(self, source: GivenInput, record: Mapping[str, Any], made: float) -> list[str]:
        """Names of what differs between a record and this run."""
        now = {"input": source.name, **self._record}
        others = changed_keys({name: record[name] for name in now}, now)
        if self._is_newer(source.path, made):
            others.append("input")
        others += changed_keys(record["settings"], self._settings)
        # Of a record that is too large to be read as a whole the moments are not known.
        found = [moment["sources"] for moment in record.get("moments", ())]
        labels, names = {one["label"] for some in found for one in some}, self._request.names
        all_known = names is None or labels <= set(names)
        if not all_known or (labels and not labels >= set(self._request.labels or ())):
            others.append("labels")
        most = self._request.sources
        if most is not None and any(len(some) > most for some in found):
            others.append("sources")
        for wanted in self._files:
            # Where nothing sounds there are no pictures of sources.
            if not any(Path(name).match(wanted) for name in record["files"]) and (
                labels or wanted != PICTURES
            ):
                others.append("outputs")
        return [*dict.fromkeys(others)]
