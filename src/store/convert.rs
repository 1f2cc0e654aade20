//! How our types are stored: enums and times as text.

use std::{fmt::Display, str::FromStr};

use rusqlite::{
    Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use serde_json::Value;

use crate::base::{self, Timestamp};
use crate::model::{
    delivery::{AckStatus, AttemptState, CommandKind, CommandState, Disposition, ItemState, Lane, Phase, SignalKind},
    session::{Registration, Role},
    state::Source,
    supervision::{
        Agreement, CriterionSource, CriterionStatus, Deciding, Epilogue, Mode, NudgeOnCompletion, OperatorQuestion,
        Proposer, ReviewSource, ReviewVerdict,
    },
    task::{BindingState, TaskState},
};

fn parse<T: FromStr>(value: ValueRef<'_>) -> FromSqlResult<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parse(value)
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

macro_rules! stored_as_text {
    ($($name:ty),+ $(,)?) => {
        $(
            impl FromSql for $name {
                fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                    parse(value)
                }
            }

            impl ToSql for $name {
                fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                    Ok(self.as_str().into())
                }
            }
        )+
    };
}

stored_as_text!(
    TaskState,
    BindingState,
    Role,
    Registration,
    Source,
    AckStatus,
    Agreement,
    AttemptState,
    CommandKind,
    CommandState,
    CriterionSource,
    CriterionStatus,
    Deciding,
    Disposition,
    Epilogue,
    ItemState,
    Lane,
    Mode,
    NudgeOnCompletion,
    OperatorQuestion,
    Phase,
    Proposer,
    ReviewSource,
    ReviewVerdict,
    SignalKind,
    super::dispatchers::Host,
    super::dispatchers::Running,
    super::epilogues::StepState,
);

/// A column that holds JSON, written by [`json_text`].
pub(super) fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(column, error))
}

/// A row's columns, taken one after the other: to find each by its name takes longer than to read it. Where assertions
/// are compiled in, as in the tests, each name has to be the column's own.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    /// The next one, which has this name.
    pub fn next<T: FromSql>(&mut self, name: &str) -> rusqlite::Result<T> {
        let at = self.next;
        self.next += 1;
        debug_assert_eq!(self.row.as_ref().column_name(at).ok(), Some(name), "columns are taken in their order");
        self.row.get(at)
    }
}

/// As [`json`], for a column that may be empty.
pub(super) fn json_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Value>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(column, error))).transpose()
}

/// JSON as it is stored: compact, keys sorted.
pub(super) fn json_text(value: &Value) -> rusqlite::Result<String> {
    base::json::compact(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// An integer column that holds a byte count or offset; negative values are a damaged row.
pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| damaged(column, error))
}

/// A byte count or offset as SQLite stores it.
///
/// # Errors
/// Above `i64::MAX`, which no file reaches.
pub(super) fn stored(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn damaged(column: &str, error: impl Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(
        0,
        rusqlite::types::Type::Integer,
        format!("column {column}: {error}").into(),
    )
}
