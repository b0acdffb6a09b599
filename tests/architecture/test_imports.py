"""The direction of imports (pyproject.toml) is part of the suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_imports_point_the_right_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "0 broken" in done.stdout


def test_the_command_line_the_api_and_migrations_load_without_reflex():
    code = (
        "import sys\n"
        "import clinic_app.cli.app, clinic_app.cli.build, clinic_app.cli.doctor, clinic_app.web.middleware\n"
        "import clinic_app.core.migrations, clinic_app.models\n"
        "loaded = sorted(name for name in sys.modules if name.split('.')[0] in {'reflex', 'reflex_base'})\n"
        "assert loaded == [], loaded[:5]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
