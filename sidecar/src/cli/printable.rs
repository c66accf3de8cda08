//! Text from others, made safe for a terminal.

/// Escapes text that others chose before it reaches the terminal: control characters, and those that change the
/// direction of text.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(character.escape_unicode());
            }
            character if character.is_control() => printable.extend(character.escape_default()),
            character => printable.push(character),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_controls_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m\nb\u{e4}\u{202e}c"), "a\\u{1b}[31m\\nb\u{e4}\\u{202e}c");
    }
}
