"""``python -m clinic_app …``: see clinic_app/cli/app.py."""

from clinic_app.cli.app import app

if __name__ == "__main__":
    app(prog_name="python -m clinic_app")
