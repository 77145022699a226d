"""The blog's table with rows in it, and the blog's queries."""

import datetime
from decimal import Decimal

import pyarrow as pa

from dynaberg import pyiceberg_catalog

D12 = """SELECT date, hour, merchant_category, payment_method, COUNT(*) as transaction_count,
 SUM(CAST(amount AS DECIMAL(12,2))) as total_amount, COUNT(DISTINCT customer_id) as unique_customers,
 COUNT(CASE WHEN status = 'DECLINED' THEN 1 END) as declined_count,
 COUNT(CASE WHEN amount_threshold = 'HIGH' THEN 1 END) as high_amount_alerts
FROM transactions WHERE date = CURRENT_DATE
GROUP BY date, hour, merchant_category, payment_method ORDER BY hour, total_amount DESC;"""

D13 = """SELECT region, merchant_category, date, COUNT(*) as total_transactions,
 SUM(CAST(amount AS DECIMAL(12,2))) as total_amount,
 COUNT(CASE WHEN risk_score = 'HIGH' THEN 1 END) as high_risk_count,
 COUNT(CASE WHEN velocity_check = 'FLAG' THEN 1 END) as velocity_flags,
 COUNT(CASE WHEN status = 'FLAGGED' THEN 1 END) as flagged_transactions
FROM transactions WHERE date >= CURRENT_DATE - INTERVAL '7' DAY
GROUP BY region, merchant_category, date
HAVING COUNT(CASE WHEN risk_score = 'HIGH' THEN 1 END) > 0 ORDER BY high_risk_count DESC;"""

SCHEMA = pa.schema(
    [
        pa.field("transaction_id", pa.string(), nullable=False),
        ("timestamp", pa.int64()),
        ("customer_id", pa.string()),
        ("date", pa.date32()),
        ("hour", pa.int32()),
        ("merchant_category", pa.string()),
        ("payment_method", pa.string()),
        ("amount", pa.decimal128(12, 2)),
        ("region", pa.string()),
        ("risk_score", pa.string()),
        ("status", pa.string()),
        ("velocity_check", pa.string()),
        ("amount_threshold", pa.string()),
    ]
)


def row(number):
    today = datetime.datetime.now(datetime.UTC).date()
    return {
        "transaction_id": f"TXN_{number:016x}",
        "timestamp": 1_700_000_000_000 + number,
        "customer_id": f"CUST_{number % 7:06}",
        "date": today,
        "hour": number % 24,
        "merchant_category": ("Retail", "Travel", "Food")[number % 3],
        "payment_method": ("CARD", "WALLET")[number % 2],
        "amount": Decimal(number * 37 % 99_000) / 100,
        "region": ("EU", "US", "APAC")[number % 3],
        "risk_score": ("LOW", "MEDIUM", "HIGH")[number % 3],
        "status": ("APPROVED", "DECLINED", "FLAGGED", "PENDING_REVIEW")[number % 4],
        "velocity_check": ("PASS", "FLAG")[number % 2],
        "amount_threshold": ("NORMAL", "HIGH")[number % 2],
    }


ROWS = [row(number) for number in range(60)]


def transactions(dynaberg, bucket):
    """A table bucket with `analytics.transactions` in it; gives the bucket's ARN."""
    arn = dynaberg.client("s3tables").create_table_bucket(name=bucket)["arn"]
    catalog = pyiceberg_catalog(dynaberg, arn)
    catalog.create_namespace("analytics")
    table = catalog.create_table("analytics.transactions", SCHEMA)
    table.append(pa.Table.from_pylist(ROWS, SCHEMA))
    return arn
