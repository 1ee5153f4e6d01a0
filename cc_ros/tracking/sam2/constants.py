"""Private numbers of the SAM 2 backend; what users set is in ``sam2/settings.py``. None of them was varied."""

from __future__ import annotations

SIZE_ON_GPU, SIZE_ON_CPU = 1024, 384  # pixels, side of the image; times by size: benchmarks/RESULTS.md

# discovery: answers to prompts become new objects
SAME = 0.7  # IoU from which two masks are one object
INSIDE = 0.8  # share of a mask inside another that makes it a part of that one
WHOLE_MARGIN = 0.05  # quality by which a whole may be worse than its parts and still replace them
MAX_EXPLAINED = 0.3  # share of a new mask that known objects may cover
BACKGROUND_BORDER = 0.25  # share of the image's border along which a large mask counts as background

# reid: embeddings of objects
VIEWS = 4  # embeddings kept of an object
NOVELTY = 0.9  # cosine below which an embedding is kept as another view
SIMILARITY_RATE = 0.1  # weight of a frame in the running means

# tracker
EMBED_EVERY = 5  # frames between two embeddings of an object in view
WEIGH_EVERY = 30  # frames between two counts of the memory's bytes
BLINK = 3  # frames out of view after which a new mask may be this object, while SAM 2 still steps it too
SEEDS_AT_ONCE = 16  # given masks that are prepared together
SPECK = 1e-4  # share of the image below which a mask is noise

# in the background of another tracker, without a GPU
BACKGROUND_PATIENCE = 10  # frames out of sight after which an object is only searched for
