"""Lake Formation's grants, and that they hold on every path to the data."""

import json
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

import lakehouse
from test_athena import ended, rows, start, values

BUCKET = "governed"
CATALOG = f"000000000000:s3tablescatalog/{BUCKET}"
ARN = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{BUCKET}"
TABLE = {"CatalogId": CATALOG, "DatabaseName": "analytics", "Name": "transactions"}
CONTEXT = {"Catalog": f"s3tablescatalog/{BUCKET}", "Database": "analytics"}
SECRET = "WALLET"


@pytest.fixture(scope="module")
def lake(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="governed-results")
    return dynaberg.client("lakeformation")


class Person:
    """A user without rights of its own."""

    def __init__(self, dynaberg, name):
        self.dynaberg, self.name = dynaberg, name
        self.principal = {"DataLakePrincipalIdentifier": f"arn:aws:iam::000000000000:user/{name}"}

    def client(self, service):
        return self.dynaberg.client(service, aws_access_key_id=self.name, aws_secret_access_key="any")

    def options(self):
        return {
            "ResultConfiguration": {"OutputLocation": "s3://governed-results/"},
            "QueryExecutionContext": CONTEXT,
        }

    def rows(self, query):
        return rows(self.client("athena"), query, **self.options())

    def reason(self, query):
        athena = self.client("athena")
        status = ended(athena, start(athena, query, **self.options()))["Status"]
        assert status["State"] == "FAILED", f"{self.name} may: {query}"
        return status["StateChangeReason"]

    def status(self, call, **arguments):
        try:
            call(**arguments)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]
        return 200


def warehouse(dynaberg):
    table = dynaberg.client("s3tables").get_table(tableBucketARN=ARN, namespace="analytics", name="transactions")
    return table["warehouseLocation"].removeprefix("s3://"), table["metadataLocation"]


