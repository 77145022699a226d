//! Request bodies: JSON to the engine's types, and what AWS says where that fails.

use dynoxide::DynoxideError;
use serde::de::DeserializeOwned;

/// What AWS says of a value nested deeper than 32 levels.
const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits: \
                        Attributes in the item have nested levels beyond supported limit";

/// Reads a request.
pub(super) fn parse<Request: DeserializeOwned>(body: &[u8]) -> Result<Request, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| refuse(&error))
}

/// Reads a request that was changed on the way to the engine.
pub(super) fn from_value<Request: DeserializeOwned>(body: serde_json::Value) -> Result<Request, DynoxideError> {
    serde_json::from_value(body).map_err(|error| refuse(&error))
}

/// The engine's types mark in the text of the error which exception AWS raises.
fn refuse(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let message = without_place(&text);
    if text.starts_with("recursion limit exceeded") {
        return DynoxideError::ValidationException(TOO_DEEP.to_owned());
    }
    if let Some(message) = text.strip_prefix("SERIALIZATION_AS_READ:") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    if let Some(message) = text.strip_prefix("VALIDATION_AS_READ:") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    if let Some(message) = message.strip_prefix("SERIALIZATION:") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    if let Some(message) = message.strip_prefix("VALIDATION_REQUEST:") {
        return DynoxideError::EnvelopedValidation(message.to_owned());
    }
    if let Some(message) = message.strip_prefix("VALIDATION:") {
        return DynoxideError::ValidationException(message.to_owned());
    }
    let is_refused_value = message.contains("missing field")
        || message.contains("unknown variant")
        || message.contains("invalid type: null")
        || message.contains("Supplied AttributeValue")
        || message.contains("empty AttributeValue");
    if is_refused_value && error.is_data() {
        return DynoxideError::ValidationException(message.to_owned());
    }
    DynoxideError::SerializationException(message.to_owned())
}

/// Cuts serde's ` at line 1 column 42`: no client can make use of it.
fn without_place(text: &str) -> &str {
    text.rfind(" at line ").map_or(text, |place| &text[..place])
}
