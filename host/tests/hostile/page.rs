//! `docs/hostile.md` says of every hostile guest what becomes of it.

use std::fs;
use std::path::Path;

use afresh_harness::catalogue;

#[test]
fn the_page_has_a_row_for_every_hostile_guest_which_names_its_outcome() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hostile.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let rows = rows(&page);
    let guests = catalogue::hostile();
    let mut wrong = Vec::new();
    for guest in &guests {
        match rows.iter().find(|row| row.is_of(&guest.name)) {
            None => wrong.push(format!("no row is of {}", guest.name)),
            Some(row) if !row.outcomes.contains(&guest.outcome.as_str()) => {
                wrong.push(format!("{} is {}, its row names {:?}", guest.name, guest.outcome, row.outcomes));
            }
            Some(_) => {}
        }
    }
    for row in &rows {
        for outcome in &row.outcomes {
            if !guests.iter().any(|guest| row.is_of(&guest.name) && guest.outcome == *outcome) {
                wrong.push(format!("none of {:?} is {outcome}", row.prefixes));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/hostile.md: {}", wrong.join("\n"));
}

/// `| attack | guests | outcome |`, where guests and outcomes stand in backticks.
struct Row<'a> {
    prefixes: Vec<&'a str>,
    outcomes: Vec<&'a str>,
}

impl Row<'_> {
    fn is_of(&self, guest: &str) -> bool {
        self.prefixes.iter().any(|prefix| guest.starts_with(prefix))
    }
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let table = page.lines().skip_while(|line| *line != "| attack | guests | outcome |").skip(2);
    let rows = table.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [_, guests, outcomes] = cells[..] else { panic!("not three cells: {line}") };
        let prefixes = in_backticks(guests).map(|name| name.strip_suffix('*').expect("a prefix and a star"));
        Row { prefixes: prefixes.collect(), outcomes: in_backticks(outcomes).collect() }
    });
    rows.collect()
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