def iceberg(person, arn=ARN, namespace="analytics", table="transactions"):
    """The status of loading a table over Iceberg REST."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    import urllib.error
    import urllib.parse
    import urllib.request

    prefix = urllib.parse.quote(arn, safe="")
    url = f"{person.dynaberg.endpoint}/iceberg/v1/{prefix}/namespaces/{namespace}/tables/{table}"
    request = botocore.awsrequest.AWSRequest("GET", url)
    credentials = botocore.credentials.Credentials(person.name, "any")
    botocore.auth.SigV4Auth(credentials, "s3tables", "us-east-1").add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def glue_columns(person):
    try:
        table = person.client("glue").get_table(**TABLE)["Table"]
    except ClientError as error:
        assert error.response["Error"]["Code"] == "EntityNotFoundException"
        return None
    return [column["Name"] for column in table["StorageDescriptor"]["Columns"]]


def reads_files(dynaberg, person):
    bucket, metadata = warehouse(dynaberg)
    s3 = person.client("s3")
    key = metadata.removeprefix(f"s3://{bucket}/")
    statuses = {
        person.status(s3.get_object, Bucket=bucket, Key=key),
        person.status(s3.list_objects_v2, Bucket=bucket),
        person.status(s3.head_object, Bucket=bucket, Key=key),
        person.status(
            s3.copy_object, Bucket="governed-results", Key=f"stolen-{person.name}", CopySource=f"{bucket}/{key}"
        ),
    }
    assert len(statuses) == 1, statuses
    return statuses == {200}


def test_nothing_is_seen_without_a_grant(dynaberg, lake):
    nobody = Person(dynaberg, "nobody")
    assert nobody.reason("SELECT * FROM transactions").startswith("TABLE_NOT_FOUND")
    assert nobody.reason("SELECT * FROM analytics.transactions") == nobody.reason(
        "SELECT * FROM analytics.transactions"
    )
    assert "transactions" not in nobody.reason("SELECT * FROM transaction").replace("transaction ", "")
    for listing in ("SHOW TABLES", "SHOW DATABASES"):
        assert f"no catalog named s3tablescatalog/{BUCKET}" in nobody.reason(listing)
    assert glue_columns(nobody) is None
    assert nobody.client("glue").get_catalogs(ParentCatalogId="s3tablescatalog")["CatalogList"] == []
    assert iceberg(nobody) == 403
    assert not reads_files(dynaberg, nobody)
    tables = nobody.client("s3tables")
    assert tables.list_table_buckets()["tableBuckets"] == []
    name = {"tableBucketARN": ARN, "namespace": "analytics", "name": "transactions"}
    for call in (tables.get_table, tables.get_table_metadata_location, tables.delete_table):
        assert nobody.status(call, **name) == 403
    assert nobody.status(tables.list_tables, tableBucketARN=ARN) == 403
    assert nobody.status(nobody.client("lakeformation").put_data_lake_settings, DataLakeSettings={}) == 403


def test_the_blogs_grant_shows_the_table_until_it_is_revoked(dynaberg, lake):
    ana = Person(dynaberg, "ana")
    resource = {"Table": TABLE}
    command = [sys.executable, "-m", "awscli", "lakeformation", "grant-permissions"]
    command += ["--principal", json.dumps(ana.principal), "--resource", json.dumps(resource)]
    command += ["--permissions", "SELECT", "DESCRIBE"]
    subprocess.run(command, env=dynaberg.environment, check=True, capture_output=True)
    listed = lake.list_permissions(Principal=ana.principal)["PrincipalResourcePermissions"]
    assert [(grant["Resource"], grant["Permissions"]) for grant in listed] == [(resource, ["SELECT", "DESCRIBE"])]

    assert ana.rows("SELECT count(*) AS n FROM transactions") == [["n"], [str(len(lakehouse.ROWS))]]
    assert ana.rows("SHOW TABLES") == [["transactions"]]
    assert "amount" in glue_columns(ana) and iceberg(ana) == 200 and reads_files(dynaberg, ana)
    bucket, _ = warehouse(dynaberg)
    assert ana.status(ana.client("s3").put_object, Bucket=bucket, Key="data/x", Body=b"") == 403

    lake.revoke_permissions(Principal=ana.principal, Resource=resource, Permissions=["SELECT", "DESCRIBE"])
    assert ana.reason("SELECT count(*) FROM transactions").startswith("TABLE_NOT_FOUND")
    assert glue_columns(ana) is None and iceberg(ana) == 403 and not reads_files(dynaberg, ana)


@pytest.mark.parametrize(
    ("columns", "seen"),
    [
        ({"ColumnNames": ["transaction_id", "region"]}, ["transaction_id", "region"]),
        (
            {"ColumnWildcard": {"ExcludedColumnNames": ["amount", "customer_id", "payment_method"]}},
            [name for name in lakehouse.SCHEMA.names if name not in ("amount", "customer_id", "payment_method")],
        ),
    ],
)
def test_columns_that_are_not_granted_do_not_exist(dynaberg, lake, columns, seen):
    ben = Person(dynaberg, f"ben{len(seen)}")
    lake.grant_permissions(
        Principal=ben.principal, Resource={"TableWithColumns": {**TABLE, **columns}}, Permissions=["SELECT"]
    )
    header, *found = ben.rows("SELECT * FROM transactions")
    assert header == seen and len(found) == len(lakehouse.ROWS)
    assert [row[0] for row in ben.rows("DESCRIBE transactions")] == seen
    for query in (
        "SELECT payment_method FROM transactions",
        "SELECT count(*) FROM transactions WHERE payment_method = 'CARD'",
        "SELECT region FROM transactions ORDER BY payment_method",
        "SELECT max(t.payment_method) FROM analytics.transactions t",
    ):
        reason = ben.reason(query)
        assert reason.startswith("COLUMN_NOT_FOUND") and SECRET not in reason and "amount" not in reason
    assert glue_columns(ben) == seen
    assert iceberg(ben) == 403 and not reads_files(dynaberg, ben)


def test_rows_that_are_filtered_away_cannot_be_felt(dynaberg, lake):
    eva = Person(dynaberg, "eva")
    lake.create_data_cells_filter(
        TableData={
            "TableCatalogId": CATALOG,
            "DatabaseName": "analytics",
            "TableName": "transactions",
            "Name": "eu",
            "RowFilter": {"FilterExpression": "region = 'EU' AND status <> 'FLAGGED'"},
            "ColumnWildcard": {"ExcludedColumnNames": ["region"]},
        }
    )
    resource = {
        "DataCellsFilter": {
            "TableCatalogId": CATALOG,
            "DatabaseName": "analytics",
            "TableName": "transactions",
            "Name": "eu",
        }
    }
    lake.grant_permissions(Principal=eva.principal, Resource=resource, Permissions=["SELECT"])
    own = [row for row in lakehouse.ROWS if row["region"] == "EU" and row["status"] != "FLAGGED"]
    header, *found = eva.rows("SELECT * FROM transactions")
    assert "region" not in header
    assert sorted(row[0] for row in found) == sorted(row["transaction_id"] for row in own)
    assert eva.rows("SELECT count(*) FROM transactions")[1] == [str(len(own))]
    # A predicate that fails on a hidden row would tell that it is there: it never gets to see one.
    foreign = next(row["timestamp"] for row in lakehouse.ROWS if row["region"] == "US")
    guess = f"SELECT count(*) FROM transactions WHERE 1 / (timestamp - {foreign}) = 7"
    assert eva.rows(guess)[1] == ["0"]
    plan = "\n".join(cell for row in eva.rows("EXPLAIN ANALYZE SELECT * FROM transactions") for cell in row)
    assert "EU" not in plan and "region" not in plan and "FLAGGED" not in plan and "s3://" not in plan
    assert "region" not in glue_columns(eva) and iceberg(eva) == 403 and not reads_files(dynaberg, eva)
    (kept,) = lake.list_data_cells_filter(Table=TABLE)["DataCellsFilters"]
    assert kept["RowFilter"] == {"FilterExpression": "region = 'EU' AND status <> 'FLAGGED'"}

    name = resource["DataCellsFilter"]
    lake.delete_data_cells_filter(**name)
    assert eva.reason("SELECT count(*) FROM transactions").startswith("TABLE_NOT_FOUND")


def test_a_result_is_its_owners(dynaberg, lake):
    mia, max_ = Person(dynaberg, "mia"), Person(dynaberg, "max")
    athena = mia.client("athena")
    query_id = start(athena, "SELECT 'private' AS a", **mia.options())
    location = ended(athena, query_id)["ResultConfiguration"]["OutputLocation"]
    bucket, key = location.removeprefix("s3://").split("/", 1)
    assert values(athena.get_query_results(QueryExecutionId=query_id))[1] == ["private"]
    for person, status in ((mia, 200), (max_, 403)):
        s3 = person.client("s3")
        assert person.status(s3.get_object, Bucket=bucket, Key=key) == status
        assert person.status(s3.head_object, Bucket=bucket, Key=f"{key}.metadata") == status
        source = f"{bucket}/{key}"
        copied = person.status(s3.copy_object, Bucket=bucket, Key=f"copy-{person.name}", CopySource=source)
        assert copied == status
    other = max_.client("athena")
    for call in (other.get_query_execution, other.get_query_results, other.stop_query_execution):
        with pytest.raises(ClientError) as error:
            call(QueryExecutionId=query_id)
        assert f"QueryExecution {query_id} was not found" in error.value.response["Error"]["Message"]
    assert query_id not in other.list_query_executions()["QueryExecutionIds"]


def test_a_reused_result_does_not_outlive_the_grant(dynaberg, lake):
    tom = Person(dynaberg, "tom")
    grant = {"Principal": tom.principal, "Resource": {"Table": TABLE}, "Permissions": ["SELECT"]}
    lake.grant_permissions(**grant)
    athena = tom.client("athena")
    reuse = {"ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True}}}
    query = "SELECT max(amount) FROM transactions"
    assert ended(athena, start(athena, query, **tom.options(), **reuse))["Status"]["State"] == "SUCCEEDED"
    lake.revoke_permissions(**grant)
    assert ended(athena, start(athena, query, **tom.options(), **reuse))["Status"]["State"] == "FAILED"


def test_the_grant_option_lets_somebody_grant_on_and_nothing_more(dynaberg, lake):
    ida, leo = Person(dynaberg, "ida"), Person(dynaberg, "leo")
    own = {"Principal": ida.principal, "Resource": {"Table": TABLE}, "Permissions": ["SELECT"]}
    lake.grant_permissions(**own)
    onward = {"Principal": leo.principal, "Resource": {"Table": TABLE}, "Permissions": ["SELECT"]}
    assert ida.status(ida.client("lakeformation").grant_permissions, **onward) == 403
    lake.grant_permissions(**own, PermissionsWithGrantOption=["SELECT"])
    assert ida.status(ida.client("lakeformation").grant_permissions, **{**onward, "Permissions": ["DROP"]}) == 403
    ida.client("lakeformation").grant_permissions(**onward)
    assert leo.rows("SELECT count(*) FROM transactions")[1] == [str(len(lakehouse.ROWS))]


def test_settings_are_replaced_as_a_whole_and_make_administrators(dynaberg, lake):
    ada = Person(dynaberg, "ada")
    lake.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": [ada.principal]})
    assert lake.get_data_lake_settings()["DataLakeSettings"]["DataLakeAdmins"] == [ada.principal]
    assert ada.rows("SELECT count(*) FROM transactions")[1] == [str(len(lakehouse.ROWS))]
    lake.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": []})
    assert ada.reason("SELECT count(*) FROM transactions").startswith("TABLE_NOT_FOUND")


def test_grants_come_in_batches_and_failures_are_listed(dynaberg, lake):
    sue = Person(dynaberg, "sue")
    good = {"Id": "1", "Principal": sue.principal, "Resource": {"Table": TABLE}, "Permissions": ["SELECT"]}
    bad = {**good, "Id": "2", "Resource": {"Table": {**TABLE, "Name": "nothing"}}}
    answer = lake.batch_grant_permissions(Entries=[good, bad])
    assert [(failure["RequestEntry"]["Id"], failure["Error"]["ErrorCode"]) for failure in answer["Failures"]] == [
        ("2", "EntityNotFoundException")
    ]
    assert lake.batch_revoke_permissions(Entries=[good])["Failures"] == []
    with pytest.raises(ClientError) as error:
        lake.revoke_permissions(**{key: value for key, value in good.items() if key != "Id"})
    assert error.value.response["Error"]["Code"] == "InvalidInputException"


@pytest.mark.parametrize(
    ("resource", "permissions", "code"),
    [
        ({"Table": {**TABLE, "DatabaseName": "nothing"}}, ["SELECT"], "EntityNotFoundException"),
        ({"Table": {**TABLE, "CatalogId": "000000000000:hive"}}, ["SELECT"], "EntityNotFoundException"),
        ({"TableWithColumns": {**TABLE, "ColumnNames": ["region"]}}, ["INSERT"], "InvalidInputException"),
        ({"TableWithColumns": {**TABLE, "ColumnNames": ["nothing"]}}, ["SELECT"], "InvalidInputException"),
        ({"Database": {"CatalogId": CATALOG, "Name": "analytics"}}, ["SELECT"], "InvalidInputException"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(dynaberg, lake, resource, permissions, code):
    with pytest.raises(ClientError) as error:
        lake.grant_permissions(
            Principal=Person(dynaberg, "zoe").principal, Resource=resource, Permissions=permissions
        )
    assert error.value.response["Error"]["Code"] == code


def test_a_session_of_a_role_has_the_grants_of_the_role(dynaberg, lake):
    role = "arn:aws:iam::000000000000:role/Reader"
    grant = {"Principal": {"DataLakePrincipalIdentifier": role}, "Resource": {"Table": TABLE}}
    lake.grant_permissions(**grant, Permissions=["SELECT"])
    kept = dynaberg.client("sts").assume_role(RoleArn=role, RoleSessionName="me")
    keys = kept["Credentials"]
    reader = Person(dynaberg, keys["AccessKeyId"])
    identity = reader.client("sts").get_caller_identity()
    assert identity["Arn"] == kept["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/Reader/me"
    assert identity["UserId"] == kept["AssumedRoleUser"]["AssumedRoleId"]
    assert reader.rows("SELECT count(*) FROM transactions")[1] == [str(len(lakehouse.ROWS))]


def test_the_command_line_asks_as_somebody_else(dynaberg, lake):
    columns = {"ColumnNames": ["transaction_id", "amount", "date", "hour"]}
    uma = Person(dynaberg, "uma")
    lake.grant_permissions(Principal=uma.principal, Resource={"TableWithColumns": {**TABLE, **columns}}, Permissions=["SELECT"])
    options = ("--as", "uma", "--catalog", ARN, "--output", "json")
    query = "SELECT * FROM analytics.transactions ORDER BY transaction_id LIMIT 2; SELECT count(*) AS n, NULL AS none FROM analytics.transactions"
    decoder, text = json.JSONDecoder(), dynaberg.run("sql", query, *options).stdout
    first, end = decoder.raw_decode(text)
    second, _ = decoder.raw_decode(text[end:].lstrip())
    assert list(first[0]) == ["transaction_id", "date", "hour", "amount"] and len(first) == 2
    expected = sorted(lakehouse.ROWS, key=lambda row: row["transaction_id"])[0]
    assert (first[0]["hour"], first[0]["date"]) == (expected["hour"], expected["date"].isoformat())
    assert float(first[0]["amount"]) == float(expected["amount"])
    assert second == [{"n": len(lakehouse.ROWS), "none": None}]
    for refused in (("SELECT payment_method FROM analytics.transactions", *options), ("SELECT 1 FROM analytics.transactions", "--as", "nobody", "--catalog", ARN)):
        failed = dynaberg.run("sql", *refused, check=False)
        assert failed.returncode != 0 and "NOT_FOUND" in failed.stderr
