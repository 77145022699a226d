//! A message on its way out.

use rusqlite::{Connection, Row, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::message;
use crate::sqs::message_attribute::{self, MessageAttributes};
use crate::sqs::queue::Queue;
use crate::sqs::receipt::Receipt;
use crate::sqs::send::sequence_number;

/// What AttributeNames and MessageSystemAttributeNames may name, besides `All`.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

/// What of a message its receiver wants to see besides the body.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Wishes {
    /// The older name of MessageSystemAttributeNames.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

/// To whom messages go, and until when they are hidden from others.
pub(super) struct Delivery<'a> {
    pub queue: &'a Queue,
    pub now: i64,
    pub visible_at: i64,
    pub wishes: &'a Wishes,
}

impl Wishes {
    pub fn check(&self) -> Result<()> {
        let is_known = |name: &&String| *name == "All" || SYSTEM_ATTRIBUTES.contains(&name.as_str());
        let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        match names.find(|name| !is_known(name)) {
            Some(unknown) => Err(error::unknown_attribute(unknown)),
            None => Ok(()),
        }
    }

    fn wants(&self, system_attribute: &str) -> bool {
        let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        names.any(|name| name == "All" || name == system_attribute)
    }
}

const COLUMNS: &str = "id, body, attributes, trace_header, sender, sent_at, first_received_at, receive_count, \
                       group_id, deduplication_id, dead_letter_source";

impl Delivery<'_> {
    /// Counts a receive of the message and gives it under a new handle.
    pub fn deliver(&self, connection: &Connection, number: i64, token: &str) -> Result<Value> {
        let sql = format!(
            "UPDATE message SET receive_count = receive_count + 1, is_received = 1, receipt = ?1, visible_at = ?2,
             received_at = ?3, first_received_at = coalesce(first_received_at, ?3) WHERE number = ?4
             RETURNING {COLUMNS}"
        );
        let parameters = params![token, self.visible_at, self.now, number];
        let receipt = Receipt { queue: self.queue.number, message: number, token: token.to_owned() };
        self.give(connection, &sql, parameters, &receipt)
    }

    /// Gives a message that is in flight again, under the handle that it has, and hides it anew.
    pub fn deliver_again(&self, connection: &Connection, receipt: &Receipt) -> Result<Value> {
        let sql = format!("UPDATE message SET visible_at = ? WHERE number = ? RETURNING {COLUMNS}");
        self.give(connection, &sql, params![self.visible_at, receipt.message], receipt)
    }

    fn give(
        &self,
        connection: &Connection,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        receipt: &Receipt,
    ) -> Result<Value> {
        let mut statement = connection.prepare_cached(sql)?;
        let (mut shown, attributes) = statement.query_row(parameters, |row| self.show(row, receipt))?;
        let attributes: MessageAttributes = serde_json::from_str(&attributes)?;
        let attributes = message_attribute::selected(attributes, &self.wishes.message_attribute_names);
        if let Some(digest) = message_attribute::md5(&attributes) {
            shown.insert("MD5OfMessageAttributes".into(), digest.into());
            shown.insert("MessageAttributes".into(), json!(attributes));
        }
        Ok(Value::Object(shown))
    }

    /// The message, and the text of its sender's attributes.
    fn show(&self, row: &Row<'_>, receipt: &Receipt) -> rusqlite::Result<(Map<String, Value>, String)> {
        let body: String = row.get("body")?;
        let number = |column: &str| row.get::<_, Option<i64>>(column).map(|number| number.map(|n| n.to_string()));
        let is_fifo = self.queue.address.is_fifo();
        let values = [
            number("first_received_at")?,
            number("receive_count")?,
            row.get("trace_header")?,
            row.get("dead_letter_source")?,
            row.get("deduplication_id")?,
            row.get("group_id")?,
            row.get("sender")?,
            number("sent_at")?,
            is_fifo.then(|| sequence_number(receipt.message)),
        ];
        let attributes = SYSTEM_ATTRIBUTES.iter().zip(values);
        let wanted = attributes.filter(|(name, _)| self.wishes.wants(name));
        let attributes: Map<String, Value> =
            wanted.filter_map(|(name, value)| Some(((*name).to_owned(), value?.into()))).collect();

        let mut shown = Map::new();
        shown.insert("MessageId".into(), row.get::<_, String>("id")?.into());
        shown.insert("ReceiptHandle".into(), receipt.to_handle().into());
        shown.insert("MD5OfBody".into(), message::md5(&body).into());
        shown.insert("Body".into(), body.into());
        if !attributes.is_empty() {
            shown.insert("Attributes".into(), Value::Object(attributes));
        }
        Ok((shown, row.get("attributes")?))
    }
}
