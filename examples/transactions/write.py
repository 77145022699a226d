"""Creates the source and the target of transactions.toml, then writes, updates and deletes transactions.

Knows AWS by its environment only: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
"""

import argparse
import json
import pathlib
import random
import time
from datetime import datetime, timezone
from decimal import Decimal

import boto3

TABLE = "financial-transactions"


def create_source(dynamodb):
    table = dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "transaction_id", "KeyType": "HASH"},
            {"AttributeName": "timestamp", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "transaction_id", "AttributeType": "S"},
            {"AttributeName": "timestamp", "AttributeType": "N"},
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 10},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    table.wait_until_exists()
    return table


def create_target(s3tables, s3):
    definition = json.loads((pathlib.Path(__file__).parent / "tabledefinition.json").read_text())
    bucket = s3tables.create_table_bucket(name="streamtablebucket")["arn"]
    definition["tableBucketARN"] = bucket
    s3tables.create_namespace(tableBucketARN=bucket, namespace=[definition["namespace"]])
    s3tables.create_table(**definition)
    s3.create_bucket(Bucket="streambucket")


def transaction(rng):
    now_ms = int(time.time() * 1000) - rng.randrange(3_600_000)
    moment = datetime.fromtimestamp(now_ms / 1000, timezone.utc)
    return {
        "transaction_id": f"TXN_{rng.getrandbits(64):016x}",
        "timestamp": now_ms,
        "customer_id": f"CUST_{rng.randrange(1_000_000):06d}",
        "date": moment.strftime("%Y-%m-%d"),
        "hour": moment.hour,
        "minute": moment.minute,
        "transaction_type": rng.choice(["PURCHASE", "REFUND", "TRANSFER", "WITHDRAWAL"]),
        "amount": Decimal(rng.randrange(1_000, 100_001)) / 100,
        "currency": rng.choice(["USD", "EUR", "GBP"]),
        "merchant_category": rng.choice(["GROCERY", "TRAVEL", "FUEL", "ONLINE"]),
        "payment_method": rng.choice(["CARD", "WALLET", "BANK"]),
        "region": rng.choice(["NA", "EU", "APAC", "LATAM"]),
        "risk_score": rng.choice(["LOW", "MEDIUM", "HIGH"]),
        "status": rng.choice(["APPROVED", "DECLINED", "PENDING_REVIEW", "FLAGGED"]),
        "processing_timestamp": now_ms + rng.randrange(1_000),
        "device_type": rng.choice(["MOBILE", "DESKTOP", "POS"]),
        "authentication_method": rng.choice(["PIN", "BIOMETRIC", "PASSWORD"]),
        "merchant_id": f"MERCH_{rng.randrange(10_000):04d}",
        "velocity_check": rng.choice(["PASS", "FLAG", "REVIEW"]),
        "amount_threshold": rng.choice(["NORMAL", "HIGH", "VERY_HIGH"]),
        "location_risk": rng.choice(["LOW", "MEDIUM", "HIGH"]),
        "pattern_match": rng.choice(["NORMAL", "SUSPICIOUS"]),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=1000)
    arguments.add_argument("--updates", type=int, default=200)
    arguments.add_argument("--deletes", type=int, default=100)
    arguments = arguments.parse_args()

    rng = random.Random(7)
    table = create_source(boto3.resource("dynamodb"))
    create_target(boto3.client("s3tables"), boto3.client("s3"))

    items = [transaction(rng) for _ in range(arguments.items)]
    keys = [{"transaction_id": item["transaction_id"], "timestamp": item["timestamp"]} for item in items]
    with table.batch_writer() as batch:
        for item in items:
            batch.put_item(Item=item)
    for key in keys[: arguments.updates]:
        table.update_item(
            Key=key,
            UpdateExpression="SET #status = :status, amount = amount + :fee",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": "APPROVED", ":fee": Decimal("0.55")},
        )
    for key in keys[len(keys) - arguments.deletes :]:
        table.delete_item(Key=key)
    print(f"wrote {arguments.items}, updated {arguments.updates}, deleted {arguments.deletes}")


if __name__ == "__main__":
    main()
