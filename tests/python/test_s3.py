"""Amazon S3, as boto3 uses it."""

import io
import os
import urllib.request

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def s3(aws):
    return aws("s3")


@pytest.fixture
def bucket(s3, request):
    name = "test-" + str(abs(hash(request.node.nodeid)))
    s3.create_bucket(Bucket=name)
    yield name
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name)
    keys = [{"Key": found["Key"]} for page in pages for found in page.get("Contents", [])]
    for start in range(0, len(keys), 1000):
        s3.delete_objects(Bucket=name, Delete={"Objects": keys[start : start + 1000], "Quiet": True})
    s3.delete_bucket(Bucket=name)


def code(error):
    return error.value.response["Error"]["Code"]


def test_an_object_comes_back_as_it_was_put(s3, bucket):
    put = s3.put_object(
        Bucket=bucket, Key="a/b", Body=b"hello world", ContentType="text/plain", Metadata={"owner": "me"}
    )
    got = s3.get_object(Bucket=bucket, Key="a/b")
    assert got["Body"].read() == b"hello world"
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/plain", {"owner": "me"}, put["ETag"])
    assert s3.get_object(Bucket=bucket, Key="a/b", Range="bytes=6-")["Body"].read() == b"world"
    assert s3.head_object(Bucket=bucket, Key="a/b")["ContentLength"] == 11
    s3.delete_object(Bucket=bucket, Key="a/b")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="a/b")
    with pytest.raises(ClientError) as missing:
        s3.head_object(Bucket=bucket, Key="a/b")
    assert code(missing) == "404"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_kept_and_checked(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)
    member = f"Checksum{algorithm}"
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == put[member]
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{member: put[member]})
    assert code(refused) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_an_object_is_created_once(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    assert code(refused) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="once", Body=b"3", IfMatch=first["ETag"])
    with pytest.raises(ClientError) as stale:
        s3.put_object(Bucket=bucket, Key="once", Body=b"4", IfMatch=first["ETag"])
    assert code(stale) == "PreconditionFailed"
    with pytest.raises(ClientError) as unchanged:
        s3.get_object(Bucket=bucket, Key="once", IfNoneMatch=s3.head_object(Bucket=bucket, Key="once")["ETag"])
    assert code(unchanged) == "304"


def test_a_large_file_goes_up_in_parts_and_comes_down_whole(s3, bucket):
    data = os.urandom(20 << 20)
    s3.upload_fileobj(io.BytesIO(data), bucket, "large")
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
    down = io.BytesIO()
    s3.download_fileobj(bucket, "large", down)
    assert down.getvalue() == data
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied")
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == data


def test_an_upload_in_parts_can_be_looked_at_and_given_up(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=3, Body=b"x")
    parts = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [(found["PartNumber"], found["ETag"]) for found in parts] == [(3, part["ETag"])]
    assert [found["UploadId"] for found in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_listings_are_paged_in_order(s3, bucket):
    keys = sorted(["a", "a-b", "a/b", "a/c/d", "a0", "b b", "c+d", "é", "\n", "x%20y", "d/../e"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
        assert [found["Key"] for page in pages for found in page.get("Contents", [])] == keys
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, Delimiter="/", Prefix="a", PaginationConfig={"PageSize": 1}
        )
        found = [
            entry.get("Key", entry.get("Prefix"))
            for page in pages
            for entry in page.get("Contents", []) + page.get("CommonPrefixes", [])
        ]
        assert found == ["a", "a-b", "a/", "a0"]
    after = s3.list_objects_v2(Bucket=bucket, StartAfter="a0")["Contents"]
    assert [found["Key"] for found in after] == keys[keys.index("a0") + 1 :]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_works_without_credentials(aws, bucket, version):
    s3 = aws("s3", config=Config(signature_version=version))
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"})
    urllib.request.urlopen(urllib.request.Request(put, data=b"signed", method="PUT"))
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    assert urllib.request.urlopen(get).read() == b"signed"


def test_buckets_are_listed_located_and_missed(s3, bucket):
    assert bucket in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as full:
        s3.delete_bucket(Bucket=bucket)
    assert code(full) == "BucketNotEmpty"
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="no-such-bucket-anywhere")


def test_what_is_not_served_says_so(s3, bucket):
    with pytest.raises(ClientError) as refused:
        s3.get_bucket_versioning(Bucket=bucket)
    assert code(refused) == "NotImplemented"
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="aws:kms")
    assert code(refused) == "NotImplemented"
