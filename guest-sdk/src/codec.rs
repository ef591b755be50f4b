//! Payload in, reply out: JSON for typed values, and bytes as they are for a `Vec<u8>`.
//!
//! Which of the two is decided by the type itself, not by how it is spelled, so an alias of `Vec<u8>` is raw as well.
//! The comparison is of two constants; nothing of it is left in the compiled module.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::TaskError;

/// The job that a payload describes.
///
/// # Errors
/// A bad payload, with serde's message.
pub fn decode<T: DeserializeOwned + 'static>(payload: Vec<u8>) -> Result<T, TaskError> {
    let mut payload = Some(payload);
    if let Some(raw) = (&mut payload as &mut dyn Any).downcast_mut::<Option<T>>() {
        return raw.take().ok_or_else(|| TaskError::reject("the payload was taken before"));
    }
    serde_json::from_slice(payload.as_deref().unwrap_or_default()).map_err(TaskError::bad_payload)
}

/// What a task returned. The method `encode` of a `Result` is its own; every other type has it by [`Plain`], because an
/// inherent method goes before a trait's. So a `Result` is known by its type, under whatever name it was written.
pub struct Returned<T>(pub T);

impl<T: Serialize + 'static, E: Into<TaskError>> Returned<Result<T, E>> {
    /// The reply's bytes.
    ///
    /// # Errors
    /// The task's own error, or a rejection when the value cannot be written as JSON.
    pub fn encode(self) -> Result<Vec<u8>, TaskError> {
        encode(self.0.map_err(Into::into)?)
    }
}

/// The reply of a task that cannot fail.
pub trait Plain {
    /// The reply's bytes.
    ///
    /// # Errors
    /// A rejection when the value cannot be written as JSON.
    fn encode(self) -> Result<Vec<u8>, TaskError>;
}

impl<T: Serialize + 'static> Plain for Returned<T> {
    fn encode(self) -> Result<Vec<u8>, TaskError> {
        encode(self.0)
    }
}

fn encode<T: Serialize + 'static>(value: T) -> Result<Vec<u8>, TaskError> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    if let Some(raw) = any.downcast_mut::<Option<Vec<u8>>>() {
        return Ok(raw.take().unwrap_or_default());
    }
    if any.is::<Option<()>>() {
        return Ok(Vec::new());
    }
    serde_json::to_vec(&value).map_err(|e| TaskError::reject(format!("the reply cannot be written as JSON: {e}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    type Bytes = Vec<u8>;

    #[test]
    fn bytes_go_in_and_come_out_as_they_are() {
        assert_eq!(decode::<Bytes>(b"\xff{".to_vec()).unwrap(), b"\xff{");
        assert_eq!(Returned(b"\xff{".to_vec()).encode().unwrap(), b"\xff{");
        assert_eq!(Returned(Ok::<Bytes, TaskError>(b"\xff".to_vec())).encode().unwrap(), b"\xff");
    }

    #[test]
    fn other_types_are_json_and_nothing_is_no_bytes() {
        assert_eq!(decode::<(u8, String)>(b"[1,\"a\"]".to_vec()).unwrap(), (1, "a".to_owned()));
        assert_eq!(Returned(Some("a")).encode().unwrap(), b"\"a\"");
        assert_eq!(Returned(()).encode().unwrap(), b"");
        assert_eq!(Returned(Ok::<(), TaskError>(())).encode().unwrap(), b"");
    }

    #[test]
    fn a_payload_of_another_shape_is_rejected_with_the_place() {
        let error = decode::<u8>(b"\"a\"".to_vec()).unwrap_err();
        assert_eq!(error.verdict(), crate::Verdict::BadPayload);
        assert!(error.to_string().contains("expected u8 at line 1 column 3"), "{error}");
    }

    #[test]
    fn a_reply_that_is_no_json_is_rejected() {
        let error = Returned(HashMap::from([((1, 2), 3)])).encode().unwrap_err();
        assert!(error.is_rejected() && error.to_string().contains("key must be a string"), "{error}");
    }
}
