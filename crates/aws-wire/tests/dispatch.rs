//! Which service a request reaches.

use crate::support::{client::Draft, serve_dev};

#[tokio::test]
async fn the_scope_decides_before_target_and_path() {
    let served = serve_dev().await;
    let get = |target: &str| Draft::new("GET", target);
    let arn = "/tables/arn%3Aaws%3As3tables%3Aeu-west-1%3A000000000000%3Abucket%2Fb/n/t";
    let cases = [
        (Draft::json("DynamoDB_20120810.PutItem", "{}").claim("test", "dynamodb"), "DynamoDB_20120810", "PutItem"),
        (
            Draft::json("DynamoDBStreams_20120810.GetRecords", "{}").claim("test", "dynamodb"),
            "DynamoDBStreams_20120810",
            "GetRecords",
        ),
        (Draft::json("Kinesis_20131202.PutRecord", "{}").claim("test", "kinesis"), "Kinesis_20131202", "PutRecord"),
        (get(arn).claim("test", "s3tables"), "s3tables", &*format!("GET {arn}")),
        (get("/buckets").claim("test", "s3tables"), "s3tables", "GET /buckets"),
        (get("/buckets").claim("test", "s3"), "s3", "GET /buckets"),
        (
            get("/iceberg/v1/config?warehouse=a%2Fb").claim("test", "s3tables"),
            "iceberg",
            "GET /iceberg/v1/config?warehouse=a%2Fb",
        ),
        (get("/iceberg/v1/config").claim("test", "glue"), "iceberg", "GET /iceberg/v1/config"),
        (get("/iceberg/v1/config").claim("test", "s3"), "s3", "GET /iceberg/v1/config"),
        (get("/iceberg/v1/config"), "iceberg", "GET /iceberg/v1/config"),
        (get("/iceberg/v1/config").header("authorization", "Bearer t"), "iceberg", "GET /iceberg/v1/config"),
        (get("/_dynaberg/health").claim("test", "s3"), "s3", "GET /_dynaberg/health"),
        (get("/bucket/key"), "s3", "GET /bucket/key"),
        (get("/bucket/key?AWSAccessKeyId=test&Signature=0"), "s3", "GET /bucket/key"),
        (Draft::new("PUT", "/iceberg").claim("test", "s3"), "s3", "PUT /iceberg"),
    ];
    for (draft, service, operation) in cases {
        let answer = draft.clone().send(&served).await;
        assert_eq!(answer.status, 200, "{draft:?}: {}", answer.text());
        let echoed = answer.json();
        assert_eq!((echoed["service"].as_str(), echoed["operation"].as_str()), (Some(service), Some(operation)));
    }
}

#[tokio::test]
async fn health_needs_no_signature_and_names_the_services() {
    let served = serve_dev().await;
    for path in ["/_dynaberg/health", "/_localstack/health"] {
        let answer = Draft::new("GET", path).send(&served).await;
        let running = serde_json::json!({
            "dynamodb": "running", "iceberg": "running", "kinesis": "running", "s3": "running", "s3tables": "running",
            "sts": "running",
        });
        assert_eq!(answer.json(), serde_json::json!({"status": "running", "services": running}));
    }
}

#[tokio::test]
async fn an_unknown_service_is_named_in_the_protocol_of_its_caller() {
    let served = serve_dev().await;
    let hint = "is not served here. Try: dynamodb, iceberg, kinesis, s3, s3tables, sts";

    let json = Draft::json("AmazonSSM.GetParameter", "{}").claim("test", "ssm").send(&served).await;
    assert_eq!((json.status, json.json()["__type"].as_str()), (400, Some("UnknownServiceException")));
    assert_eq!(json.json()["message"], format!("The service 'ssm' {hint}"));

    let rest = Draft::new("GET", "/2015-03-31/functions").claim("test", "lambda").send(&served).await;
    assert_eq!((rest.status, rest.header("x-amzn-errortype")), (400, "UnknownServiceException"));
    assert_eq!(rest.json()["message"], format!("The service 'lambda' {hint}"));

    let query = Draft::form("Action=DescribeInstances").claim("test", "ec2").send(&served).await;
    assert_eq!(query.status, 400);
    assert!(query.text().contains("<Code>UnknownService</Code>"), "{}", query.text());
    assert!(query.text().contains(&format!("<Message>The service 'ec2' {hint}</Message>")), "{}", query.text());

    let xml = Draft::new("GET", "/2013-04-01/hostedzone").claim("test", "route53").send(&served).await;
    assert!(xml.text().contains("<Code>UnknownService</Code>"), "{}", xml.text());
}

#[tokio::test]
async fn an_unknown_operation_is_named() {
    let served = serve_dev().await;
    let cases = [
        (
            Draft::json("DynamoDB_20111205.PutItem", "{}"),
            "The operation 'DynamoDB_20111205.PutItem' is not served here.",
        ),
        (Draft::json("PutItem", "{}"), "The operation 'PutItem' is not served here."),
        (Draft::json("DynamoDB_20120810.", "{}"), "The operation 'DynamoDB_20120810.' is not served here."),
        (Draft::new("GET", "/"), "The request names no operation. Try: POST with X-Amz-Target"),
    ];
    for (draft, message) in cases {
        let answer = draft.claim("test", "dynamodb").send(&served).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["__type"], "com.amazon.coral.service#UnknownOperationException");
        assert_eq!(answer.json()["message"], message);
    }
}
