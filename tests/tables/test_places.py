# SPDX-License-Identifier: Apache-2.0
"""Tables that lie elsewhere: in memory, on a small server of S3, and where nothing reads them."""

import json
import urllib.request
from urllib.parse import quote

import pytest

from adafocal import Predictions
from adafocal.cli import main
from adafocal.tables.scan import find_files

ROWS = "confidence,correct\n0.75,1\n0.25,0\n"
HEAD = "prob_0,prob_1,label\n"


def places(*paths):
    return [str(file) for file in find_files(paths)]


def test_an_address_in_memory_is_a_file_a_folder_or_a_pattern(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    root = f"memory://{tmp_path.name}"
    for name in ("a/b.csv", "a/c=1/d.csv", "a/_SUCCESS", "a/.e.csv", "a/f.txt"):
        with fsspec.open(f"{root}/{name}", "w") as file:
            file.write(HEAD + "0.75,0.25,0\n")

    assert places(f"{root}/a") == [f"{root}/a/b.csv", f"{root}/a/c=1/d.csv"]
    assert places(f"{root}/a/*.csv") == [f"{root}/a/.e.csv", f"{root}/a/b.csv"]
    assert places(f"{root}/**/d.csv") == [f"{root}/a/c=1/d.csv"]
    assert Predictions.load(f"{root}/a/b.csv").probs.tolist() == [[0.75, 0.25]]
    assert main(["evaluate", f"{root}/a/c=1", "--by", "c", "--json", str(tmp_path / "o.json")]) == 0
    assert list(json.loads((tmp_path / "o.json").read_text())["groups"]) == ["1"]


def said(capsys, place):
    assert main(["evaluate", place]) == 2
    return capsys.readouterr().err.strip().removeprefix("adafocal evaluate: ")


def test_what_nothing_reads_is_named_with_what_is_missing(capsys):
    pytest.importorskip("fsspec")

    assert said(capsys, "memory://none/p.csv") == (
        "`FILE` must name existing files (.parquet, .csv, .tsv, .jsonl, .ndjson, .npz, .feather, .arrow, .eval, "
        ".json), got 'memory://none/p.csv'."
    )
    assert said(capsys, "nosuch://bucket/p.csv") == (
        "'nosuch://bucket/p.csv' cannot be read: Protocol not known: nosuch."
    )
    assert "cannot be read: " in said(capsys, "s3:///p.csv")


def test_the_package_that_an_address_needs_is_named(capsys):
    pytest.importorskip("fsspec")
    try:
        import adlfs  # noqa: F401
    except ImportError:
        sentence = said(capsys, "abfss2://p.csv".replace("abfss2", "adl"))
        assert sentence.startswith("'adl://p.csv' cannot be read: ")
        assert "adlfs" in sentence


@pytest.fixture
def bucket(monkeypatch):
    """A bucket on a server of this machine, and its address."""
    server = pytest.importorskip("moto.server")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def put(path, content=b""):
        kind = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"http://{host}:{port}/{path}", data=content, headers=kind, method="PUT")
        urllib.request.urlopen(request).close()

    tables = f"tables-{port}"  # servers of one process share what they hold
    put(tables)
    for name in ("parts/site=a/p.csv", "parts/site=b/p.csv", "parts/_SUCCESS", "one/p %20é+.csv"):
        put(f"{tables}/{quote(name)}", ROWS.encode())
    yield f"s3://{tables}"
    running.stop()


def test_a_bucket_is_read_by_file_folder_pattern_and_partition(bucket, tmp_path):
    for place, n, options in (
        (f"{bucket}/parts/site=a/p.csv", 2, ()),
        (f"{bucket}/parts", 4, ("--by", "site")),
        (f"{bucket}/parts/*/p.csv", 4, ("--by", "site")),
        (f"{bucket}/one/*.csv", 2, ()),
        (f"{bucket}/one/p %20é+.csv", 2, ()),
    ):
        assert main(["evaluate", place, *options, "--json", str(tmp_path / "o.json")]) == 0
        found = json.loads((tmp_path / "o.json").read_text())
        assert (found["n"], found["ece"]) == (n, 0.25)
        assert list(found.get("groups", {})) == (["a", "b"] if options else [])


def test_what_is_not_in_a_bucket_is_named(bucket, capsys):
    assert said(capsys, f"{bucket}/none.csv").endswith(f"got '{bucket}/none.csv'.")
    assert said(capsys, "s3://no-such-bucket/p.csv").startswith(("`FILE` must name", "'s3://no-such-bucket/p.csv' c"))
