"""Many photos on the engines that you have: one reader per worker, one table in the end.

Every function gives the table that ``expllm.Reader().read(paths).to_arrow()`` gives, its rows in
the order of the paths.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

import expllm

CHUNK = 64
"""Photos that a worker gets at a time."""


def read(paths: Sequence[str]) -> pa.Table:
    """The faces of some photos, read by the one reader of this process.

    The engine has a process per core, so one thread reads.
    """
    return expllm.Reader.shared(threads=1).read(list(paths)).to_arrow()


def chunks(paths: Sequence[str], size: int = CHUNK) -> list[Sequence[str]]:
    """The paths in pieces that are worth sending to a worker."""
    return [paths[at : at + size] for at in range(0, len(paths), size)]


def with_joblib(paths: Sequence[str], workers: int = 2, size: int = CHUNK) -> pa.Table:
    """On the processes of joblib."""
    from joblib import Parallel, delayed

    tables = Parallel(n_jobs=workers)(delayed(read)(chunk) for chunk in chunks(paths, size))
    return pa.concat_tables(tables)


def with_dask(paths: Sequence[str], workers: int = 2, size: int = CHUNK) -> pa.Table:
    """On Dask: here on local processes, on a cluster with a ``dask.distributed.Client``."""
    import dask

    tasks = [dask.delayed(read)(chunk) for chunk in chunks(paths, size)]
    return pa.concat_tables(dask.compute(*tasks, scheduler="processes", num_workers=workers))


def with_ray(paths: Sequence[str], workers: int = 2, size: int = CHUNK) -> pa.Table:
    """On Ray Data, with a reader per actor."""
    import ray

    class Read:
        """What an actor holds and does."""

        def __init__(self) -> None:
            self.reader = expllm.Reader(threads=1)

        def __call__(self, batch: pa.Table) -> pa.Table:
            return self.reader.read([str(path) for path in batch["item"].to_pylist()]).to_arrow()

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    photos = ray.data.from_items([{"item": path} for path in paths])
    pool = ray.data.ActorPoolStrategy(size=workers)
    faces = photos.map_batches(Read, batch_format="pyarrow", batch_size=size, compute=pool)
    return pa.concat_tables(ray.get(faces.to_arrow_refs()))


def with_spark(paths: Sequence[str], workers: int = 2, size: int = CHUNK) -> pa.Table:
    """On Spark, with ``mapInArrow``; a reader per Python worker."""
    from pyspark.sql import SparkSession

    schema = expllm.Readings([]).to_arrow().schema

    def faces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = expllm.Reader(threads=1)
        for batch in batches:
            paths = [str(path) for path in batch.column(0).to_pylist()]
            yield from mine.read(paths).to_arrow().to_batches()

    # Workers need the environment that the package lies in.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.master(f"local[{workers}]").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(size))
    photos = spark.createDataFrame([(path,) for path in paths], "file string")
    rows = photos.repartition(workers).mapInArrow(faces, _spark_schema(schema))
    return _in_order(rows.toArrow().cast(schema), paths)


def through_parquet(source: str, target: str, size: int = CHUNK) -> None:
    """From a Parquet file with the columns ``file`` and ``image`` (the bytes of an image file) to
    one with the table of faces, in constant memory."""
    import pyarrow.parquet as pq

    reader, schema = expllm.Reader(), expllm.Readings([]).to_arrow().schema
    photos = pq.ParquetFile(source).iter_batches(size, columns=["file", "image"])
    with pq.ParquetWriter(target, schema) as out:
        for batch in photos:
            named = dict(zip(*(batch[name].to_pylist() for name in ("file", "image"))))
            out.write_table(reader.read(named).to_arrow())


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _in_order(table: pa.Table, paths: Sequence[str]) -> pa.Table:
    """Rows in the order of the paths: Spark keeps none."""
    places = {path: at for at, path in enumerate(paths)}
    files = [str(file) for file in table["file"].to_pylist()]
    order = pa.array([places[file] for file in files], pa.int64())
    table = table.append_column("place", order)
    return table.sort_by([("place", "ascending"), ("face", "ascending")]).drop_columns("place")


def main() -> None:
    """Reads links to one photo on an engine, and holds the rows to those of the plain call."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["joblib", "dask", "ray", "spark"])
    parser.add_argument("photo")
    parser.add_argument("--photos", type=int, default=2000)
    options = parser.parse_args()
    engine = globals()[f"with_{options.engine}"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{at:05}.png" for at in range(options.photos)]
        for path in paths:
            os.symlink(os.path.abspath(options.photo), path)
        start = time.perf_counter()
        table = engine(paths)
        took = time.perf_counter() - start
        same = table.equals(read(paths))
    print(f"{options.engine}: {table.num_rows} rows in {took:.0f} s, as the plain call: {same}")


if __name__ == "__main__":
    main()
