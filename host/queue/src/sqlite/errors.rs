//! What SQLite says, in a sentence that says what to do.

use rusqlite::{Error, ErrorCode, ffi};

use crate::broker::BrokerError;

/// The broker's word for an error of SQLite in the file at `place`.
pub(super) fn explain(error: &Error, place: &str) -> BrokerError {
    let Some(code) = error.sqlite_error_code() else {
        return BrokerError::Unusable(format!("{place} holds something this program cannot read: {error}"));
    };
    match code {
        ErrorCode::DiskFull => full(place, "the disk is full: free some room"),
        ErrorCode::SystemIoFailure if extended(error) == Some(ffi::SQLITE_IOERR_WRITE) => {
            full(place, "writing failed: look whether the disk is full, or the size of files is limited")
        }
        ErrorCode::SystemIoFailure => BrokerError::Refused(format!(
            "{place} cannot be read or written ({error}): look at the disk, its room and its health"
        )),
        ErrorCode::ReadOnly => {
            BrokerError::Refused(format!("{place} cannot be written: it, its folder or its disk is read-only"))
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            BrokerError::Unavailable(format!("{place} is kept locked by another process"))
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => BrokerError::Unusable(format!(
            "{place} cannot be opened: look whether its folder exists and this user may write there"
        )),
        ErrorCode::NotADatabase => {
            BrokerError::Unusable(format!("{place} is not a file of Afresh: name another file, or move this one away"))
        }
        ErrorCode::SchemaChanged => BrokerError::Unusable(format!(
            "{place} was taken over by a newer Afresh while this program had it open: upgrade this program"
        )),
        ErrorCode::DatabaseCorrupt => BrokerError::Unusable(format!(
            "{place} is damaged ({error}): restore it from a backup, or move it away to start with an empty one"
        )),
        ErrorCode::OutOfMemory | ErrorCode::TooBig => {
            BrokerError::Refused(format!("{place} cannot take something of this size: {error}"))
        }
        _ => BrokerError::Unusable(format!("{place} cannot be used: {error}")),
    }
}

fn full(place: &str, reason: &str) -> BrokerError {
    BrokerError::Refused(format!("{place} cannot grow, {reason}; nothing that was acknowledged is lost"))
}

fn extended(error: &Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}
