"""The source `files`: a user's own folder of ratings and catalogue, and the files of an evaluation."""

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.evaluation import EvaluationData, load_evaluation
from malsugoi_assets.files.folder import Folder, fingerprint, read_folder
from malsugoi_assets.files.titles import title_id

__all__ = ["EvaluationData", "FilesError", "Folder", "fingerprint", "load_evaluation", "read_folder", "title_id"]
