// Where data comes from and where it goes: the DynamoDB table and its stream, the table bucket and its namespace.
// The Iceberg table is Dynaberg's to make: its schema is that of the pipeline's SELECT, so that no second one can drift.

import { CfnOutput, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as s3tables from 'aws-cdk-lib/aws-s3tables';
import { Construct } from 'constructs';

import { SOURCE_TABLE, Settings } from './settings';

export class PipelineStack extends Stack {
  readonly table: dynamodb.Table;
  readonly stream?: kinesis.Stream;
  readonly tableBucketArn: string;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, { description: 'Dynaberg: the source table, its stream, and the table bucket' });
    this.stream =
      settings.streamType === 'kinesis'
        ? new kinesis.Stream(this, 'Stream', {
            streamMode: kinesis.StreamMode.ON_DEMAND,
            encryption: kinesis.StreamEncryption.MANAGED,
            removalPolicy: RemovalPolicy.DESTROY,
          })
        : undefined;
    this.table = new dynamodb.Table(this, 'SourceTable', {
      tableName: SOURCE_TABLE,
      partitionKey: { name: 'transaction_id', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'timestamp', type: dynamodb.AttributeType.NUMBER },
      billingMode: dynamodb.BillingMode.PROVISIONED,
      readCapacity: 10,
      writeCapacity: 10,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      stream: this.stream ? undefined : dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      kinesisStream: this.stream,
      // As the blog has it: `cdk destroy --all` leaves nothing. Keep a table with data of your own.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const bucket = new s3tables.CfnTableBucket(this, 'TableBucket', {
      tableBucketName: settings.tableBucketName,
      unreferencedFileRemoval: { status: 'Enabled', unreferencedDays: 3, noncurrentDays: 10 },
    });
    this.tableBucketArn = bucket.attrTableBucketArn;
    new s3tables.CfnNamespace(this, 'Namespace', {
      namespace: settings.namespace,
      tableBucketArn: this.tableBucketArn,
    });

    new CfnOutput(this, 'DynamoDBTableName', { value: this.table.tableName });
    new CfnOutput(this, 'DynamoDBTableARN', { value: this.table.tableArn });
    if (this.stream) {
      new CfnOutput(this, 'KinesisStreamARN', { value: this.stream.streamArn });
    } else {
      new CfnOutput(this, 'DynamoDBTableStreamARN', { value: this.table.tableStreamArn ?? '' });
    }
  }
}
