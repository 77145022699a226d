"""Data Firehose's API: delivery streams are made, described, changed and deleted as AWS's are."""

import pytest
from botocore.exceptions import ClientError

from dynaberg import eventually
from firehoses import REGION, ROLE, catalog_arn, iceberg, processing, s3


@pytest.fixture(scope="module")
def firehose(dynaberg):
    return dynaberg.client("firehose")


@pytest.fixture
def stream(firehose, request):
    """The name of a delivery stream to an Iceberg table."""
    name = request.node.name.replace("[", "-").replace("]", "")[-60:]
    firehose.create_delivery_stream(DeliveryStreamName=name, IcebergDestinationConfiguration=iceberg("nowhere"))
    yield name
    try:
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    except firehose.exceptions.ResourceNotFoundException:
        pass


def code_of(refused):
    return refused.value.response["Error"]["Code"]


def describe(firehose, name):
    return firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def test_a_delivery_stream_is_described_with_its_defaults(firehose):
    created = firehose.create_delivery_stream(
        DeliveryStreamName="defaults",
        IcebergDestinationConfiguration={
            "RoleARN": ROLE,
            "CatalogConfiguration": {"CatalogARN": catalog_arn("lake")},
            "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::failed"},
        },
        Tags=[{"Key": "team", "Value": "data"}],
    )
    assert created["DeliveryStreamARN"] == f"arn:aws:firehose:{REGION}:000000000000:deliverystream/defaults"
    found = describe(firehose, "defaults")
    assert found["DeliveryStreamStatus"] == "ACTIVE"
    assert found["DeliveryStreamType"] == "DirectPut"
    assert found["VersionId"] == "1"
    assert found["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    assert "FailureDescription" not in found
    [destination] = found["Destinations"]
    described = destination["IcebergDestinationDescription"]
    assert described["BufferingHints"] == {"SizeInMBs": 5, "IntervalInSeconds": 300}
    assert described["RetryOptions"] == {"DurationInSeconds": 300}
    assert described["S3BackupMode"] == "FailedDataOnly"
    assert described["AppendOnly"] is False
    assert described["S3DestinationDescription"]["BucketARN"] == "arn:aws:s3:::failed"
    firehose.delete_delivery_stream(DeliveryStreamName="defaults")
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        describe(firehose, "defaults")


def test_names_are_listed_in_order_and_page_by_page(firehose):
    names = [f"listed-{number}" for number in range(3)]
    for name in reversed(names):
        firehose.create_delivery_stream(DeliveryStreamName=name, S3DestinationConfiguration=s3())
    first = firehose.list_delivery_streams(Limit=2, ExclusiveStartDeliveryStreamName="listed-")
    assert first["DeliveryStreamNames"] == names[:2] and first["HasMoreDeliveryStreams"]
    rest = firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName=names[1])
    assert names[2] in rest["DeliveryStreamNames"]
    assert firehose.list_delivery_streams(DeliveryStreamType="KinesisStreamAsSource")["DeliveryStreamNames"] == []
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        firehose.create_delivery_stream(DeliveryStreamName=names[0], S3DestinationConfiguration=s3())
    for name in names:
        firehose.delete_delivery_stream(DeliveryStreamName=name)


def test_tags_are_added_listed_and_removed(firehose, stream):
    tags = [{"Key": key, "Value": key.upper()} for key in ("a", "b", "c")]
    firehose.tag_delivery_stream(DeliveryStreamName=stream, Tags=tags)
    page = firehose.list_tags_for_delivery_stream(DeliveryStreamName=stream, Limit=2)
    assert page["Tags"] == tags[:2] and page["HasMoreTags"]
    firehose.untag_delivery_stream(DeliveryStreamName=stream, TagKeys=["a", "b"])
    page = firehose.list_tags_for_delivery_stream(DeliveryStreamName=stream)
    assert page["Tags"] == tags[2:] and not page["HasMoreTags"]
    too_many = [{"Key": f"k{number}"} for number in range(50)]
    with pytest.raises(firehose.exceptions.LimitExceededException):
        firehose.tag_delivery_stream(DeliveryStreamName=stream, Tags=too_many)


