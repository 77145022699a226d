//! Answers that go on: events in the frames of `application/vnd.amazon.eventstream`.
//!
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::{AwsError, Body};

/// Events on their way to the client. Dropping the other end closes the answer; its client has gone away once sending
/// fails.
pub type EventStream = mpsc::Receiver<Event>;

/// One message of an answer that goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A member of the operation's event stream: its name, and its JSON.
    Member(&'static str, Bytes),
    /// Ends the stream for a reason that the client sees as an exception.
    Exception(AwsError),
}

/// The answer of one of AWS's JSON protocols: first an empty initial response, then events as they come.
pub(crate) fn response(events: EventStream, content_type: &'static str) -> Response<Body> {
    let first = frame("event", ":event-type", "initial-response", content_type, Bytes::from_static(b"{}"));
    let body = EventBody { first: Some(first), events, content_type }.boxed_unsync();
    let response =
        Response::builder().status(StatusCode::OK).header(CONTENT_TYPE, "application/vnd.amazon.eventstream");
    response.body(body).expect("the parts of a response are well-formed")
}

struct EventBody {
    first: Option<Bytes>,
    events: EventStream,
    content_type: &'static str,
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let content_type = self.content_type;
        let rendered = |event: Event| match event {
            Event::Member(name, json) => frame("event", ":event-type", name, content_type, json),
            Event::Exception(error) => {
                let json = serde_json::json!({"message": error.message}).to_string();
                frame("exception", ":exception-type", &error.code, content_type, Bytes::from(json))
            }
        };
        self.events.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(rendered(event)))))
    }
}

fn frame(message_type: &str, type_header: &'static str, name: &str, content_type: &str, payload: Bytes) -> Bytes {
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let message = Message::new(payload)
        .add_header(Header::new(":message-type", text(message_type)))
        .add_header(Header::new(type_header, text(name)))
        .add_header(Header::new(":content-type", text(content_type)));
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).expect("three short headers and a payload below 16 MiB fit into a frame");
    Bytes::from(frame)
}
