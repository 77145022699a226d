//! Who a caller is.

use crate::support::{client::Draft, serve_dev, serve_strict};

#[tokio::test]
async fn in_dev_an_access_key_is_taken_at_its_word() {
    let served = serve_dev().await;
    let cases = [
        ("test", "arn:aws:iam::000000000000:root"),
        ("dev", "arn:aws:iam::000000000000:root"),
        ("111122223333", "arn:aws:iam::111122223333:root"),
        ("analyst", "arn:aws:iam::000000000000:user/analyst"),
    ];
    for (access_key_id, arn) in cases {
        let json = Draft::json("DynamoDB_20120810.PutItem", "{}").claim(access_key_id, "dynamodb").send(&served).await;
        assert_eq!(json.json()["arn"], arn);
        assert_eq!(json.json()["region"], "eu-west-1");
        assert_eq!(json.json()["host"], served.host);
        let s3 = Draft::new("GET", "/bucket").claim(access_key_id, "s3").send(&served).await;
        assert_eq!(s3.json()["arn"], arn);
    }
}

#[tokio::test]
async fn a_key_that_names_nobody_is_refused() {
    let served = serve_dev().await;
    for access_key_id in ["", "a b", "a:b"] {
        let answer =
            Draft::json("DynamoDB_20120810.PutItem", "{}").claim(access_key_id, "dynamodb").send(&served).await;
        assert_eq!(answer.status, 400, "{access_key_id}");
        assert_eq!(answer.json()["__type"], "com.amazon.coral.service#UnrecognizedClientException");
        let s3 = Draft::new("GET", "/bucket").claim(access_key_id, "s3").send(&served).await;
        assert!(s3.text().contains("<Code>InvalidClientTokenId</Code>"), "{}", s3.text());
    }
}

#[tokio::test]
async fn an_unsigned_request_is_told_to_sign() {
    for served in [serve_dev().await, serve_strict().await] {
        let json = Draft::json("DynamoDB_20120810.PutItem", "{}").send(&served).await;
        assert_eq!(json.status, 400);
        assert_eq!(json.json()["__type"], "com.amazon.coral.service#MissingAuthenticationTokenException");
        for query in
            [Draft::form("Action=GetCallerIdentity&Version=2011-06-15"), Draft::new("GET", "/?Action=ListUsers")]
        {
            let answer = query.send(&served).await;
            assert_eq!(answer.status, 403);
            assert!(answer.text().contains("<Code>MissingAuthenticationToken</Code>"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn an_unsigned_iceberg_client_is_the_administrator_in_dev_only() {
    let config = || Draft::new("GET", "/iceberg/v1/config");
    let dev = config().send(&serve_dev().await).await;
    assert_eq!(
        (&dev.json()["arn"], &dev.json()["region"]),
        (&"arn:aws:iam::000000000000:root".into(), &"us-east-1".into())
    );

    let strict = config().send(&serve_strict().await).await;
    assert_eq!(strict.status, 403);
    assert_eq!(strict.json()["error"]["type"], "MissingAuthenticationTokenException");
    assert_eq!(strict.json()["error"]["code"], 403);
}

#[tokio::test]
async fn sts_tells_who_the_caller_is() {
    let served = serve_dev().await;
    let ask = |access_key_id| Draft::form("Action=GetCallerIdentity&Version=2011-06-15").claim(access_key_id, "sts");
    let root = ask("test").send(&served).await.text();
    assert!(
        root.starts_with("<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"),
        "{root}"
    );
    assert!(root.contains("<Arn>arn:aws:iam::000000000000:root</Arn>"), "{root}");
    assert!(root.contains("<UserId>000000000000</UserId><Account>000000000000</Account>"), "{root}");
    let user = ask("ann").send(&served).await.text();
    assert!(user.contains("<Arn>arn:aws:iam::000000000000:user/ann</Arn><UserId>AIDA"), "{user}");
}

#[tokio::test]
async fn an_action_that_sts_does_not_serve_is_named() {
    let served = serve_dev().await;
    let cases = [
        ("Action=AssumeRole&Version=2011-06-15", "RoleArn is missing"),
        ("Action=%3Cb%3E&Version=2011-06-15", "Could not find operation &lt;b&gt; for version 2011-06-15"),
        ("Action=GetCallerIdentity&Version=1", "Could not find operation GetCallerIdentity for version 1"),
        ("Version=2011-06-15", "must contain the parameter Action"),
    ];
    for (form, message) in cases {
        let answer = Draft::form(form).claim("test", "sts").send(&served).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(message), "{}", answer.text());
        assert!(answer.text().contains("<Type>Sender</Type>"), "{}", answer.text());
    }
}
