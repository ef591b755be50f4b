//! Many rows by one statement. SQLite opens the table and every index at the start of each statement and closes them at its
//! end, which costs more than to write one row: so a batch is written by as few statements as can be.

use std::fmt::Write as _;

use rusqlite::{Connection, Result, ToSql};

/// The most rows of one statement.
const MOST: usize = 64;

/// A statement that takes a list of rows.
pub(super) struct Rows {
    /// What stands before the list.
    pub(super) before: &'static str,
    /// A row of it: `?1` and so on for what all rows share, `?` for what is each row's own.
    pub(super) row: &'static str,
    /// What stands after the list.
    pub(super) after: &'static str,
}

impl Rows {
    /// Runs it for all of these. `shared` are the values of `?1` and so on, `values` are a row's own.
    pub(super) fn write<R, const N: usize>(
        &self,
        file: &Connection,
        shared: &[&dyn ToSql],
        rows: &[R],
        values: impl for<'r> Fn(&'r R) -> [&'r dyn ToSql; N],
    ) -> Result<()> {
        let mut rest = rows;
        while !rest.is_empty() {
            // By powers of two, so that few statements are prepared, whatever the size of a batch.
            let (now, later) = rest.split_at(1 << rest.len().min(MOST).ilog2());
            let mut statement = file.prepare_cached(&self.text(now.len()))?;
            let own = now.iter().flat_map(&values);
            for (index, value) in shared.iter().copied().chain(own).enumerate() {
                statement.raw_bind_parameter(index + 1, value)?;
            }
            statement.raw_execute()?;
            rest = later;
        }
        Ok(())
    }

    fn text(&self, rows: usize) -> String {
        let Self { before, row, after } = self;
        let list = vec![*row; rows].join(", ");
        format!("{before} {list} {after}")
    }
}

/// Numbers as JSON, which `json_each` reads as rows.
pub(super) fn json(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for number in numbers {
        let comma = if text.len() > 1 { "," } else { "" };
        // Writing into a string does not fail.
        let _ = write!(text, "{comma}{number}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_once_and_in_order_whatever_their_number() {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch("CREATE TABLE numbers (place INTEGER PRIMARY KEY, shared TEXT, number INTEGER)").unwrap();
        let insert = Rows { before: "INSERT INTO numbers (shared, number) VALUES", row: "(?1, ?)", after: "" };
        let mut written = 0;
        for count in [0, 1, 2, 63, 64, 65, 200] {
            let numbers: Vec<i64> = (written..written + count).collect();
            insert.write(&file, &[&"all"], &numbers, |number| [number]).unwrap();
            written += count;
        }
        let sound = "SELECT count(*) FROM numbers WHERE place = number + 1 AND shared = 'all'";
        let sound: i64 = file.query_row(sound, [], |row| row.get(0)).unwrap();
        assert_eq!(sound, written);
        let sum: i64 = file
            .query_row("SELECT sum(value) FROM json_each(?1)", [json([1, -2, i64::MAX])], |row| row.get(0))
            .unwrap();
        assert_eq!(sum, i64::MAX - 1);
        assert_eq!(json([]), "[]");
    }
}
