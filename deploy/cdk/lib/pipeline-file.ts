// The pipeline file: the same that `dynaberg dev` and `dynaberg check` read on a laptop.

import { SOURCE_TABLE, Settings } from './settings';

export interface Places {
  readonly tableBucketArn: string;
  readonly deadLetterBucket: string;
}

export function pipelineFile(settings: Settings, places: Places): string {
  return `# Written by the CDK app.
[source]
table  = "${SOURCE_TABLE}"
stream = "${settings.streamType}"
[target]
catalog = "${places.tableBucketArn}"
table   = "${settings.namespace}.${settings.tableName}"
mode    = "mirror"
[delivery]
interval = "60s"
size     = "64MB"
[dead_letters]
errors = "s3://${places.deadLetterBucket}/errors/"
`;
}
