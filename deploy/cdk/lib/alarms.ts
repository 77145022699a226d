// The alarms of deploy/alerts/alarms.json, for one pipeline. The same file is what the tests drive and what the rules for
// Prometheus say.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';

interface Definition {
  readonly name: string;
  readonly metric: string;
  readonly labels: string[];
  readonly dimensions?: Record<string, string>;
  readonly statistic: string;
  readonly comparison: keyof typeof COMPARISONS;
  readonly threshold: number;
  readonly period: number;
  readonly periods: number;
  readonly missing: keyof typeof MISSING;
  readonly description: string;
}

const COMPARISONS = {
  GreaterThanThreshold: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
  GreaterThanOrEqualToThreshold: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
  LessThanThreshold: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
};

const MISSING = {
  breaching: cloudwatch.TreatMissingData.BREACHING,
  notBreaching: cloudwatch.TreatMissingData.NOT_BREACHING,
};

/** S3 Tables maintains its tables itself: Dynaberg has no such metrics there. */
const OF_OTHER_CATALOGS = ['CompactionFailing', 'ExpiryFailing'];

export function addAlarms(scope: Construct, labels: { pipeline: string; table: string }): void {
  const path = join(__dirname, '..', '..', '..', 'alerts', 'alarms.json');
  const { namespace, alarms } = JSON.parse(readFileSync(path, 'utf8')) as { namespace: string; alarms: Definition[] };
  for (const alarm of alarms.filter(({ name }) => !OF_OTHER_CATALOGS.includes(name))) {
    const own = Object.fromEntries(alarm.labels.map((label) => [label, labels[label as keyof typeof labels]]));
    new cloudwatch.Alarm(scope, alarm.name, {
      alarmName: `dynaberg-${labels.pipeline}-${alarm.name}`,
      alarmDescription: alarm.description,
      metric: new cloudwatch.Metric({
        namespace,
        metricName: alarm.metric,
        dimensionsMap: { ...own, ...alarm.dimensions },
        statistic: alarm.statistic,
        period: Duration.seconds(alarm.period),
      }),
      comparisonOperator: COMPARISONS[alarm.comparison],
      threshold: alarm.threshold,
      evaluationPeriods: alarm.periods,
      treatMissingData: MISSING[alarm.missing],
    });
  }
}
