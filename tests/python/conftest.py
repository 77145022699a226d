import os

import boto3
import pytest

import dynamodb_local
import kinesalite
from dynaberg import Dynaberg


@pytest.fixture(scope="session")
def dynaberg(tmp_path_factory):
    """One `dynaberg dev` without pipelines, for tests of the embedded services."""
    running = Dynaberg(tmp_path_factory.mktemp("services") / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def endpoint(dynaberg):
    return dynaberg.endpoint


@pytest.fixture(scope="session")
def emulated():
    """False where the tests run against AWS's DynamoDB Local."""
    return "DYNAMODB_LOCAL_ENDPOINT" not in os.environ


@pytest.fixture(scope="session")
def aws(request, emulated):
    """Gives boto3 clients of the endpoint under test."""
    if not emulated:
        return dynamodb_local.client
    if "KINESALITE_ENDPOINT" in os.environ:
        return kinesalite.client
    return request.getfixturevalue("dynaberg").client
