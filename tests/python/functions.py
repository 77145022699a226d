"""Lambda functions for tests: packed as a user would, from source code in the test."""

import io
import json
import textwrap
import uuid
import zipfile

ROLE = "arn:aws:iam::000000000000:role/pipeline"


def package(source=None, **files):
    """A deployment package: `source` is app.py; others by name, `lib__x` for `lib/x.py`."""
    sources = {name.replace("__", "/") + ".py": text for name, text in files.items()}
    if source is not None:
        sources["app.py"] = source
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sources.items():
            archive.writestr(name, textwrap.dedent(text))
    return packed.getvalue()


def create(client, source, name=None, **settings):
    """Creates a Python function of `app.handler` and gives its name."""
    name = name or f"function-{uuid.uuid4().hex[:12]}"
    client.create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.13",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": package(source)},
            "Timeout": 30,
            **settings,
        }
    )
    return name


def invoke(client, name, event=None, **options):
    """What a function answers, and whether that is an error."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **options)
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")
