"""The Glue Data Catalog: table buckets as catalogs, namespaces as databases, and resource links."""

import pytest
from botocore.exceptions import ClientError

import lakehouse

BUCKET = "gluelake"
CATALOG = f"000000000000:s3tablescatalog/{BUCKET}"


@pytest.fixture(scope="module")
def glue(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    return dynaberg.client("glue")


def refused(error, code):
    assert error.value.response["Error"]["Code"] == code


def test_a_table_bucket_is_a_federated_catalog(glue):
    children = glue.get_catalogs(ParentCatalogId="s3tablescatalog")["CatalogList"]
    (catalog,) = [catalog for catalog in children if catalog["Name"] == BUCKET]
    assert catalog["CatalogId"] == CATALOG
    assert catalog["FederatedCatalog"]["ConnectionName"] == "aws:s3tables"
    assert glue.get_catalog(CatalogId=CATALOG)["Catalog"]["ResourceArn"].endswith(f"catalog/s3tablescatalog/{BUCKET}")
    with pytest.raises(ClientError) as error:
        glue.get_catalog(CatalogId="000000000000:s3tablescatalog/nothing")
    refused(error, "EntityNotFoundException")


def test_namespaces_are_databases_and_tables_have_columns(glue):
    databases = glue.get_databases(CatalogId=CATALOG)["DatabaseList"]
    assert [database["Name"] for database in databases] == ["analytics"]
    tables = glue.get_tables(CatalogId=CATALOG, DatabaseName="analytics", Expression="trans*")["TableList"]
    assert [table["Name"] for table in tables] == ["transactions"]
    assert glue.get_tables(CatalogId=CATALOG, DatabaseName="analytics", Expression="x*")["TableList"] == []
    table = glue.get_table(CatalogId=CATALOG, DatabaseName="analytics", Name="transactions")["Table"]
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    assert columns["amount"] == "decimal(12,2)" and columns["date"] == "date" and columns["timestamp"] == "bigint"
    assert table["Parameters"]["table_type"] == "ICEBERG"
    partitions = glue.get_partitions(CatalogId=CATALOG, DatabaseName="analytics", TableName="transactions")
    assert partitions["Partitions"] == []


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("get_database", {"CatalogId": CATALOG, "Name": "nothing"}),
        ("get_database", {"Name": "nothing"}),
        ("get_table", {"CatalogId": CATALOG, "DatabaseName": "analytics", "Name": "nothing"}),
        ("get_tables", {"CatalogId": CATALOG, "DatabaseName": "nothing"}),
        ("get_tables", {"DatabaseName": "nothing"}),
        ("delete_database", {"Name": "nothing"}),
        ("get_partitions", {"CatalogId": CATALOG, "DatabaseName": "analytics", "TableName": "nothing"}),
    ],
)
def test_what_is_not_there_is_an_entity_that_is_not_found(glue, operation, arguments):
    with pytest.raises(ClientError) as error:
        getattr(glue, operation)(**arguments)
    refused(error, "EntityNotFoundException")


def test_a_resource_link_leads_to_the_namespace_for_glue_and_for_athena(dynaberg, glue):
    target = {"CatalogId": CATALOG, "DatabaseName": "analytics"}
    link = {"Name": "FirehoseS3TableResourceLink", "TargetDatabase": target}
    glue.create_database(DatabaseInput=link)
    with pytest.raises(ClientError) as error:
        glue.create_database(DatabaseInput=link)
    refused(error, "AlreadyExistsException")
    name = link["Name"].lower()
    assert glue.get_database(Name=name)["Database"]["TargetDatabase"] == target
    assert {"default", name} <= {database["Name"] for database in glue.get_databases()["DatabaseList"]}
    assert [table["Name"] for table in glue.get_tables(DatabaseName=name)["TableList"]] == ["transactions"]

    athena = dynaberg.client("athena")
    metadata = athena.get_table_metadata(
        CatalogName="AwsDataCatalog", DatabaseName=name, TableName="transactions"
    )["TableMetadata"]
    assert metadata["Columns"][0] == {"Name": "transaction_id", "Type": "string"}
    databases = athena.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]
    assert name in [database["Name"] for database in databases]

    glue.delete_database(Name=name)
    with pytest.raises(ClientError) as error:
        glue.get_database(Name=name)
    refused(error, "EntityNotFoundException")


def test_a_link_to_nothing_is_refused(glue):
    target = {"CatalogId": CATALOG, "DatabaseName": "nothing"}
    with pytest.raises(ClientError) as error:
        glue.create_database(DatabaseInput={"Name": "nowhere", "TargetDatabase": target})
    refused(error, "EntityNotFoundException")