def test_a_destination_is_changed_under_its_version(firehose, stream):
    change = {
        "DeliveryStreamName": stream,
        "DestinationId": describe(firehose, stream)["Destinations"][0]["DestinationId"],
        "IcebergDestinationUpdate": {
            "RetryOptions": {"DurationInSeconds": 60},
            "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::other"},
        },
    }
    firehose.update_destination(CurrentDeliveryStreamVersionId="1", **change)
    found = describe(firehose, stream)
    destination = found["Destinations"][0]["IcebergDestinationDescription"]
    assert found["VersionId"] == "2" and "LastUpdateTimestamp" in found
    assert destination["RetryOptions"] == {"DurationInSeconds": 60}
    assert destination["S3DestinationDescription"]["BucketARN"] == "arn:aws:s3:::other"
    # What was not given is as it was.
    assert destination["S3DestinationDescription"]["ErrorOutputPrefix"] == "errors/"
    with pytest.raises(firehose.exceptions.ConcurrentModificationException):
        firehose.update_destination(CurrentDeliveryStreamVersionId="1", **change)
    with pytest.raises(firehose.exceptions.InvalidArgumentException):
        firehose.update_destination(CurrentDeliveryStreamVersionId="2", **{**change, "DestinationId": "other"})


def test_encryption_is_a_flag_that_puts_tell(firehose, stream):
    firehose.start_delivery_stream_encryption(DeliveryStreamName=stream)
    described = describe(firehose, stream)["DeliveryStreamEncryptionConfiguration"]
    assert described == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}
    assert firehose.put_record(DeliveryStreamName=stream, Record={"Data": b"{}"})["Encrypted"] is True
    firehose.stop_delivery_stream_encryption(DeliveryStreamName=stream)
    assert describe(firehose, stream)["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}
    with pytest.raises(firehose.exceptions.InvalidArgumentException):
        key = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/1"}
        firehose.start_delivery_stream_encryption(
            DeliveryStreamName=stream, DeliveryStreamEncryptionConfigurationInput=key
        )


def test_records_have_ids_of_their_own_and_limits(firehose, stream):
    largest = {"Data": b"x" * 1_000 * 1_024}
    ids = {firehose.put_record(DeliveryStreamName=stream, Record=largest)["RecordId"]}
    batch = firehose.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": b"{}"}] * 500)
    assert batch["FailedPutCount"] == 0
    ids.update(entry["RecordId"] for entry in batch["RequestResponses"])
    assert len(ids) == 501
    refused = [
        lambda: firehose.put_record(DeliveryStreamName=stream, Record={"Data": largest["Data"] + b"x"}),
        lambda: firehose.put_record_batch(DeliveryStreamName=stream, Records=[{"Data": b"{}"}] * 501),
        lambda: firehose.put_record_batch(DeliveryStreamName=stream, Records=[largest] * 5),
    ]
    for put in refused:
        with pytest.raises((firehose.exceptions.InvalidArgumentException, ClientError)) as error:
            put()
        assert code_of(error) == "InvalidArgumentException"
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="nobody", Record={"Data": b"{}"})


WITH_LAMBDA = processing(("Lambda", {"LambdaArn": "clean"}))
PARTITIONED = {"DynamicPartitioningConfiguration": {"Enabled": True}, "ErrorOutputPrefix": "errors/"}


@pytest.mark.parametrize(
    "member, configuration",
    [
        ("CatalogARN", iceberg(None, CatalogConfiguration={"CatalogARN": "arn:aws:glue:us-east-1:000000000000:catalog/x"})),
        ("RoleARN", iceberg("b", RoleARN="arn:aws:iam::000000000000:user/somebody")),
        ("SizeInMBs", iceberg("b", BufferingHints={"SizeInMBs": 129, "IntervalInSeconds": 60})),
        ("IntervalInSeconds", iceberg("b", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 901})),
        ("DurationInSeconds", iceberg("b", RetryOptions={"DurationInSeconds": 7_201})),
        ("UniqueKeys", iceberg("b", ("t", {"UniqueKeys": ["id"]}), AppendOnly=True)),
        ("twice", iceberg("b", ("t", {}), ("t", {}))),
        ("SchemaEvolutionConfiguration", iceberg("b", SchemaEvolutionConfiguration={"Enabled": True})),
        ("TableCreationConfiguration", iceberg("b", TableCreationConfiguration={"Enabled": True})),
        ("S3BackupMode", iceberg("b", S3BackupMode="Enabled")),
        ("S3BackupConfiguration", s3(S3BackupMode="Enabled")),
        ("S3BackupMode", s3(S3BackupConfiguration=s3("backup"))),
        ("S3BackupMode", s3(S3BackupMode="AllData", S3BackupConfiguration=s3("backup"))),
        ("BucketARN", s3(S3BackupMode="Enabled", S3BackupConfiguration=s3() | {"BucketARN": "backup"})),
        ("LambdaArn", iceberg("b", ProcessingConfiguration=WITH_LAMBDA)),
        ("Decompression", iceberg("b", ProcessingConfiguration=processing(("Decompression", {})))),
        (
            "MetadataExtractionQuery",
            iceberg("b", ProcessingConfiguration=processing(("MetadataExtraction", {"MetadataExtractionQuery": "{a: "}))),
        ),
        ("CompressionFormat", s3(CompressionFormat="Snappy")),
        ("Prefix", s3(Prefix="!{timestamp:EEE}/", ErrorOutputPrefix="errors/")),
        ("ErrorOutputPrefix", s3(Prefix="!{timestamp:yyyy}/")),
        ("partition keys", s3(Prefix="!{partitionKeyFromQuery:id}/", ErrorOutputPrefix="errors/")),
        ("MetadataExtraction", s3(Prefix="!{partitionKeyFromQuery:id}/", **PARTITIONED)),
        ("DataFormatConversionConfiguration", s3(DataFormatConversionConfiguration={"Enabled": True})),
        ("CustomTimeZone", s3(CustomTimeZone="Europe/Berlin")),
    ],
)
def test_what_is_wrong_or_not_served_is_refused_by_name(firehose, member, configuration):
    kind = "Iceberg" if "CatalogConfiguration" in configuration else "ExtendedS3"
    with pytest.raises(firehose.exceptions.InvalidArgumentException) as refused:
        firehose.create_delivery_stream(
            DeliveryStreamName="refused", **{f"{kind}DestinationConfiguration": configuration}
        )
    assert member in refused.value.response["Error"]["Message"]


