//! Verified signatures: what SDKs sign passes, and nothing else does.

use crate::support::{
    NOW_SECONDS, Served,
    client::{Draft, Signer},
    serve_strict,
};

fn put_item() -> Draft {
    Draft::json("DynamoDB_20120810.PutItem", r#"{"TableName":"t","Item":{"id":{"S":"1"}}}"#)
}

async fn passes(served: &Served, draft: Draft) {
    let answer = draft.clone().send(served).await;
    assert_eq!(answer.status, 200, "{draft:?}: {}", answer.text());
}

/// Sends a request that must not pass, and gives the error's name.
async fn refused(served: &Served, draft: Draft) -> String {
    let answer = draft.clone().send(served).await;
    assert!((400..=403).contains(&answer.status), "{draft:?}: {} {}", answer.status, answer.text());
    let code = match answer.header("content-type") {
        "text/xml" => answer.text().split("Code>").nth(1).unwrap().trim_end_matches("</").to_owned(),
        _ if answer.header("x-amzn-errortype").is_empty() => answer.json()["__type"].as_str().unwrap().to_owned(),
        _ => answer.header("x-amzn-errortype").to_owned(),
    };
    code.trim_start_matches("com.amazon.coral.service#").to_owned()
}

#[tokio::test]
async fn what_an_sdk_signs_passes() {
    let served = serve_strict().await;
    let arn = "/tables/arn%3Aaws%3As3tables%3Aeu-west-1%3A000000000000%3Abucket%2Fb/n/t";
    let drafts = [
        (put_item(), "dynamodb"),
        (Draft::json("Kinesis_20131202.PutRecord", ""), "kinesis"),
        (Draft::new("GET", arn), "s3tables"),
        (Draft::new("PUT", &format!("{arn}/metadata-location")).body("{}"), "s3tables"),
        (Draft::new("GET", "/get-table?name=b&namespace=a%20b%2Bc%3D&empty="), "s3tables"),
        (Draft::new("GET", "/tag/a%20b~c_d-e.f%C3%BC"), "s3tables"),
        (Draft::new("GET", "/iceberg/v1/config?warehouse=arn%3Aaws%3As3tables"), "s3tables"),
        (Draft::new("DELETE", "/iceberg/v1/namespaces/a%1Fb"), "glue"),
        (Draft::form("Action=GetCallerIdentity&Version=2011-06-15"), "sts"),
    ];
    for (draft, service) in drafts {
        passes(&served, draft.clone().sign(&served, Signer::known(service))).await;
        let presigned = Signer { expires_in: Some(60), ..Signer::known(service) };
        passes(&served, draft.clone().sign(&served, presigned)).await;
        let temporary =
            Signer { access_key_id: "ASIATEMPORARY", session_token: Some("token+/="), ..Signer::known(service) };
        passes(&served, draft.clone().sign(&served, temporary)).await;
        passes(&served, draft.sign(&served, Signer { expires_in: Some(60), ..temporary })).await;
    }
}

#[tokio::test]
async fn a_verified_caller_is_who_the_key_store_says() {
    let served = serve_strict().await;
    let answer = put_item().sign(&served, Signer::known("dynamodb")).send(&served).await;
    assert_eq!(answer.json()["arn"], "arn:aws:iam::000000000000:user/known");
    assert_eq!(answer.json()["region"], "eu-west-1");
}

#[tokio::test]
async fn a_wrong_secret_key_or_token_is_refused() {
    let served = serve_strict().await;
    let known = Signer::known("dynamodb");
    let cases = [
        (Signer { secret_access_key: "wrong", ..known }, "InvalidSignatureException"),
        (Signer { access_key_id: "AKIDUNKNOWN", ..known }, "UnrecognizedClientException"),
        (Signer { access_key_id: "test", ..known }, "UnrecognizedClientException"),
        (Signer { access_key_id: "", ..known }, "UnrecognizedClientException"),
        (Signer { session_token: Some("uncalled for"), ..known }, "UnrecognizedClientException"),
        (Signer { access_key_id: "ASIATEMPORARY", ..known }, "UnrecognizedClientException"),
        (
            Signer { access_key_id: "ASIATEMPORARY", session_token: Some("token+/"), ..known },
            "UnrecognizedClientException",
        ),
    ];
    for (signer, code) in cases {
        for expires_in in [None, Some(60)] {
            let draft = put_item().sign(&served, Signer { expires_in, ..signer });
            assert_eq!(refused(&served, draft).await, code, "{signer:?}");
        }
    }
    let query = |signer| Draft::form("Action=GetCallerIdentity").sign(&served, signer);
    let sts = Signer::known("sts");
    let wrong = Signer { secret_access_key: "wrong", ..sts };
    assert_eq!(refused(&served, query(wrong)).await, "SignatureDoesNotMatch");
    let unknown = Signer { access_key_id: "AKIDUNKNOWN", ..sts };
    assert_eq!(refused(&served, query(unknown)).await, "InvalidClientTokenId");
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let served = serve_strict().await;
    for signed_at_seconds in [NOW_SECONDS - 900, NOW_SECONDS + 900] {
        let signer = Signer { signed_at_seconds, ..Signer::known("dynamodb") };
        passes(&served, put_item().sign(&served, signer)).await;
    }
    for signed_at_seconds in [NOW_SECONDS - 901, NOW_SECONDS + 901, 0] {
        let signer = Signer { signed_at_seconds, ..Signer::known("dynamodb") };
        assert_eq!(refused(&served, put_item().sign(&served, signer)).await, "InvalidSignatureException");
    }
}

#[tokio::test]
async fn a_presigned_request_is_good_until_it_expires() {
    let served = serve_strict().await;
    let presigned = |age: u64, expires_in| {
        let signer =
            Signer { signed_at_seconds: NOW_SECONDS - age, expires_in: Some(expires_in), ..Signer::known("sts") };
        Draft::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15").sign(&served, signer)
    };
    passes(&served, presigned(60, 60)).await;
    passes(&served, presigned(600_000, 604_800)).await;
    assert_eq!(refused(&served, presigned(61, 60)).await, "SignatureDoesNotMatch");
    for expires_in in [0, 604_801, u64::MAX] {
        assert_eq!(refused(&served, presigned(0, expires_in)).await, "IncompleteSignature");
    }
}

/// A change to a request that was signed well.
type Mutation = (&'static str, fn(&mut Draft));

fn replace(draft: &mut Draft, name: &str, from: &str, to: &str) {
    let (_, value) = draft.headers.iter_mut().find(|(header, _)| header == name).unwrap();
    assert!(value.contains(from), "{name} is {value}");
    *value = value.replace(from, to);
}

fn remove(draft: &mut Draft, name: &str) {
    draft.headers.retain(|(header, _)| header != name);
}

fn add(draft: &mut Draft, name: &str, value: &str) {
    draft.headers.push((name.into(), value.into()));
}

/// What may happen to the headers and the body of a signed request.
const HEADER_MUTATIONS: [Mutation; 36] = [
    ("another body", |it| it.body[2] ^= 1),
    ("a longer body", |it| it.body.push(b' ')),
    ("no body", |it| it.body.clear()),
    ("a shorter body", |it| it.body.truncate(10)),
    ("another method", |it| it.method = "PUT"),
    ("another path", |it| it.target = "/other".into()),
    ("a longer path", |it| it.target = "/x/..".into()),
    ("a dot segment", |it| it.target = "/.".into()),
    ("a double slash", |it| it.target = "//".into()),
    ("a query", |it| it.target = "/?a=b".into()),
    ("an empty parameter", |it| it.target = "/?a".into()),
    ("another operation", |it| replace(it, "x-amz-target", "PutItem", "GetItem")),
    ("a second operation", |it| add(it, "x-amz-target", "DynamoDB_20120810.GetItem")),
    ("another service's operation", |it| replace(it, "x-amz-target", "DynamoDB_", "DynamoDBStreams_")),
    ("another content type", |it| replace(it, "content-type", "1.0", "1.1")),
    ("no content type", |it| remove(it, "content-type")),
    ("another host", |it| replace(it, "host", "127.0.0.1", "localhost")),
    ("an earlier date", |it| replace(it, "x-amz-date", "T120000Z", "T115959Z")),
    ("a later date", |it| replace(it, "x-amz-date", "T120000Z", "T120001Z")),
    ("no date", |it| remove(it, "x-amz-date")),
    ("a date in another form", |it| replace(it, "x-amz-date", "T120000Z", "T12:00:00Z")),
    ("a second date", |it| add(it, "x-amz-date", "20260131T120001Z")),
    ("a token", |it| add(it, "x-amz-security-token", "token")),
    ("an unsigned x-amz header", |it| add(it, "x-amz-meta", "1")),
    ("an unsigned encoding", |it| add(it, "content-encoding", "identity")),
    ("an unsigned payload", |it| add(it, "x-amz-content-sha256", "UNSIGNED-PAYLOAD")),
    ("another signature", |it| {
        let (_, value) = it.headers.iter_mut().find(|(name, _)| name == "authorization").unwrap();
        let last = value.pop().unwrap();
        value.push(if last == '0' { '1' } else { '0' });
    }),
    ("a shorter signature", |it| {
        let (_, value) = it.headers.iter_mut().find(|(name, _)| name == "authorization").unwrap();
        value.pop();
    }),
    ("no signature", |it| replace(it, "authorization", "Signature=", "Nothing=")),
    ("another key", |it| replace(it, "authorization", "AKIDKNOWN", "ASIATEMPORARY")),
    ("another day in the scope", |it| replace(it, "authorization", "/20260131/", "/20260130/")),
    ("another region", |it| replace(it, "authorization", "/eu-west-1/", "/us-east-1/")),
    ("another terminator", |it| replace(it, "authorization", "aws4_request", "aws4_response")),
    ("host not signed", |it| replace(it, "authorization", "host;", "")),
    ("target not signed", |it| replace(it, "authorization", ";x-amz-target", "")),
    ("a second signature", |it| add(it, "authorization", "AWS4-HMAC-SHA256 Credential=test")),
];

/// What may happen to the query of a presigned request.
const QUERY_MUTATIONS: [Mutation; 14] = [
    ("another action", |it| it.target = it.target.replace("Action=Get", "Action=Set")),
    ("a second action", |it| it.target += "&Action=AssumeRole"),
    ("another version", |it| it.target = it.target.replace("2011-06-15", "2011-06-16")),
    ("a parameter less", |it| it.target = it.target.replace("&Version=2011-06-15", "")),
    ("a longer life", |it| it.target = it.target.replace("Expires=60", "Expires=600")),
    ("no end", |it| it.target = it.target.replace("X-Amz-Expires=60", "X-Amz-Expire=60")),
    ("a later date", |it| it.target = it.target.replace("T120000Z", "T120001Z")),
    ("another algorithm", |it| it.target = it.target.replace("HMAC-SHA256", "HMAC-SHA1")),
    ("another region", |it| it.target = it.target.replace("eu-west-1", "us-east-1")),
    ("another key", |it| it.target = it.target.replace("AKIDKNOWN", "ASIATEMPORARY")),
    ("a token", |it| it.target += "&X-Amz-Security-Token=token"),
    ("a second signature", |it| it.target += "&X-Amz-Signature=0"),
    ("a body", |it| it.body = b"Action=AssumeRole".to_vec()),
    ("an unsigned x-amz header", |it| add(it, "x-amz-meta", "1")),
];

#[tokio::test]
async fn no_change_to_a_signed_request_passes() {
    let served = serve_strict().await;
    let signed = put_item().sign(&served, Signer::known("dynamodb"));
    passes(&served, signed.clone()).await;
    let presigned = Draft::new("GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
        .sign(&served, Signer { expires_in: Some(60), ..Signer::known("sts") });
    passes(&served, presigned.clone()).await;

    let on_headers = HEADER_MUTATIONS.iter().map(|mutation| (mutation, &signed));
    let on_query = QUERY_MUTATIONS.iter().map(|mutation| (mutation, &presigned));
    for ((name, mutate), original) in on_headers.chain(on_query) {
        let mut draft = original.clone();
        mutate(&mut draft);
        assert_ne!(&draft, original, "{name} changes nothing");
        refused(&served, draft).await;
    }
}

#[tokio::test]
async fn credentials_in_two_places_are_refused() {
    let served = serve_strict().await;
    let presigned = put_item().sign(&served, Signer { expires_in: Some(60), ..Signer::known("dynamodb") });
    assert_eq!(refused(&served, presigned.claim("AKIDKNOWN", "dynamodb")).await, "IncompleteSignatureException");
}

#[tokio::test]
async fn a_signature_for_another_service_reaches_only_that_service() {
    let served = serve_strict().await;
    let answer = put_item().sign(&served, Signer::known("kinesis")).send(&served).await;
    assert_eq!(answer.json()["__type"], "UnknownOperationException");
}
