// Who may do what: the role that Dynaberg runs as, its rights on its own table, and the bucket of dead letters.
// Lake Formation's settings are not touched: who administers it now still does afterwards.

import { CfnOutput, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import { PipelineStack } from './pipeline-stack';
import { Settings } from './settings';

export class LakeFormationStack extends Stack {
  readonly role: iam.Role;
  readonly deadLetters: s3.Bucket;

  constructor(scope: Construct, id: string, settings: Settings, pipeline: PipelineStack) {
    super(scope, id, { description: 'Dynaberg: its role, and the bucket of dead letters' });
    const logs = new s3.Bucket(this, 'AccessLogs', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(90) }],
      autoDeleteObjects: false,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    Validations.of(logs).acknowledge({
      id: 'AwsSolutions-S1',
      reason: 'It holds the access logs of the other bucket; logging into itself would never end.',
    });
    this.deadLetters = new s3.Bucket(this, 'DeadLetters', {
      bucketName: settings.bucketName,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      serverAccessLogsBucket: logs,
      serverAccessLogsPrefix: 'logs/',
      // What could not be delivered is the only copy of it: a person decides.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
      description: 'Dynaberg reads the stream, and writes its table and dead letters',
    });
    this.allowSource(pipeline);
    this.allowTables(pipeline);
    this.allowDeadLetters();

    new CfnOutput(this, 'FirehoseRoleARN', { value: this.role.roleArn });
    new CfnOutput(this, 'FailedDeliveryBucketARN', { value: this.deadLetters.bucketArn });
  }

  private allow(sid: string, actions: string[], resources: string[]): void {
    this.role.addToPolicy(new iam.PolicyStatement({ sid, actions, resources }));
  }

  /** The key of the table and a sample of its items decide columns; changes come from the one stream. */
  private allowSource(pipeline: PipelineStack): void {
    const table = pipeline.table.tableArn;
    if (pipeline.stream) {
      this.allow(
        'DescribeAndSampleTheTable',
        ['dynamodb:DescribeTable', 'dynamodb:Scan', 'dynamodb:DescribeKinesisStreamingDestination'],
        [table],
      );
      this.allow(
        'ReadTheStream',
        ['kinesis:DescribeStreamSummary', 'kinesis:ListShards', 'kinesis:GetShardIterator', 'kinesis:GetRecords'],
        [pipeline.stream.streamArn],
      );
      return;
    }
    this.allow('DescribeAndSampleTheTable', ['dynamodb:DescribeTable', 'dynamodb:Scan'], [table]);
    this.allow(
      'ReadTheStream',
      ['dynamodb:DescribeStream', 'dynamodb:GetShardIterator', 'dynamodb:GetRecords'],
      [pipeline.table.tableStreamArn ?? ''],
    );
  }

  private allowTables(pipeline: PipelineStack): void {
    const bucket = pipeline.tableBucketArn;
    this.allow(
      'FindAndMakeTheTable',
      ['s3tables:GetTableBucket', 's3tables:GetNamespace', 's3tables:CreateNamespace', 's3tables:CreateTable'],
      [bucket],
    );
    this.allow(
      'WriteTheTable',
      [
        's3tables:GetTable',
        's3tables:GetTableData',
        's3tables:GetTableMetadataLocation',
        's3tables:PutTableData',
        's3tables:UpdateTableMetadataLocation',
      ],
      [`${bucket}/table/*`],
    );
    Validations.of(this.role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::PipelineStack:ExportsOutputFnGetAttTableBucketTableBucketARN8373CF0C/table/*]',
      reason: 'A table is known by an id that S3 Tables draws when Dynaberg makes it: its ARN cannot be written down before.',
    });
  }

  private allowDeadLetters(): void {
    this.allow('ListDeadLetters', ['s3:ListBucket'], [this.deadLetters.bucketArn]);
    this.allow(
      'KeepDeadLetters',
      ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
      [this.deadLetters.arnForObjects('errors/*')],
    );
    Validations.of(this.role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::<DeadLettersBBF8BAAB.Arn>/errors/*]',
      reason: 'Letters are objects below one prefix, named by their hour and their commit.',
    });
  }
}