def test_a_backup_is_described_and_is_not_switched_off_again(firehose):
    settings = s3("raw", S3BackupMode="Enabled", S3BackupConfiguration=s3("backup", Prefix="all/"))
    firehose.create_delivery_stream(DeliveryStreamName="backed-up", ExtendedS3DestinationConfiguration=settings)
    place = {"DeliveryStreamName": "backed-up", "DestinationId": "destinationId-000000000001"}

    def described():
        return describe(firehose, "backed-up")["Destinations"][0]["ExtendedS3DestinationDescription"]

    assert described()["S3BackupMode"] == "Enabled"
    assert described()["S3BackupDescription"]["BucketARN"] == "arn:aws:s3:::backup"
    with pytest.raises(firehose.exceptions.InvalidArgumentException):
        firehose.update_destination(
            **place, CurrentDeliveryStreamVersionId="1", ExtendedS3DestinationUpdate={"S3BackupMode": "Disabled"}
        )
    update = {"S3BackupUpdate": {"Prefix": "every/"}}
    firehose.update_destination(**place, CurrentDeliveryStreamVersionId="1", ExtendedS3DestinationUpdate=update)
    backup = described()["S3BackupDescription"]
    assert backup["Prefix"] == "every/" and backup["BucketARN"] == "arn:aws:s3:::backup"
    firehose.delete_delivery_stream(DeliveryStreamName="backed-up")


def test_sources_and_destinations_that_are_not_served_are_refused(firehose):
    kinesis = {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "RoleARN": ROLE}
    splunk = {
        "HECEndpoint": "https://splunk",
        "HECEndpointType": "Raw",
        "S3Configuration": s3(),
    }
    for arguments in [
        {},
        {"S3DestinationConfiguration": s3(), "IcebergDestinationConfiguration": iceberg("b")},
        {"SplunkDestinationConfiguration": splunk},
        {"S3DestinationConfiguration": s3(), "KinesisStreamSourceConfiguration": kinesis},
        {"S3DestinationConfiguration": s3(), "DeliveryStreamType": "KinesisStreamAsSource"},
        {"S3DestinationConfiguration": s3(), "DeliveryStreamType": "MSKAsSource"},
    ]:
        with pytest.raises(firehose.exceptions.InvalidArgumentException):
            firehose.create_delivery_stream(DeliveryStreamName="refused", **arguments)


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    from dynaberg import Dynaberg

    running = Dynaberg(tmp_path / "data")
    client = running.client("firehose")
    client.create_delivery_stream(DeliveryStreamName="kept", IcebergDestinationConfiguration=iceberg("nowhere", ("t", {})))
    client.put_record_batch(DeliveryStreamName="kept", Records=[{"Data": b"{}"}] * 7)
    running.kill()
    running = Dynaberg(tmp_path / "data")
    try:
        from firehoses import counts

        found = eventually(lambda: counts(running, "kept"))
        assert found["incoming_records_total"] == 7
        assert found["buffered_records"] == 7
    finally:
        running.stop()
