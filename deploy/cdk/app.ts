// The three stacks of the blog "Stream Amazon DynamoDB table data to Amazon S3 Tables for analytics", with Dynaberg as the
// one thing that runs: PipelineStack (source and tables), LakeFormationStack (who may do what), FirehoseStack (delivery).

import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

import { readSettings } from './lib/settings';
import { PipelineStack } from './lib/pipeline-stack';
import { LakeFormationStack } from './lib/lake-formation-stack';
import { FirehoseStack } from './lib/firehose-stack';

const app = new App({
  outdir: process.env.CDK_OUTDIR ?? 'cdk.out',
  // Rights to write access logs are a bucket policy's, where the CDK once used an access control list.
  context: { '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true },
});
const settings = readSettings(app.node);
const pipeline = new PipelineStack(app, 'PipelineStack', settings);
const access = new LakeFormationStack(app, 'LakeFormationStack', settings, pipeline);
new FirehoseStack(app, 'FirehoseStack', settings, pipeline, access);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true, writeSuppressionsToCloudFormation: true }));
app.synth();
