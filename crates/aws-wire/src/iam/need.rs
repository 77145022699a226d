//! What a request asks for, in IAM's words.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use std::collections::BTreeMap;

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One right that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// `dynamodb:GetItem`.
    pub action: String,
    /// An ARN, or `*` where an action has no resources.
    pub resource: String,
    /// Condition keys with their values.
    pub context: BTreeMap<&'static str, String>,
}

/// A request whose service and operation are known.
pub struct Asked<'a> {
    /// Of the signature: `dynamodb`. `iceberg` for the Iceberg REST catalog.
    pub service: &'a str,
    /// Of services that name it: `GetItem`.
    pub operation: &'a str,
    pub region: &'a str,
    pub account: &'a str,
}

impl Asked<'_> {
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

/// All that the request needs.
pub fn needs(asked: &Asked<'_>, parts: &Parts, body: &[u8]) -> Vec<Need> {
    let path: Vec<String> = parts.uri.path().split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let query = parts.uri.query().unwrap_or_default();
    match asked.service {
        // Everybody may ask who they are.
        "sts" => Vec::new(),
        "s3" => of_s3(&parts.method, &path, parts.uri.path(), query, has_body(parts)),
        "s3tables" => of_s3_tables(asked, &parts.method, &path, query, body),
        "iceberg" => of_iceberg(&parts.method, &path, query),
        service => of_json(asked, service, &serde_json::from_slice(body).unwrap_or_default(), &path),
    }
}

impl Need {
    /// The same on the files of a table, for which S3 Tables has two rights of its own. Emulated: it has none for lists and
    /// deletions, which only its own maintenance makes there.
    pub fn on_files(&self, table_bucket: &str, namespace: &str, name: &str) -> Self {
        let is_read = ["s3:Get", "s3:List"].iter().any(|verb| self.action.starts_with(verb));
        on_table(if is_read { "GetTableData" } else { "PutTableData" }, table_bucket, namespace, name)
    }
}

