//! Every row of `docs/conformance.md` that the crate has to hold is named by a test, and the tests that
//! `SECURITY.md` names are there.
//!
//! A test names a row by its function (`r124_…`) or in a comment (`R124`), in `tests/` or at the foot of
//! a file of `src/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

/// The sections with rules; V to X are notes.
const SECTIONS: &str = "ABCDEFGHIJKLMNOPQRSTU";

/// Rows of these sections, by the first letter of the heading above them.
fn rows(table: &str) -> Vec<&str> {
    let mut section = ' ';
    let mut rows = Vec::new();
    for line in table.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.chars().next().unwrap_or(' ');
        } else if let Some(row) = line.strip_prefix("| R") {
            let number = row.split(' ').next().unwrap_or_default();
            if SECTIONS.contains(section) {
                rows.push(number);
            }
        }
    }
    rows
}

/// The row numbers that stand in a text as `r124_` or `R124`.
fn named(text: &str, into: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices(['r', 'R']) {
        let number: String = text[at + 1..].chars().take(3).collect();
        let is_start = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        if is_start && number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()) {
            into.insert(number);
        }
    }
}

fn read(folder: &Path, into: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let tests = match path.components().any(|part| part.as_os_str() == "src") {
                true => text
                    .split_once("#[cfg(test)]")
                    .map_or("", |(_, tests)| tests),
                false => &text,
            };
            named(tests, into);
        }
    }
    Ok(())
}

#[test]
fn every_row_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/conformance.md")).expect("the table");
    let rows = rows(&table);
    assert!(
        rows.len() > 180,
        "the table was understood: {} rows",
        rows.len()
    );
    let mut tested = BTreeSet::new();
    read(&root.join("tests"), &mut tested).expect("tests");
    read(&root.join("src"), &mut tested).expect("sources");
    let missing: Vec<_> = rows.iter().filter(|row| !tested.contains(**row)).collect();
    assert!(missing.is_empty(), "rows without a test: {missing:?}");
}

#[test]
fn promises_name_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).expect("the promises");
    let mut tests = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let held_by = row.trim_end_matches([' ', '|']);
        let held_by = held_by.rsplit_once(" | ").expect("columns").1;
        let named = held_by.split('`').skip(1).step_by(2);
        for (file, test) in named.filter_map(|name| name.split_once("::")) {
            let path = root.join("tests").join(file).with_extension("rs");
            let source = fs::read_to_string(path).expect(file);
            let function = format!("fn {test}(");
            let (before, _) = source.split_once(&function).expect(test);
            let attributes = before.rsplit_once("\n\n").map_or(before, |(_, last)| last);
            assert!(attributes.contains("#[test]"), "{test} is a test");
            assert!(!attributes.contains("#[ignore"), "{test} runs");
            tests += 1;
        }
    }
    assert!(tests > 40, "the tables were understood: {tests} tests");
}
