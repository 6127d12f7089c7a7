//! The lines in which two texts differ, as a unified diff.

use similar::TextDiff;

/// The unified diff of two versions of a file, with three lines around each change; empty if they are the same.
pub(super) fn unified(name: &str, before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().missing_newline_hint(false).header(name, name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_shows_the_changed_lines_with_three_around_them() {
        let lines = |n: std::ops::Range<u32>| n.map(|n| format!("{n}\n")).collect::<String>();
        let before = lines(1..31);
        assert_eq!(unified("f", &before, &before), "");
        let after = before.replace("5\n6\n", "5\nnew\n6\n").replace("29\n", "");
        let expected =
            "--- f\n+++ f\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+new\n 6\n 7\n 8\n@@ -26,5 +27,4 @@\n 26\n 27\n 28\n-29\n 30\n";
        assert_eq!(unified("f", &before, &after), expected);
        assert_eq!(unified("f", "a\n", ""), "--- f\n+++ f\n@@ -1 +0,0 @@\n-a\n");
        assert_eq!(unified("f", "", "a\nb\n").lines().nth(2), Some("@@ -0,0 +1,2 @@"));
    }
}
