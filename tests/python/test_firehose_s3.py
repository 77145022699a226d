"""Delivery streams to objects of S3: the raw layer."""

import datetime
import gzip
import io
import json
import re
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from dynaberg import Dynaberg, eventually
from firehoses import ROLE, counts, failures, objects, processing, put, s3, settled

DELIMITER = processing(("AppendDelimiterToRecord", {"Delimiter": "\\n"}))


@pytest.fixture(scope="module")
def firehose(dynaberg):
    for bucket in ("raw", "failed"):
        try:
            dynaberg.client("s3").create_bucket(Bucket=bucket)
        except dynaberg.client("s3").exceptions.BucketAlreadyOwnedByYou:
            pass
    return dynaberg.client("firehose")


def lines(contents):
    return [json.loads(line) for content in contents for line in content.splitlines()]


def test_objects_are_named_as_aws_names_them(dynaberg, firehose):
    firehose.create_delivery_stream(DeliveryStreamName="plain", S3DestinationConfiguration=s3("raw", Prefix="plain/"))
    put(firehose, "plain", [b"ab", b"c"])
    found = settled(dynaberg, "plain", 2)
    assert found["delivered_bytes_total"] == 3
    written = objects(dynaberg, "raw", "plain/")
    assert b"".join(written[key] for key in sorted(written)) == b"abc"
    now = datetime.datetime.now(datetime.UTC)
    for key in written:
        assert re.fullmatch(rf"plain/{now:%Y/%m/%d}/\d\d/plain-1-{now:%Y-%m-%d}-\d\d-\d\d-\d\d-[0-9a-f-]{{36}}", key), key


def test_lines_of_json_are_compressed_under_a_prefix_with_expressions(dynaberg, firehose):
    settings = s3(
        "raw",
        Prefix="json/dt=!{timestamp:yyyy-MM-dd}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        CompressionFormat="GZIP",
        FileExtension=".json.gz",
        ProcessingConfiguration=DELIMITER,
    )
    firehose.create_delivery_stream(DeliveryStreamName="lines", ExtendedS3DestinationConfiguration=settings)
    records = [{"n": number} for number in range(10)]
    put(firehose, "lines", records)
    settled(dynaberg, "lines", 10)
    written = objects(dynaberg, "raw", f"json/dt={datetime.datetime.now(datetime.UTC):%Y-%m-%d}/")
    assert all(key.endswith(".json.gz") for key in written)
    assert sorted(line["n"] for line in lines(map(gzip.decompress, written.values()))) == list(range(10))


def test_records_are_partitioned_by_what_a_query_finds_in_them(dynaberg, firehose):
    query = ("MetadataExtraction", {"MetadataExtractionQuery": "{region: .region}", "JsonParsingEngine": "JQ-1.6"})
    delimiter = ("AppendDelimiterToRecord", {"Delimiter": "\\n"})
    settings = s3(
        "raw",
        Prefix="by-region/region=!{partitionKeyFromQuery:region}/",
        ErrorOutputPrefix="unpartitioned/",
        BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 0},
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processing(query, delimiter),
    )
    firehose.create_delivery_stream(DeliveryStreamName="partitioned", ExtendedS3DestinationConfiguration=settings)
    put(firehose, "partitioned", [{"n": number, "region": ("EU", "US")[number % 2]} for number in range(8)])
    put(firehose, "partitioned", [{"n": 8}, b"no json"])
    found = settled(dynaberg, "partitioned", 10)
    assert found["failed_records_total"] == 2
    for number, region in enumerate(("EU", "US")):
        written = objects(dynaberg, "raw", f"by-region/region={region}/")
        assert sorted(line["n"] for line in lines(written.values())) == list(range(number, 8, 2))

    def told():
        found = failures(dynaberg, "raw", "unpartitioned/metadata-extraction-failed/")
        return found if len(found) == 2 else None

    assert {line["record"] for line in eventually(told)} == {b'{"n": 8}', b"no json"}


def test_records_are_backed_up_before_a_query_fails_on_them(dynaberg, firehose):
    dynaberg.client("s3").create_bucket(Bucket="backup")
    query = ("MetadataExtraction", {"MetadataExtractionQuery": "{region: .region}", "JsonParsingEngine": "JQ-1.6"})
    settings = s3(
        "raw",
        Prefix="kept/region=!{partitionKeyFromQuery:region}/",
        ErrorOutputPrefix="kept-errors/",
        BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 0},
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processing(query, ("AppendDelimiterToRecord", {"Delimiter": "\\n"})),
        S3BackupMode="Enabled",
        S3BackupConfiguration=s3("backup", Prefix="all/", CompressionFormat="GZIP"),
    )
    firehose.create_delivery_stream(DeliveryStreamName="backed-up", ExtendedS3DestinationConfiguration=settings)
    put(firehose, "backed-up", [{"n": 1, "region": "EU"}, b"no json;", {"n": 2}])
    found = settled(dynaberg, "backed-up", 3)
    assert (found["delivered_records_total"], found["failed_records_total"]) == (1, 2)

    def kept():
        written = objects(dynaberg, "backup", "all/")
        return b"".join(gzip.decompress(content) for content in written.values())

    expected = b'{"n": 1, "region": "EU"}no json;{"n": 2}'
    assert len(eventually(lambda: (found := kept()) and len(found) >= len(expected) and found)) == len(expected)
    assert kept() == expected


