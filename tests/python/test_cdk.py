"""The CDK app: synthesised, and checked by cdk-nag and cfn-lint.

Needs node 20 and npm, as whoever uses deploy/cdk does; where they are missing these tests are skipped. Packages are
installed once, into the user's cache, under a name that changes with the versions that are asked for.
"""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from dynaberg import BINARY, ROOT
from environments import CACHE, programs_of

CDK = ROOT / "deploy/cdk"
CFN_LINT = "cfn-lint==1.58.0"
STACKS = ["PipelineStack", "LakeFormationStack", "FirehoseStack"]


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def packages():
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("deploy/cdk needs node 20 and npm, which are not here")
    lock = (CDK / "package-lock.json").read_bytes()
    folder = CACHE / f"cdk-{hashlib.sha256(lock).hexdigest()[:8]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CDK / name, folder)
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
        (folder / "complete").touch()
    return folder / "node_modules"


@pytest.fixture(scope="session")
def app(packages, tmp_path_factory):
    """The app, compiled: types are checked on the way."""
    deploy = tmp_path_factory.mktemp("cdk")
    folder = deploy / "cdk"
    shutil.copytree(CDK, folder, ignore=shutil.ignore_patterns("node_modules", "build", "cdk.out"))
    shutil.copytree(ROOT / "deploy/alerts", deploy / "alerts")
    (folder / "node_modules").symlink_to(packages)
    run("node", packages / "typescript/bin/tsc", cwd=folder)
    return folder


