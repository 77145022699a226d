// What delivers: Dynaberg as a container service, where the blog has a Lambda function and a Firehose delivery stream.

import { CfnOutput, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import { addAlarms } from './alarms';
import { LakeFormationStack } from './lake-formation-stack';
import { pipelineFile } from './pipeline-file';
import { PipelineStack } from './pipeline-stack';
import { Settings } from './settings';

/** The nonroot user of the image. */
const USER = '65532';
const VOLUME = 'data';

export class FirehoseStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    settings: Settings,
    pipeline: PipelineStack,
    access: LakeFormationStack,
  ) {
    super(scope, id, { description: 'Dynaberg: the container service that delivers, its log and its alarms' });
    const network = this.network();
    const cluster = new ecs.Cluster(this, 'Cluster', {
      vpc: network,
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
    });
    const group = new logs.LogGroup(this, 'Log', {
      logGroupName: `/dynaberg/${settings.tableName}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const places = { tableBucketArn: pipeline.tableBucketArn, deadLetterBucket: access.deadLetters.bucketName };
    const task = this.task(settings, access, group, pipelineFile(settings, places));
    const service = new ecs.FargateService(this, 'Service', {
      cluster,
      taskDefinition: task,
      // One committer a table: a new task takes the table over, and the old one stops by itself. Nothing is lost between.
      desiredCount: 1,
      minHealthyPercent: 0,
      maxHealthyPercent: 100,
      circuitBreaker: { rollback: true },
      assignPublicIp: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      securityGroups: [
        new ec2.SecurityGroup(this, 'Outbound', { vpc: network, description: 'Nobody may connect to Dynaberg' }),
      ],
    });
    addAlarms(this, { pipeline: PIPELINE, table: `${settings.namespace}.${settings.tableName}` });

    new CfnOutput(this, 'FirehoseDeliveryStreamName', { value: service.serviceName });
    new CfnOutput(this, 'FirehoseDeliveryStreamARN', { value: service.serviceArn });
  }

  /** Two public subnets and no way in: everything that Dynaberg talks to is an AWS endpoint. */
  private network(): ec2.Vpc {
    const network = new ec2.Vpc(this, 'Network', {
      maxAzs: 2,
      natGateways: 0,
      subnetConfiguration: [{ name: 'public', subnetType: ec2.SubnetType.PUBLIC }],
      restrictDefaultSecurityGroup: false,
    });
    network.addFlowLog('FlowLog', { destination: ec2.FlowLogDestination.toCloudWatchLogs() });
    network.addGatewayEndpoint('S3', { service: ec2.GatewayVpcEndpointAwsService.S3 });
    network.addGatewayEndpoint('DynamoDB', { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB });
    return network;
  }

  private task(
    settings: Settings,
    access: LakeFormationStack,
    group: logs.LogGroup,
    file: string,
  ): ecs.FargateTaskDefinition {
    const task = new ecs.FargateTaskDefinition(this, 'Task', {
      cpu: 1024,
      memoryLimitMiB: 2048,
      taskRole: access.role,
      volumes: [{ name: VOLUME }],
      runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.X86_64 },
    });
    // The file's text is in the template, so that a change of it is a change of the service. A container without a shell
    // cannot write it, so a small one beside it does, once.
    const writer = task.addContainer('PipelineFile', {
      image: ecs.ContainerImage.fromRegistry('public.ecr.aws/docker/library/busybox:1.37-musl'),
      essential: false,
      readonlyRootFilesystem: true,
      user: '0',
      entryPoint: ['/bin/sh', '-c'],
      command: [
        Fn.join('', [
          `mkdir -p /var/lib/dynaberg && printf %s '`,
          Fn.base64(file),
          `' | base64 -d > /var/lib/dynaberg/${PIPELINE}.toml && chown -R ${USER}:${USER} /var/lib/dynaberg`,
        ]),
      ],
      logging: ecs.LogDrivers.awsLogs({ logGroup: group, streamPrefix: 'file' }),
    });
    const dynaberg = task.addContainer('Dynaberg', {
      image: ecs.ContainerImage.fromRegistry(settings.image),
      readonlyRootFilesystem: true,
      user: USER,
      linuxParameters: new ecs.LinuxParameters(this, 'Linux', { initProcessEnabled: true }),
      command: ['--log', 'json', 'run', '--metrics', 'emf', `/var/lib/dynaberg/${PIPELINE}.toml`],
      logging: ecs.LogDrivers.awsLogs({ logGroup: group, streamPrefix: 'dynaberg' }),
      healthCheck: { command: ['CMD', '/usr/local/bin/dynaberg', 'status', '--output', 'json'] },
    });
    for (const container of [writer, dynaberg]) {
      container.addMountPoints({ sourceVolume: VOLUME, containerPath: '/var/lib/dynaberg', readOnly: false });
    }
    dynaberg.addContainerDependencies({ container: writer, condition: ecs.ContainerDependencyCondition.SUCCESS });
    return task;
  }
}

/** The pipeline's name: that of its file, and of its metrics. */
const PIPELINE = 'transactions';