fn need(action: impl Into<String>, resource: impl Into<String>) -> Need {
    Need { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
}

/// On a table of a table bucket. Its id is not known here: a policy names it by namespace and name.
fn on_table(action: &str, bucket: &str, namespace: &str, name: &str) -> Need {
    let context =
        BTreeMap::from([("s3tables:namespace", namespace.to_owned()), ("s3tables:tableName", name.to_owned())]);
    Need { action: format!("s3tables:{action}"), resource: format!("{bucket}/table/*"), context }
}

fn of_json(asked: &Asked<'_>, service: &str, body: &Value, path: &[&str]) -> Vec<Need> {
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
    let named = |service: &str, prefix: &str, name: &str| match name.starts_with("arn:") {
        true => name.to_owned(),
        false => asked.arn(service, &format!("{prefix}{name}")),
    };
    let operation = asked.operation;
    let action = format!("{service}:{operation}");
    match service {
        // The resource of an iterator is found by whoever gave it out.
        "dynamodb" | "kinesis" if operation == "GetRecords" => {
            vec![need(action, text("StreamARN").unwrap_or_default())]
        }
        "dynamodb" => {
            let table = text("TableName").map(|table| named("dynamodb", "table/", table));
            let resource = table.or_else(|| text("ResourceArn").or(text("StreamArn")).map(str::to_owned));
            let mut needs = vec![need(action, resource.unwrap_or_else(|| "*".to_owned()))];
            if operation == "CreateTable" && body["Tags"].is_array() {
                let table = named("dynamodb", "table/", text("TableName").unwrap_or_default());
                needs.push(need("dynamodb:TagResource", table));
            }
            if operation == "EnableKinesisStreamingDestination" {
                // Whoever sends changes to a stream has to be allowed to describe and to fill it.
                let stream = text("StreamArn").unwrap_or_default();
                needs.push(need("kinesis:DescribeStream", stream));
                needs.push(need("kinesis:PutRecords", stream));
            }
            needs
        }
        "kinesis" if matches!(operation, "DescribeStreamConsumer" | "RegisterStreamConsumer" | "SubscribeToShard") => {
            // Asked for of both, where AWS may be content with one of them.
            let named = || Some(format!("{}/consumer/{}:*", text("StreamARN")?, text("ConsumerName")?));
            let consumer = text("ConsumerARN").map(str::to_owned).or_else(named).unwrap_or_else(|| "*".to_owned());
            let stream = consumer.split("/consumer/").next().unwrap_or_default();
            vec![need(&*action, stream), need(&*action, &*consumer)]
        }
        "kinesis" => {
            let stream = text("StreamARN").map(str::to_owned);
            let stream = stream.or_else(|| text("StreamName").map(|name| named("kinesis", "stream/", name)));
            let resource = stream.unwrap_or_else(|| "*".to_owned());
            let mut needs = vec![need(action, resource.clone())];
            if operation == "CreateStream" && body["Tags"].is_object() {
                needs.push(need("kinesis:AddTagsToStream", resource));
            }
            needs
        }
        "sqs" => {
            let name = text("QueueUrl").map(|url| url.rsplit('/').next().unwrap_or(url)).or(text("QueueName"));
            let resource = name.map_or_else(|| "*".to_owned(), |name| named("sqs", "", name));
            let mut needs = vec![need(action.trim_end_matches("Batch"), resource.clone())];
            if operation == "CreateQueue" && body["tags"].is_object() {
                needs.push(need("sqs:TagQueue", resource));
            }
            needs
        }
        "glue" => {
            let database = text("DatabaseName").or(body["DatabaseInput"]["Name"].as_str());
            let database = database.or(if operation.ends_with("Database") { text("Name") } else { None });
            let mut needs = vec![need(action.clone(), asked.arn("glue", "catalog"))];
            needs.extend(database.map(|name| need(action.clone(), asked.arn("glue", &format!("database/{name}")))));
            needs
        }
        "lakeformation" => vec![need(format!("lakeformation:{}", path.first().unwrap_or(&"")), "*")],
        "lambda" => {
            let function = path.get(2).map(|name| named("lambda", "function:", name));
            let action = match path.last() {
                Some(&"invocations") => "lambda:InvokeFunction",
                _ => "lambda:GetFunction",
            };
            vec![need(action, function.unwrap_or_else(|| "*".to_owned()))]
        }
        _ => vec![need(action, "*")],
    }
}

fn of_s3(method: &Method, path: &[&str], raw: &str, query: &str, has_body: bool) -> Vec<Need> {
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let Some(bucket) = path.first() else { return vec![need("s3:ListAllMyBuckets", "*")] };
    let bucket_arn = format!("arn:aws:s3:::{bucket}");
    if path.len() == 1 {
        let action = match *method {
            Method::GET if has("tagging") => "s3:GetBucketTagging",
            Method::GET if has("policy") => "s3:GetBucketPolicy",
            Method::GET if has("policyStatus") => "s3:GetBucketPolicyStatus",
            Method::PUT if has("policy") => "s3:PutBucketPolicy",
            Method::DELETE if has("policy") => "s3:DeleteBucketPolicy",
            Method::GET if has("location") => "s3:GetBucketLocation",
            Method::GET if has("uploads") => "s3:ListBucketMultipartUploads",
            Method::GET | Method::HEAD => "s3:ListBucket",
            Method::PUT if has("tagging") => "s3:PutBucketTagging",
            // A body is taken for one with tags: they are read later.
            Method::PUT if has_body => {
                return vec![need("s3:CreateBucket", &*bucket_arn), need("s3:TagResource", bucket_arn)];
            }
            Method::PUT => "s3:CreateBucket",
            Method::DELETE if has("tagging") => "s3:PutBucketTagging",
            Method::DELETE => "s3:DeleteBucket",
            _ => return vec![need("s3:DeleteObject", format!("{bucket_arn}/*"))],
        };
        return vec![need(action, bucket_arn)];
    }
    let key = raw.trim_start_matches('/').split_once('/').map(|(_, key)| decoded(key)).unwrap_or_default();
    let action = match *method {
        Method::GET if has("uploadId") => "s3:ListMultipartUploadParts",
        Method::GET | Method::HEAD => "s3:GetObject",
        Method::DELETE if has("uploadId") => "s3:AbortMultipartUpload",
        Method::DELETE => "s3:DeleteObject",
        _ => "s3:PutObject",
    };
    vec![need(action, format!("{bucket_arn}/{key}"))]
}

fn of_s3_tables(asked: &Asked<'_>, method: &Method, path: &[&str], query: &str, body: &[u8]) -> Vec<Need> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let of_query = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.map(decoded).unwrap_or_default()
    };
    let verb = |get: &'static str, put: &'static str, delete: &'static str| match *method {
        Method::GET => get,
        Method::DELETE => delete,
        _ => put,
    };
    let named = body["name"].as_str().unwrap_or_default();
    let tagged = |needs: Vec<Need>, resource: &Need| {
        let is_tagged = body["tags"].as_object().is_some_and(|tags| !tags.is_empty());
        let tag = is_tagged.then(|| Need { action: "s3tables:TagResource".to_owned(), ..resource.clone() });
        needs.into_iter().chain(tag).collect()
    };
    match *path {
        ["buckets"] if *method == Method::GET => vec![need("s3tables:ListTableBuckets", "*")],
        ["buckets"] => {
            let create = need("s3tables:CreateTableBucket", asked.arn("s3tables", &format!("bucket/{named}")));
            tagged(vec![create.clone()], &create)
        }
        ["buckets", arn] => vec![need(format!("s3tables:{}", verb("GetTableBucket", "", "DeleteTableBucket")), arn)],
        ["buckets", arn, "maintenance", ..] => {
            let of = "TableBucketMaintenanceConfiguration";
            vec![need(format!("s3tables:{}{of}", verb("Get", "Put", "")), arn)]
        }
        ["namespaces", arn] => vec![need(format!("s3tables:{}", verb("ListNamespaces", "CreateNamespace", "")), arn)],
        ["namespaces", arn, _] => {
            vec![need(format!("s3tables:{}", verb("GetNamespace", "", "DeleteNamespace")), arn)]
        }
        ["tables", arn] => vec![need("s3tables:ListTables", arn)],
        ["tables", arn, namespace] => {
            let table = on_table("PutTableData", arn, namespace, named);
            tagged(vec![need("s3tables:CreateTable", arn), table.clone()], &table)
        }
        ["get-table"] => {
            vec![on_table("GetTable", &of_query("tableBucketARN"), &of_query("namespace"), &of_query("name"))]
        }
        ["tables", arn, namespace, name] => vec![on_table("DeleteTable", arn, namespace, name)],
        ["tables", arn, namespace, name, "maintenance", ..] => {
            let action = verb("GetTableMaintenanceConfiguration", "PutTableMaintenanceConfiguration", "");
            vec![on_table(action, arn, namespace, name)]
        }
        ["tables", arn, namespace, name, "metadata-location"] => {
            let action = verb("GetTableMetadataLocation", "UpdateTableMetadataLocation", "");
            vec![on_table(action, arn, namespace, name)]
        }
        ["tag", arn] => {
            let action = format!("s3tables:{}", verb("ListTagsForResource", "TagResource", "UntagResource"));
            let resource = arn.split_once("/table/").map_or(arn.to_owned(), |(bucket, _)| format!("{bucket}/table/*"));
            vec![need(action, resource)]
        }
        _ => vec![need("s3tables:*", "*")],
    }
}

