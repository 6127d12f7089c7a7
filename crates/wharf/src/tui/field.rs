//! A line of text that is being typed.

/// The most characters that a line takes.
const MOST: usize = 1000;

/// The text, and where the cursor is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextField {
    text: String,
    /// In characters.
    cursor: usize,
}

impl TextField {
    /// With a text, and the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let cursor = text.chars().count();
        Self { text, cursor }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in characters.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Types a character. Control characters are no text.
    pub fn insert(&mut self, c: char) {
        if !c.is_control() && self.text.chars().count() < MOST {
            let at = self.byte(self.cursor);
            self.text.insert(at, c);
            self.cursor += 1;
        }
    }

    /// Deletes the character before the cursor.
    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete();
        }
    }

    /// Deletes the character at the cursor.
    pub fn delete(&mut self) {
        let at = self.byte(self.cursor);
        if at < self.text.len() {
            self.text.remove(at);
        }
    }

    /// Moves the cursor by characters.
    pub fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.text.chars().count());
    }

    /// Moves the cursor to the start or to the end.
    pub fn jump(&mut self, to_end: bool) {
        self.cursor = if to_end { self.text.chars().count() } else { 0 };
    }

    /// Deletes everything before the cursor.
    pub fn clear_before(&mut self) {
        let at = self.byte(self.cursor);
        self.text.drain(..at);
        self.cursor = 0;
    }

    /// Deletes the word before the cursor.
    pub fn clear_word(&mut self) {
        let end = self.byte(self.cursor);
        let before = self.text[..end].trim_end();
        let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        self.cursor -= self.text[start..end].chars().count();
        self.text.drain(start..end);
    }

    fn byte(&self, index: usize) -> usize {
        self.text.char_indices().nth(index).map_or(self.text.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited_at_the_cursor() {
        let mut field = TextField::new("team/äpp");
        field.backspace();
        field.step(-1);
        field.insert('x');
        assert_eq!((field.text(), field.cursor()), ("team/äxp", 7));
        field.jump(false);
        field.delete();
        field.insert('\u{1b}');
        assert_eq!(field.text(), "eam/äxp");
        field.jump(true);
        field.step(5);
        field.insert(' ');
        field.insert('y');
        field.clear_word();
        assert_eq!(field.text(), "eam/äxp ");
        field.clear_before();
        assert_eq!((field.text(), field.cursor()), ("", 0));
    }

    #[test]
    fn a_line_has_a_longest_length() {
        let mut field = TextField::new("x".repeat(MOST - 1));
        field.insert('y');
        field.insert('z');
        assert_eq!(field.text().len(), MOST);
    }
}
