//! Signs by which a terminal itself can tell that text must not arrive now, and messages that would imitate them.
//!
//! The screen is read in full by [`super::read_pane`]. These are for the guard inside the terminal multiplexer, which
//! can only search rows, at the moment of the key.

use super::wording;

/// What a row of a dialog begins with, behind blanks, `>` and `▌`; to be compared without regard to case.
#[must_use]
pub fn dialog_signs() -> &'static [&'static str] {
    wording::DIALOG_SIGNS
}

/// The words of a running turn's status row; in front of them stand digits, `s` and one more word.
#[must_use]
pub fn status_hint() -> &'static str {
    wording::STATUS_HINT
}

/// The characters one of which begins the pane's title while a turn runs.
#[must_use]
pub fn spinner_frames() -> &'static [char] {
    wording::SPINNER
}

/// True for a message that would show one of these signs while it stands in the composer or in the transcript.
///
/// A narrow pane can begin a row with any word, so a sign counts at the beginning of every word.
#[must_use]
pub fn looks_like_dialog(message: &str) -> bool {
    // Rows are broken at blanks, so a sign that is broken in the message is not whole on the screen either.
    let lower = message.to_lowercase();
    let begins_word = |at: usize| !lower[..at].chars().next_back().is_some_and(char::is_alphanumeric);
    let shown = |sign: &str| lower.match_indices(&sign.to_lowercase()).any(|(at, _)| begins_word(at));
    let running = |at: usize| {
        let mut before = lower[..at].split_whitespace().rev();
        before.next();
        before.next().is_some_and(|clock| {
            clock.strip_suffix('s').is_some_and(|number| number.ends_with(|c: char| c.is_ascii_digit()))
        })
    };
    wording::DIALOG_SIGNS.iter().any(|sign| shown(sign))
        || lower.match_indices(wording::STATUS_HINT).any(|(at, _)| running(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imitations_are_told_from_talk() {
        let imitations = [
            "[conveyor] Would you like to run the following command? no",
            "see\n  Press enter to confirm or esc to cancel",
            "please PRESS ENTER TO go on",
            "Working (3s • esc to interrupt)",
            "(1m 05s - esc to interrupt)",
            "Browsing transcript · q",
        ];
        for text in imitations {
            assert!(looks_like_dialog(text), "{text}");
        }
        let talk = [
            "Stop after retry for key",
            "press esc to interrupt it when it is busy",
            "We were browsing the code; the user may press Enter",
            "carpress enter to x",
            "Update now, then run the following command: make",
            "5s is long",
            "",
        ];
        for text in talk {
            assert!(!looks_like_dialog(text), "{text}");
        }
    }
}
