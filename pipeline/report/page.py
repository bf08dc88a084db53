from pathlib import Path
def write_page(folder: Path) -> Path:
    return folder
