"""Files of predictions: whole or not there."""

import csv
import io
import json
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.replace import replace
from mmf_visualbert.files import write_text


def write_predictions_whole(test_reporter: ModuleType) -> str | None:
    """`TestReporter` (MMF rc10 and main) writes predictions in place, and leaves half a file on a full disk. Stays."""

    def json_dump(self: Any, filepath: str) -> None:
        write_text(filepath, json.dumps(self.report))

    def csv_dump(self: Any, filepath: str) -> None:
        text = io.StringIO()
        rows = csv.DictWriter(text, self.report[0] if self.report else [])
        rows.writeheader()
        rows.writerows(self.report)
        write_text(filepath, text.getvalue())

    replace(test_reporter.TestReporter, json_dump=json_dump, csv_dump=csv_dump)
    return "MMF would leave half a file of predictions on a full disk"
