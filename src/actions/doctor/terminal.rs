//! What the cockpit will find: colours, characters, and how tmux passes keys on.

use super::{
    check::{Check, Weight::Advice},
    tools::Tools,
};
use crate::{actions::Context, ports::env::Terminal};

/// A key press that begins with an escape character is felt to lag from here on, in milliseconds.
const ESCAPE_LAG: u32 = 50;

/// The terminal, and the tmux around it when there is one.
pub(super) fn checks(cx: &Context, tools: &Tools) -> Vec<Check> {
    let terminal = &cx.env().terminal;
    let mut checks = vec![kind(terminal), locale(terminal)];
    if cx.env().tmux.is_some() && tools.tmux.is_some() {
        checks.extend(around(cx));
    }
    checks
}

fn kind(terminal: &Terminal) -> Check {
    const NAME: &str = "terminal";
    let Some(term) = terminal.term.as_deref().filter(|term| *term != "dumb") else {
        let message = match terminal.term {
            None => "TERM is not set: no terminal, or one that cannot show the cockpit",
            Some(_) => "TERM is dumb: it cannot show the cockpit",
        };
        return Check::fail(
            Advice,
            NAME,
            message,
            "run the cockpit in a terminal; `export TERM=xterm-256color` if it is one",
        );
    };
    let colours = colours(terminal, term);
    Check::pass(Advice, NAME, format!("{term}, {colours}")).fact("value", term).fact("colours", colours)
}

/// What the environment promises about colours.
fn colours(terminal: &Terminal, term: &str) -> &'static str {
    let direct = terminal.colorterm.as_deref().is_some_and(|value| matches!(value, "truecolor" | "24bit"));
    if terminal.no_color {
        "no colours (NO_COLOR)"
    } else if direct || term.ends_with("-direct") {
        "16 million colours"
    } else if term.contains("256color") {
        "256 colours"
    } else {
        "16 colours or fewer"
    }
}

fn locale(terminal: &Terminal) -> Check {
    const NAME: &str = "locale";
    let remedy = "`export LANG=C.UTF-8`";
    let Some(locale) = &terminal.locale else {
        return Check::fail(Advice, NAME, "none is set, so other than ASCII characters may come out wrong", remedy);
    };
    let plain = locale.to_ascii_lowercase();
    if plain.contains("utf-8") || plain.contains("utf8") {
        Check::pass(Advice, NAME, locale.clone())
    } else {
        Check::fail(Advice, NAME, format!("{locale} is not UTF-8; other than ASCII characters come out wrong"), remedy)
    }
    .fact("value", locale.clone())
}

/// Settings of the tmux that this runs in; nothing when it does not tell.
fn around(cx: &Context) -> Vec<Check> {
    let Ok(settings) = cx.tmux(None).server_settings() else { return Vec::new() };
    let mut checks = Vec::new();
    if let Some(on) = settings.focus_events {
        checks.push(if on {
            Check::pass(Advice, "tmux_focus_events", "on")
        } else {
            let message = "off: the cockpit cannot tell whether you look at it";
            Check::fail(Advice, "tmux_focus_events", message, "`tmux set -s focus-events on`")
        });
    }
    if let Some(millis) = settings.escape_time {
        checks.push(if millis <= ESCAPE_LAG {
            Check::pass(Advice, "tmux_escape_time", format!("{millis} ms"))
        } else {
            let message = format!("{millis} ms: Esc is passed on only after that time");
            Check::fail(Advice, "tmux_escape_time", message, "`tmux set -s escape-time 10`")
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_about_colours() {
        let terminal = |colorterm: Option<&str>, no_color| Terminal {
            colorterm: colorterm.map(str::to_owned),
            no_color,
            ..Terminal::default()
        };
        assert_eq!(colours(&terminal(None, false), "xterm"), "16 colours or fewer");
        assert_eq!(colours(&terminal(None, false), "tmux-256color"), "256 colours");
        assert_eq!(colours(&terminal(Some("truecolor"), false), "xterm"), "16 million colours");
        assert_eq!(colours(&terminal(Some("truecolor"), true), "xterm"), "no colours (NO_COLOR)");
    }
}
