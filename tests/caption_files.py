"""Caption files in their official forms, for tests of what reads them."""

import json


def coco(ids, per_image=2, first_caption=100):
    return {
        "images": [{"id": i, "file_name": f"COCO_val2014_{i:012d}.jpg"} for i in ids],
        "annotations": [
            {"id": first_caption + n, "image_id": i, "caption": f"w{i}x{j}"}
            for n, (i, j) in enumerate((i, j) for i in ids for j in range(per_image))
        ],
    }


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def karpathy(parts):
    return {
        "images": [
            {"cocoid": i, "split": part, "filename": f"COCO_val2014_{i:012d}.jpg", "sentences": [{"tokens": ["a"]}]}
            for i, part in parts.items()
        ],
        "dataset": "coco",
    }
