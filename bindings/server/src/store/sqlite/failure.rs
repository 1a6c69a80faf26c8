//! Errors on their way out: what failed, before it is known where.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;

use super::super::{Place, StoreError};

/// Why something inside the store failed.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Damaged(Place, String),
    Other(StoreError),
}

impl Failure {
    /// Of a read at `place`. It is damage, unless it is plainly the disk or the system that failed.
    pub(super) fn reading(self, path: &Path, place: Place) -> StoreError {
        match self {
            Failure::Sqlite(error) if !is_of_the_system(&error) => {
                Failure::Damaged(place, error.to_string()).reading(path, place)
            }
            failure => failure.writing(path, "read"),
        }
    }

    /// Of an `action` that writes. It is the system's fault, unless SQLite met something that cannot be in a whole file.
    pub(super) fn writing(self, path: &Path, action: &'static str) -> StoreError {
        let path = path.to_owned();
        match self {
            Failure::Sqlite(source) => match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    StoreError::Damaged { path, place: Place::File, why: source.to_string() }
                }
                _ => StoreError::Sqlite { action, path, source },
            },
            Failure::Damaged(place, why) => StoreError::Damaged { path, place, why },
            Failure::Other(error) => error,
        }
    }

    /// Of an insert at `place`, whose number may be in use already.
    pub(super) fn inserting(place: Place) -> impl FnOnce(rusqlite::Error) -> Failure {
        move |error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => damaged(place, "another one is stored under this number"),
            _ => error.into(),
        }
    }
}

pub(super) fn damaged(place: Place, why: impl Into<String>) -> Failure {
    Failure::Damaged(place, why.into())
}

fn is_of_the_system(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
        )
    )
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<FromSqlError> for Failure {
    fn from(error: FromSqlError) -> Failure {
        Failure::Sqlite(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Other(error)
    }
}