/// What S3 Tables asks for behind its Iceberg REST catalog.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-integrating-open-source.html>
fn of_iceberg(method: &Method, path: &[&str], query: &str) -> Vec<Need> {
    let bucket = |action: &str, arn: &str| vec![need(format!("s3tables:{action}"), arn)];
    let table = |actions: &[&str], arn: &str, namespace: &str, name: &str| {
        actions.iter().map(|action| on_table(action, arn, namespace, name)).collect()
    };
    match *path {
        ["iceberg", "v1", "config"] => {
            let warehouse = query.split('&').find_map(|pair| pair.strip_prefix("warehouse="));
            bucket("GetTableBucket", &warehouse.map(decoded).unwrap_or_default())
        }
        ["iceberg", "v1", arn, "namespaces"] => {
            bucket(if *method == Method::GET { "ListNamespaces" } else { "CreateNamespace" }, arn)
        }
        ["iceberg", "v1", arn, "namespaces", _] => {
            bucket(if *method == Method::DELETE { "DeleteNamespace" } else { "GetNamespace" }, arn)
        }
        ["iceberg", "v1", arn, "namespaces", _, "tables"] => {
            bucket(if *method == Method::GET { "ListTables" } else { "CreateTable" }, arn)
        }
        ["iceberg", "v1", arn, "namespaces", namespace, "tables", name] => match *method {
            Method::HEAD => table(&["GetTable"], arn, namespace, name),
            Method::DELETE => table(&["DeleteTable"], arn, namespace, name),
            // Credentials for the files come with the table.
            Method::GET => table(&["GetTableMetadataLocation", "GetTableData"], arn, namespace, name),
            _ => table(&["UpdateTableMetadataLocation", "PutTableData", "GetTableData"], arn, namespace, name),
        },
        _ => vec![need("s3tables:*", "*")],
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn has_body(parts: &Parts) -> bool {
    let length = parts.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.is_some_and(|length| length != "0")
}
