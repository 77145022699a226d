"""Orders that come, change and go."""

import random
from decimal import Decimal

import boto3


def main(changes=200):
    table, rng = boto3.resource("dynamodb").Table("layers-orders"), random.Random(7)
    for _ in range(changes):
        order_id = f"order-{rng.randrange(40)}"
        if rng.random() < 0.15:
            table.delete_item(Key={"order_id": order_id})
            continue
        table.put_item(
            Item={
                "order_id": order_id,
                "region": rng.choice(["EU", "US", "APAC"]),
                "customer": rng.choice(["Ada", "Grace", "Edsger"]),
                "amount": Decimal(rng.randrange(100, 100_000)) / 100,
                "status": rng.choice(["APPROVED", "APPROVED", "DECLINED"]),
            }
        )


if __name__ == "__main__":
    main()
