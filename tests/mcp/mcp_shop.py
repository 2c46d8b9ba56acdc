"""A small shop to search."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "src/upload.py": (
        "class Uploader:\n"
        '    """Sends files to the store."""\n\n'
        "    def retry_upload(self, file, attempts):\n"
        '        """Send a file again after a failure, waiting longer each time."""\n'
        "        for attempt in range(attempts):\n"
        "            wait_longer(attempt)\n"
        "            self.send(file)\n"
    ),
    "src/parcel.py": "def weigh_parcel(parcel):\n    return parcel.mass * GRAVITY\n",
    "src/letter.py": "def weigh_letter(letter):\n    return letter.mass * GRAVITY\n",
    "web/scale.ts": "export function weighParcel(p: Parcel) {\n  return p.mass;\n}\n",
    "tests/test_parcel.py": "def test_weigh_parcel():\n    assert weigh_parcel(Parcel(2)) == 2 * GRAVITY\n",
    "docs/parcels.md": "# Parcels\n\n## How to weigh a parcel\n\nPut the parcel on the scale and read it.\n",
}


def lay_out(root: Path) -> Path:
    """The shop's files in `root`."""
    for path, text in FILES.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root
