"""Where tests find what lies outside of their own folder."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
GOLDEN = Path(os.environ.get("MQSA_GOLDEN_DIR", ROOT / "tests" / "golden"))
"""What the authors' own programs computed."""
SHARED = ROOT.parent / "shared" / "datasets"
"""The paper's data sets; tests that need them skip where they are not."""
