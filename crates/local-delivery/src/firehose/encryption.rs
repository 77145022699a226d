//! StartDeliveryStreamEncryption and StopDeliveryStreamEncryption.
//!
//! The flag is kept and described. Records lie in this machine's data folder either way: nothing here has a key.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::firehose::Call;
use crate::firehose::error::{self, Result};
use crate::firehose::stream::{Address, DeliveryStream, Source};

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct EncryptionInput {
    key_type: String,
    #[serde(rename = "KeyARN")]
    key_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    delivery_stream_name: String,
    delivery_stream_encryption_configuration_input: Option<EncryptionInput>,
}

impl EncryptionInput {
    /// What a description says once it is on.
    pub fn enabled(&self) -> Result<Value> {
        match (self.key_type.as_str(), &self.key_arn) {
            ("AWS_OWNED_CMK", None) => Ok(json!({ "KeyType": "AWS_OWNED_CMK", "Status": "ENABLED" })),
            ("AWS_OWNED_CMK", Some(_)) => Err(error::invalid("KeyARN must not be given for KeyType AWS_OWNED_CMK")),
            ("CUSTOMER_MANAGED_CMK", _) => {
                Err(error::not_served("KeyType CUSTOMER_MANAGED_CMK, as there is no KMS,", "AWS_OWNED_CMK"))
            }
            (other, _) => Err(error::invalid(format!("KeyType `{other}` is not a type of key"))),
        }
    }
}

pub(super) fn disabled() -> Value {
    json!({ "Status": "DISABLED" })
}

pub(super) async fn start(call: &Call<'_>) -> Result<Value> {
    let request: Request = call.parse()?;
    let owned = EncryptionInput { key_type: "AWS_OWNED_CMK".to_owned(), key_arn: None };
    let input = request.delivery_stream_encryption_configuration_input.unwrap_or(owned);
    set(call, &request.delivery_stream_name, input.enabled()?).await
}

pub(super) async fn stop(call: &Call<'_>) -> Result<Value> {
    let request: Request = call.parse()?;
    if request.delivery_stream_encryption_configuration_input.is_some() {
        return Err(error::invalid("DeliveryStreamEncryptionConfigurationInput is not a member of this request"));
    }
    set(call, &request.delivery_stream_name, disabled()).await
}

async fn set(call: &Call<'_>, name: &str, encryption: Value) -> Result<Value> {
    let address = Address::of(call.caller, name)?;
    let changed = call.firehose.store.run(move |connection| {
        let mut stream = DeliveryStream::get(connection, &address)?;
        if !matches!(stream.document.source, Source::DirectPut { .. }) {
            let message = "the source of the delivery stream is a Kinesis stream, which has an encryption of its own";
            return Err(error::invalid(message));
        }
        stream.document.encryption = encryption;
        stream.save(connection)
    });
    changed.await?;
    Ok(json!({}))
}
