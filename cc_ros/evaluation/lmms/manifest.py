"""What the entry point of lmms-eval leads to."""

from __future__ import annotations

from lmms_eval.models.registry_v2 import ModelManifest

NAME = "coarse_correspondences"
MANIFEST = ModelManifest(
    model_id=NAME, chat_class_path="cc_ros.evaluation.lmms.model.CoarseCorrespondences", aliases=("cc_ros",)
)
