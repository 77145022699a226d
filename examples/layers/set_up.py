"""Makes what the layers stand on: the table and its stream, the buckets, and the delivery stream of the raw layer."""

import boto3

ROLE = "arn:aws:iam::000000000000:role/firehose"


def main():
    for bucket in ("layers-raw", "layers-letters"):
        boto3.client("s3").create_bucket(Bucket=bucket)
    bucket = boto3.client("s3tables").create_table_bucket(name="layers")["arn"]

    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName="layers-orders", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="layers-orders", WaiterConfig={"Delay": 1})
    stream = kinesis.describe_stream_summary(StreamName="layers-orders")["StreamDescriptionSummary"]["StreamARN"]

    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="layers-raw",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream, "RoleARN": ROLE},
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::layers-raw",
            "Prefix": "dt=!{timestamp:yyyy-MM-dd}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 1},
            "CompressionFormat": "GZIP",
            "FileExtension": ".jsonl.gz",
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "AppendDelimiterToRecord",
                        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                    }
                ],
            },
        },
    )

    dynamodb = boto3.client("dynamodb")
    dynamodb.create_table(
        TableName="layers-orders",
        KeySchema=[{"AttributeName": "order_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "order_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    # The first item decides the columns of the cleansed table.
    order = {"order_id": "order-0", "region": "EU", "customer": "Ada", "amount": "10.25", "status": "APPROVED"}
    item = {name: {"N" if name == "amount" else "S": value} for name, value in order.items()}
    dynamodb.enable_kinesis_streaming_destination(TableName="layers-orders", StreamArn=stream)
    dynamodb.put_item(TableName="layers-orders", Item=item)
    return bucket


def keep_snapshots(bucket, table, hours):
    """To be called once the table is there."""
    boto3.client("s3tables").put_table_maintenance_configuration(
        tableBucketARN=bucket,
        namespace="layers",
        name=table,
        type="icebergSnapshotManagement",
        value={
            "status": "enabled",
            "settings": {"icebergSnapshotManagement": {"minSnapshotsToKeep": 1, "maxSnapshotAgeHours": hours}},
        },
    )


def wait_for(bucket, table):
    import time

    s3tables = boto3.client("s3tables")
    while True:
        try:
            return s3tables.get_table(tableBucketARN=bucket, namespace="layers", name=table)
        except s3tables.exceptions.NotFoundException:
            time.sleep(0.2)


if __name__ == "__main__":
    bucket = main()
    for table, hours in (("cleansed", 5 * 24), ("curated", 30 * 24)):
        wait_for(bucket, table)
        keep_snapshots(bucket, table, hours)
    print("the layers are there")
