// What the context file says, checked: a wrong value is an error, never a default.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Node } from 'constructs';

export interface Settings {
  readonly tableBucketName: string;
  readonly tableName: string;
  readonly namespace: string;
  /** Where dead letters go. */
  readonly bucketName: string;
  readonly streamType: 'dynamodb' | 'kinesis';
  /** The image that `deploy/Containerfile` builds, in a registry that the account can reach. */
  readonly image: string;
}

/** The name of the source table, as the blog has it. */
export const SOURCE_TABLE = 'financial-transactions';

const RULES: Record<string, [RegExp, string]> = {
  table_bucket_name: [/^[0-9a-z][0-9a-z-]{1,61}[0-9a-z]$/, '3 to 63 of a-z, 0-9 and -'],
  table_name: [/^[0-9a-z][0-9a-z_]{0,254}$/, 'up to 255 of a-z, 0-9 and _'],
  namespace: [/^[0-9a-z][0-9a-z_]{0,254}$/, 'up to 255 of a-z, 0-9 and _'],
  bucket_name: [/^[0-9a-z][0-9a-z.-]{1,61}[0-9a-z]$/, '3 to 63 of a-z, 0-9, . and -'],
  stream_type: [/^(dynamodb|kinesis)$/, 'dynamodb or kinesis'],
};

export function readSettings(node: Node): Settings {
  // Without the CDK's command line nobody else reads the file.
  const file = JSON.parse(readFileSync(join(__dirname, '..', '..', 'cdk.context.json'), 'utf8')) as Record<string, unknown>;
  const value = (key: string): string => {
    const [pattern, wanted] = RULES[key];
    const given = node.tryGetContext(key) ?? file[key];
    if (typeof given !== 'string' || !pattern.test(given)) {
      throw new Error(`cdk.context.json: ${key} is ${JSON.stringify(given)}, but must be ${wanted}`);
    }
    return given;
  };
  return {
    tableBucketName: value('table_bucket_name'),
    tableName: value('table_name'),
    namespace: value('namespace'),
    bucketName: value('bucket_name'),
    streamType: value('stream_type') as Settings['streamType'],
    image: node.tryGetContext('image') ?? 'dynaberg:0.1.0',
  };
}
