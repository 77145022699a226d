"""dbt with its Athena adapter, unmodified, on AwsDataCatalog and on a table of a table bucket.

It has an environment of its own in the user's cache. Of dbt 1.10, since parts of later ones come from elsewhere than the
package index.
"""

import json
import os
import shutil
import subprocess

import pytest

import lakehouse
from dynaberg import ROOT, Dynaberg
from environments import programs_of
from test_athena import rows

OUTPUT = {
    "ResultConfiguration": {"OutputLocation": "s3://dbt-results/answers/"},
    "QueryExecutionContext": {"Catalog": "AwsDataCatalog"},
}


@pytest.fixture(scope="module")
def dbt():
    return programs_of("dbt-core==1.10.23", "dbt-athena==1.10.2") / "dbt"


@pytest.fixture(scope="module")
def shop(dbt, tmp_path_factory):
    """Runs dbt in a project, on services of its own."""
    project = tmp_path_factory.mktemp("dbt") / "shop"
    shutil.copytree(ROOT / "tests/dbt", project)
    running = Dynaberg(tmp_path_factory.mktemp("data") / "data")
    try:
        running.client("s3").create_bucket(Bucket="dbt-results")
        lakehouse.transactions(running, "dbtlake")
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": running.endpoint,
            "AWS_ACCESS_KEY_ID": "dev",
            "AWS_SECRET_ACCESS_KEY": "dev",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

        def run(*arguments):
            command = [dbt, "--quiet", *arguments, "--project-dir", project, "--profiles-dir", project]
            done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=500)
            assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]

        run.project, run.athena = project, running.client("athena")
        yield run
    finally:
        running.stop()


def test_dbt_builds_its_models_twice_tests_them_and_documents_them(shop):
    shop("seed")
    shop("run")
    shop("run")
    shop("test")
    shop("docs", "generate")

    def answer(query):
        return rows(shop.athena, query, **OUTPUT)[1:]

    assert answer("SELECT * FROM dbtmart.by_status ORDER BY 1") == [["APPROVED", "2", "17.5"], ["DECLINED", "1", "20.0"]]
    assert answer("SELECT id FROM dbtmart.approved ORDER BY 1") == [["1"], ["3"]]
    # The second run appended what its condition lets through, and put partitions in the place of partitions.
    assert answer("SELECT id FROM dbtmart.appended ORDER BY 1") == [["1"], ["2"], ["3"], ["3"]]
    assert answer("SELECT id, status FROM dbtmart.overwritten ORDER BY 1") == [
        ["1", "APPROVED"],
        ["2", "DECLINED"],
        ["3", "APPROVED"],
    ]
    regions = {row["region"]: sum(it["region"] == row["region"] for it in lakehouse.ROWS) for row in lakehouse.ROWS}
    assert dict(answer("SELECT * FROM dbtmart.lake")) == {region: str(n) for region, n in regions.items()}
    catalog = json.loads((shop.project / "target/catalog.json").read_text())
    columns = {name.split(".")[-1]: list(node["columns"]) for name, node in catalog["nodes"].items()}
    assert columns["by_status"] == ["status", "n", "total"] and columns["payments"] == ["id", "status", "amount"]
    assert catalog["errors"] is None