def synthesise(app, out, context=None):
    environment = {**os.environ, "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps(context or {})}
    done = subprocess.run(
        ["node", "build/app.js"], cwd=app, env=environment, capture_output=True, text=True, timeout=200
    )
    if done.returncode == 0:
        return {stack: json.loads((out / f"{stack}.template.json").read_text()) for stack in STACKS}
    return done.stderr + done.stdout


@pytest.fixture(scope="session", params=["dynamodb", "kinesis"])
def synthesised(request, app, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "out"
    templates = synthesise(app, out, {"stream_type": request.param})
    assert isinstance(templates, dict), templates
    return out, templates, request.param


@pytest.fixture(scope="session")
def cfn_lint():
    return programs_of(CFN_LINT) / "cfn-lint"


def resources(template, kind):
    return [it["Properties"] for it in template["Resources"].values() if it["Type"] == kind]


def test_cfn_lint_has_nothing_to_say(synthesised, cfn_lint):
    out, _, _ = synthesised
    assert run(cfn_lint, *(out / f"{stack}.template.json" for stack in STACKS)) == ""


def test_cdk_nag_has_nothing_to_say_but_what_was_answered_one_by_one(synthesised):
    out, templates, _ = synthesised
    reports = json.loads((out / "validation-report.json").read_text())["pluginReports"]
    assert [violation for report in reports for violation in report["violations"]] == []
    answered = {
        (rule["id"], it["Type"])
        for template in templates.values()
        for it in template["Resources"].values()
        for rule in it.get("Metadata", {}).get("cdk_nag", {}).get("rules_to_suppress", [])
        if rule["reason"] and not rule["id"].startswith("CloudFormation-Validate::")
    }
    # The CDK answers for what its own constructs make (CloudFormation-Validate). Of ours each answers for one finding of
    # the role, or is about the one bucket that cannot log into itself.
    rules = {rule for rule, _ in answered}
    assert len(rules) == 3 and sum("AwsSolutions-IAM5[Resource::" in rule for rule in rules) == 2
    assert any(rule.endswith("AwsSolutions-S1") for rule in rules)


def test_cdk_nag_would_have_something_to_say(app, packages, tmp_path):
    shutil.copytree(app, tmp_path / "cdk", symlinks=True)
    shutil.copytree(app.parent / "alerts", tmp_path / "alerts")
    file = tmp_path / "cdk/build/lib/lake-formation-stack.js"
    file.write_text(file.read_text().replace("enforceSSL: true", "enforceSSL: false"))
    refused = synthesise(tmp_path / "cdk", tmp_path / "out")
    assert isinstance(refused, str) and "AwsSolutions-S10" in refused


def test_the_stacks_are_those_of_the_blog_with_its_outputs(synthesised):
    _, templates, stream = synthesised
    outputs = {stack: set(template["Outputs"]) for stack, template in templates.items()}
    stream_output = "KinesisStreamARN" if stream == "kinesis" else "DynamoDBTableStreamARN"
    assert {"DynamoDBTableName", "DynamoDBTableARN", stream_output} <= outputs["PipelineStack"]
    assert {"FirehoseRoleARN", "FailedDeliveryBucketARN"} <= outputs["LakeFormationStack"]
    assert {"FirehoseDeliveryStreamName", "FirehoseDeliveryStreamARN"} <= outputs["FirehoseStack"]
    kinds = {it["Type"] for template in templates.values() for it in template["Resources"].values()}
    # Administrators of the data lake are nobody's to replace.
    assert "AWS::LakeFormation::DataLakeSettings" not in kinds
    assert ("AWS::Kinesis::Stream" in kinds) == (stream == "kinesis")


def test_every_action_is_named_and_every_resource_but_two_prefixes_is_one(synthesised):
    _, templates, _ = synthesised
    statements = [
        statement
        for policy in resources(templates["LakeFormationStack"], "AWS::IAM::Policy")
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    actions = [action for it in statements for action in ([it["Action"]] if isinstance(it["Action"], str) else it["Action"])]
    assert actions and not any("*" in action for action in actions)
    wild = [it["Sid"] for it in statements if "*" in json.dumps(it["Resource"])]
    assert sorted(wild) == ["KeepDeadLetters", "WriteTheTable"]


def test_the_container_is_not_root_reads_only_and_restarts_alone(synthesised):
    _, templates, _ = synthesised
    (task,) = resources(templates["FirehoseStack"], "AWS::ECS::TaskDefinition")
    dynaberg = next(it for it in task["ContainerDefinitions"] if it["Name"] == "Dynaberg")
    assert dynaberg["ReadonlyRootFilesystem"] and dynaberg["User"] == "65532"
    assert [mount["ContainerPath"] for mount in dynaberg["MountPoints"]] == ["/var/lib/dynaberg"]
    (service,) = resources(templates["FirehoseStack"], "AWS::ECS::Service")
    assert service["DesiredCount"] == 1 and service["DeploymentConfiguration"]["MaximumPercent"] == 100


def test_alarms_are_those_of_the_alerts_file(synthesised):
    _, templates, _ = synthesised
    alarms = {it["AlarmName"]: it for it in resources(templates["FirehoseStack"], "AWS::CloudWatch::Alarm")}
    definitions = json.loads((ROOT / "deploy/alerts/alarms.json").read_text())["alarms"]
    ours = {f"dynaberg-transactions-{it['name']}": it for it in definitions if "job" not in it.get("dimensions", {})}
    assert alarms.keys() == ours.keys()
    dimensions = [{"Name": "pipeline", "Value": "transactions"}, {"Name": "table", "Value": "analytics.transactions"}]
    for name, definition in ours.items():
        assert alarms[name]["MetricName"] == definition["metric"] and alarms[name]["Threshold"] == definition["threshold"]
        assert alarms[name]["Dimensions"] == dimensions


def test_the_pipeline_file_in_the_template_passes_the_check(synthesised, tmp_path):
    _, templates, stream = synthesised
    (task,) = resources(templates["FirehoseStack"], "AWS::ECS::TaskDefinition")
    writer = next(it for it in task["ContainerDefinitions"] if it["Name"] == "PipelineFile")
    (encoded,) = [part for part in writer["Command"][0]["Fn::Join"][1] if isinstance(part, dict)]
    parts = encoded["Fn::Base64"]["Fn::Join"][1]
    arns = ["arn:aws:s3tables:us-east-1:123456789012:bucket/streamtablebucket", "streambucket"]
    text = "".join(part if isinstance(part, str) else arns.pop(0) for part in parts)
    file = tmp_path / "transactions.toml"
    file.write_text(text)
    assert f'stream = "{stream}"' in text
    done = subprocess.run([BINARY, "check", file, "--offline"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_value_in_the_context_file_is_refused_by_name(app, tmp_path):
    refused = synthesise(app, tmp_path / "out", {"stream_type": "dynamo"})
    assert isinstance(refused, str) and "stream_type is \"dynamo\", but must be dynamodb or kinesis" in refused
