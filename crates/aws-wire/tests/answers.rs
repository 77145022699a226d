//! What answers look like: shapes, request ids, checksums.

use serde_json::{Value, json};

use crate::support::{
    Served,
    client::{Answer, Draft},
    serve_dev,
};

/// Lets the service of `target_prefix` fail as `description` says.
async fn fail(served: &Served, target_prefix: &str, scope: &str, description: Value) -> Answer {
    Draft::json(&format!("{target_prefix}.Fail"), &description.to_string()).claim("test", scope).send(served).await
}

#[tokio::test]
async fn a_json_error_has_the_type_that_its_sdk_looks_for() {
    let served = serve_dev().await;
    let cases = [
        ("ResourceNotFoundException", "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"),
        ("ValidationException", "com.amazon.coral.validate#ValidationException"),
        ("SerializationException", "com.amazon.coral.service#SerializationException"),
        ("UnknownOperationException", "com.amazon.coral.service#UnknownOperationException"),
    ];
    for (code, kind) in cases {
        let answer = fail(&served, "DynamoDB_20120810", "dynamodb", json!({"code": code, "message": "m"})).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json(), json!({"__type": kind, "message": "m"}));

        let plain = fail(&served, "Kinesis_20131202", "kinesis", json!({"code": code, "message": "m"})).await;
        assert_eq!(plain.json(), json!({"__type": code, "message": "m"}));
    }
}

#[tokio::test]
async fn details_stand_beside_the_message() {
    let served = serve_dev().await;
    let reasons = json!([{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "no"}]);
    let description = json!({
        "code": "TransactionCanceledException", "message": "canceled", "details": {"CancellationReasons": reasons},
    });
    let answer = fail(&served, "DynamoDB_20120810", "dynamodb", description).await;
    assert_eq!(
        answer.json(),
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "canceled",
            "CancellationReasons": reasons,
        })
    );
}

#[tokio::test]
async fn a_rest_error_has_its_type_in_a_header() {
    let served = serve_dev().await;
    let description = json!({"code": "ConflictException", "message": "m", "status": 409}).to_string();
    let answer = Draft::new("POST", "/fail").body(description).claim("test", "s3tables").send(&served).await;
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (409, "ConflictException"));
    assert_eq!(answer.json(), json!({"message": "m"}));
    assert_eq!(answer.header("x-amzn-requestid").len(), 36);
}

#[tokio::test]
async fn dynamodb_answers_carry_their_checksum() {
    let served = serve_dev().await;
    let success = Draft::json("DynamoDB_20120810.PutItem", "{}").claim("test", "dynamodb").send(&served).await;
    let error = fail(&served, "DynamoDB_20120810", "dynamodb", json!({"code": "E", "message": "é"})).await;
    for answer in [success, error] {
        assert_eq!(answer.header("x-amz-crc32"), crc32fast::hash(&answer.body).to_string());
    }
    let kinesis = Draft::json("Kinesis_20131202.PutRecord", "{}").claim("test", "kinesis").send(&served).await;
    assert_eq!(kinesis.header("x-amz-crc32"), "");
}

#[tokio::test]
async fn every_answer_has_a_request_id_in_the_form_of_its_service() {
    let served = serve_dev().await;
    let dynamodb = Draft::json("DynamoDB_20120810.PutItem", "{}").claim("test", "dynamodb").send(&served).await;
    let id = dynamodb.header("x-amzn-requestid");
    assert!(id.len() == 52 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()), "{id}");
    assert_eq!(dynamodb.json()["request_id"], id);

    let unsigned = [
        (Draft::new("GET", "/iceberg/v1/config"), "x-amzn-requestid", 36),
        (Draft::new("GET", "/_dynaberg/health"), "x-amzn-requestid", 36),
        (Draft::json("Kinesis_20131202.PutRecord", "{}"), "x-amzn-requestid", 36),
        (Draft::new("GET", "/bucket"), "x-amz-request-id", 16),
        (Draft::new("GET", "/bucket"), "x-amz-id-2", 64),
    ];
    for (draft, header, length) in unsigned {
        let answer = draft.clone().send(&served).await;
        assert_eq!(answer.header(header).len(), length, "{draft:?}");
    }
}

#[tokio::test]
async fn the_content_type_is_echoed_without_its_parameters() {
    let served = serve_dev().await;
    let cases = [
        (Some("application/x-amz-json-1.0"), "application/x-amz-json-1.0"),
        (Some("application/x-amz-json-1.1; charset=utf-8"), "application/x-amz-json-1.1"),
        (Some("Application/JSON;charset=utf-8"), "application/json"),
        (None, "application/x-amz-json-1.0"),
    ];
    for (given, echoed) in cases {
        let mut draft = Draft::new("POST", "/").header("x-amz-target", "DynamoDB_20120810.ListTables");
        if let Some(given) = given {
            draft = draft.header("content-type", given);
        }
        let answer = draft.claim("test", "dynamodb").send(&served).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, echoed), "{given:?}");
    }
    let form = Draft::form("{}").header("x-amz-target", "DynamoDB_20120810.ListTables").claim("test", "dynamodb");
    let answer = form.send(&served).await;
    assert_eq!(answer.json()["__type"], "com.amazon.coral.service#SerializationException");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_gateway_lives_on() {
    let served = serve_dev().await;
    let json = Draft::json("DynamoDB_20120810.Panic", "{}").claim("test", "dynamodb").send(&served).await;
    assert_eq!(json.status, 500);
    assert_eq!(json.json()["__type"], "com.amazonaws.dynamodb.v20120810#InternalServerError");

    let kinesis = Draft::json("Kinesis_20131202.Panic", "{}").claim("test", "kinesis").send(&served).await;
    assert_eq!((kinesis.status, kinesis.json()["__type"].as_str()), (500, Some("InternalFailure")));

    let rest = Draft::new("GET", "/panic").claim("test", "s3tables").send(&served).await;
    assert_eq!((rest.status, rest.header("x-amzn-errortype")), (500, "InternalFailure"));

    let after = Draft::json("DynamoDB_20120810.PutItem", "{}").claim("test", "dynamodb").send(&served).await;
    assert_eq!(after.status, 200);
}
