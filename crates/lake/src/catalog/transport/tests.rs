use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// Takes one connection, reads a request and writes `answer`. Gives its address, and what was read.
async fn serve(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 16 * 1024];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });
    (address, served)
}

async fn send(signing: Option<Signing>, url: String) -> Result<Response<Bytes>, TransportError> {
    let transport = HttpTransport::new(signing, Ambient::fixed(1_700_000_000_000)).unwrap();
    transport.send(Request::builder().method(Method::GET).uri(url).body(Bytes::new()).unwrap()).await
}

#[tokio::test]
async fn a_request_is_signed_for_the_service_with_the_path_as_it_is() {
    let (address, served) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("token".to_owned()), None, "test");
    let signing = Signing {
        credentials: SharedCredentialsProvider::new(credentials),
        region: "us-east-1".to_owned(),
        service: "s3tables".to_owned(),
    };
    let response = send(Some(signing), format!("{address}/v1/arn%3Aaws%3Abucket%2Fb/namespaces")).await.unwrap();
    assert_eq!(response.body().as_ref(), b"{}");

    let request = served.await.unwrap();
    assert!(request.starts_with("GET /v1/arn%3Aaws%3Abucket%2Fb/namespaces HTTP/1.1"), "{request}");
    assert!(request.contains("Credential=AKIDEXAMPLE/20231114/us-east-1/s3tables/aws4_request"), "{request}");
    assert!(request.contains("x-amz-security-token: token"), "{request}");
    assert!(request.contains("x-amz-content-sha256: e3b0c442"), "{request}");
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(None, format!("http://{unused}/")).await.unwrap_err();
    assert!(matches!(error, TransportError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_is_cut_leaves_the_outcome_open() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"] {
        let (address, served) = serve(answer).await;
        let error = send(None, format!("{address}/")).await.unwrap_err();
        assert!(matches!(error, TransportError::NoAnswer(_)), "{error:?}");
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, _served) =
        serve("HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(send(None, format!("{address}/")).await.unwrap().status(), 307);
}