def converted(columns_of, compression="SNAPPY", **settings):
    """Parquet with the columns of a table of Glue's database `raw`."""
    return s3(
        "raw",
        ErrorOutputPrefix="unconverted/",
        BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 0},
        DataFormatConversionConfiguration={
            "Enabled": True,
            "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "raw", "TableName": columns_of},
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": compression}}},
        },
        **settings,
    )


def test_records_become_rows_of_parquet_with_the_columns_of_a_glue_table(dynaberg, firehose):
    glue = dynaberg.client("glue")
    glue.create_database(DatabaseInput={"Name": "raw"})
    columns = {
        "id": "string",
        "n": "bigint",
        "amount": "decimal(12,2)",
        "at": "timestamp",
        "tags": "array<string>",
        "inner": "struct<a:int,b:string>",
    }
    storage = {
        "Columns": [{"Name": name, "Type": kind} for name, kind in columns.items()],
        "Location": "s3://raw/rows/",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
    table = {"Name": "rows", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
    # Not there yet: the records wait.
    firehose.create_delivery_stream(
        DeliveryStreamName="rows", ExtendedS3DestinationConfiguration=converted("rows", Prefix="rows/")
    )
    record = {
        "id": "a",
        "N": 9007199254740993,
        "amount": 10.25,
        "at": "2026-11-22 14:03:59.5",
        "tags": ["x", "y"],
        "inner": {"a": 1, "b": "c"},
        "other": True,
    }
    put(firehose, "rows", [record, {"id": "b"}])
    put(firehose, "rows", [{"id": "c", "n": "many"}, b"no json"])
    glue.create_table(DatabaseName="raw", TableInput=table)
    found = settled(dynaberg, "rows", 4)
    assert (found["delivered_records_total"], found["failed_records_total"]) == (2, 2)
    written = objects(dynaberg, "raw", "rows/")
    assert all(key.endswith(".parquet") for key in written)
    files = [pq.read_table(io.BytesIO(content)) for content in written.values()]
    rows = sorted((row for file in files for row in file.to_pylist()), key=lambda row: row["id"])
    assert rows[0] == {
        "id": "a",
        "n": 9007199254740993,
        "amount": Decimal("10.25"),
        "at": datetime.datetime(2026, 11, 22, 14, 3, 59, 500_000),
        "tags": ["x", "y"],
        "inner": {"a": 1, "b": "c"},
    }
    assert rows[1] == {**dict.fromkeys(columns), "id": "b"}

    def told():
        lines = failures(dynaberg, "raw", "unconverted/format-conversion-failed/")
        return lines if len(lines) == 2 else None

    assert {line["errorCode"] for line in eventually(told)} == {"DataFormatConversion.ParseError"}


@pytest.mark.parametrize(
    "member, settings",
    [
        ("GZIP", converted("rows", compression="GZIP")),
        ("CompressionFormat", converted("rows", CompressionFormat="GZIP")),
        ("SizeInMBs", {**converted("rows"), "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}}),
        ("AppendDelimiterToRecord", converted("rows", ProcessingConfiguration=DELIMITER)),
    ],
)
def test_conversions_that_are_not_served_are_refused(firehose, member, settings):
    with pytest.raises(firehose.exceptions.InvalidArgumentException) as refused:
        firehose.create_delivery_stream(DeliveryStreamName="refused", ExtendedS3DestinationConfiguration=settings)
    assert member in refused.value.response["Error"]["Message"]


def test_records_wait_for_a_bucket_and_are_written_once_over_kills(tmp_path):
    running = Dynaberg(tmp_path / "data")
    settings = s3("later", Prefix="raw/", ProcessingConfiguration=DELIMITER)
    running.client("firehose").create_delivery_stream(
        DeliveryStreamName="waiting", ExtendedS3DestinationConfiguration=settings
    )
    put(running.client("firehose"), "waiting", [{"n": number} for number in range(100)])

    def problem():
        described = running.client("firehose").describe_delivery_stream(DeliveryStreamName="waiting")
        return described["DeliveryStreamDescription"].get("FailureDescription", {}).get("Details")

    assert "later" in eventually(problem)
    running.client("s3").create_bucket(Bucket="later")
    sent = 100
    for _ in range(4):
        put(running.client("firehose"), "waiting", [{"n": number} for number in range(sent, sent + 300)])
        sent += 300
        eventually(lambda: counts(running, "waiting").get("delivered_records_total", 0) > 0)
        running.kill()
        running = Dynaberg(tmp_path / "data")
    try:
        settled(running, "waiting", sent)
        found = lines(objects(running, "later", "raw/").values())
        assert sorted(line["n"] for line in found) == list(range(sent))
    finally:
        running.stop()
