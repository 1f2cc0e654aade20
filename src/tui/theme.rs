//! The named styles: every colour of the cockpit stands here, and nowhere else.
//!
//! Only the sixteen ANSI colours are used, so that the terminal's own palette decides how they look; what is
//! secondary is dim. A captured pane keeps the colours that its program chose. A state always has a glyph and a word beside its colour.

use ratatui::style::{Color, Modifier, Style};

use crate::{
    model::{
        board::Attention,
        cells::{Colour, Look},
    },
    text_enum,
};

text_enum! {
    /// A set of styles.
    pub enum ThemeName {
        /// For dark backgrounds.
        Dark => "dark",
        /// For light backgrounds.
        Light => "light",
        /// Bright, bold, nothing dim.
        HighContrast => "high-contrast",
        /// Blue and yellow instead of green and red.
        ColourBlind => "colour-blind",
        /// No colours at all.
        Mono => "mono",
    }
}

impl ThemeName {
    /// The theme that suits the environment: mono under `NO_COLOR`, else what `COLORFGBG` says of the background,
    /// else dark.
    #[must_use]
    pub fn detect(no_color: Option<&str>, colorfgbg: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            return Self::Mono;
        }
        // `foreground;background`, by some terminals with a third field between them.
        let background = colorfgbg.and_then(|value| value.rsplit(';').next()).and_then(|text| text.parse::<u8>().ok());
        match background {
            Some(7 | 9..=15) => Self::Light,
            _ => Self::Dark,
        }
    }
}

text_enum! {
    /// What a piece of the screen means; the theme gives it a style.
    pub enum Part {
        /// Plain text.
        Text => "text",
        /// Secondary text, ages, sources.
        Dim => "dim",
        /// Headings and names.
        Title => "title",
        /// The selected row.
        Selected => "selected",
        /// The selected row of a pane that has not the keyboard.
        SelectedAway => "selected_away",
        /// A person has to answer.
        NeedsYou => "needs_you",
        /// Failed or aborted.
        Failed => "failed",
        /// Finished and not looked at.
        DoneUnseen => "done_unseen",
        /// A turn is open.
        Working => "working",
        /// Nothing to do.
        Idle => "idle",
        /// Nothing is known.
        Unknown => "unknown",
        /// Too old to be relied on.
        Stale => "stale",
        /// What a person said.
        User => "user",
        /// What the agent said.
        Agent => "agent",
        /// What a tool did.
        Tool => "tool",
        /// What Codex itself reports.
        Codex => "codex",
        /// Code in a message.
        Code => "code",
        /// A line that a change adds.
        Added => "added",
        /// A line that a change takes away.
        Removed => "removed",
        /// A frame.
        Border => "border",
        /// The frame of the pane that has the keyboard.
        BorderFocus => "border_focus",
        /// A key in the footer or help.
        Key => "key",
        /// An error message.
        Error => "error",
        /// A warning, a notice.
        Warning => "warning",
    }
}

/// Gives each [`Part`] its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    name: ThemeName,
}

impl Theme {
    /// The theme of this name.
    #[must_use]
    pub fn new(name: ThemeName) -> Self {
        Self { name }
    }

    /// Whether it has no colours.
    #[must_use]
    pub fn is_mono(self) -> bool {
        self.name == ThemeName::Mono
    }

    /// The style of a cell of a captured pane: its own, but without colours where there are to be none.
    #[must_use]
    pub fn cell(self, look: Look) -> Style {
        let modifiers = [
            (look.bold, Modifier::BOLD),
            (look.dim, Modifier::DIM),
            (look.italic, Modifier::ITALIC),
            (look.underlined, Modifier::UNDERLINED),
            (look.reversed, Modifier::REVERSED),
        ];
        let on = modifiers.into_iter().filter(|(on, _)| *on).map(|(_, modifier)| modifier);
        let plain = Style::new().add_modifier(on.collect());
        if self.is_mono() {
            return plain;
        }
        let with = |style: Style, colour: Colour, set: fn(Style, Color) -> Style| match colour {
            Colour::Default => style,
            Colour::Indexed(index) => set(style, Color::Indexed(index)),
            Colour::Rgb(red, green, blue) => set(style, Color::Rgb(red, green, blue)),
        };
        with(with(plain, look.foreground, Style::fg), look.background, Style::bg)
    }

    /// The style of a part.
    #[must_use]
    pub fn style(self, part: Part) -> Style {
        match self.name {
            ThemeName::Dark => coloured(part, &DARK),
            ThemeName::Light => coloured(part, &LIGHT),
            ThemeName::ColourBlind => coloured(part, &COLOUR_BLIND),
            ThemeName::HighContrast => high_contrast(part),
            ThemeName::Mono => mono(part),
        }
    }

    /// The style of a row that asks for this much.
    #[must_use]
    pub fn attention(self, attention: Attention) -> Style {
        self.style(match attention {
            Attention::NeedsYou => Part::NeedsYou,
            Attention::Failed => Part::Failed,
            Attention::DoneUnseen => Part::DoneUnseen,
            Attention::Working => Part::Working,
            Attention::Idle => Part::Idle,
            Attention::Unknown => Part::Unknown,
            Attention::Gone => Part::Dim,
        })
    }
}

/// The colours in which the coloured themes differ.
struct Palette {
    need: Color,
    failed: Color,
    done: Color,
    working: Color,
    accent: Color,
    user: Color,
    tool: Color,
}

const DARK: Palette = Palette {
    need: Color::LightYellow,
    failed: Color::LightRed,
    done: Color::LightGreen,
    working: Color::LightCyan,
    accent: Color::LightBlue,
    user: Color::LightCyan,
    tool: Color::LightMagenta,
};

const LIGHT: Palette = Palette {
    need: Color::Magenta,
    failed: Color::Red,
    done: Color::Green,
    working: Color::Blue,
    accent: Color::Blue,
    user: Color::Blue,
    tool: Color::Magenta,
};

const COLOUR_BLIND: Palette = Palette {
    need: Color::LightYellow,
    failed: Color::LightMagenta,
    done: Color::LightBlue,
    working: Color::LightCyan,
    accent: Color::LightBlue,
    user: Color::LightCyan,
    tool: Color::LightYellow,
};

fn coloured(part: Part, palette: &Palette) -> Style {
    let plain = Style::new();
    match part {
        Part::Text | Part::Idle | Part::Agent => plain,
        Part::Dim | Part::Unknown | Part::Border | Part::Stale => plain.add_modifier(Modifier::DIM),
        Part::Title => plain.add_modifier(Modifier::BOLD),
        Part::Selected => plain.add_modifier(Modifier::REVERSED),
        Part::SelectedAway => plain.add_modifier(Modifier::UNDERLINED),
        Part::NeedsYou => plain.fg(palette.need).add_modifier(Modifier::BOLD),
        Part::Failed | Part::Error => plain.fg(palette.failed).add_modifier(Modifier::BOLD),
        Part::DoneUnseen => plain.fg(palette.done),
        Part::Working => plain.fg(palette.working),
        Part::User => plain.fg(palette.user).add_modifier(Modifier::BOLD),
        Part::Tool => plain.fg(palette.tool),
        Part::Code => plain.fg(palette.accent),
        Part::Added => plain.fg(palette.done),
        Part::Removed => plain.fg(palette.failed),
        Part::Codex | Part::Warning => plain.fg(palette.need),
        Part::BorderFocus => plain.fg(palette.accent),
        Part::Key => plain.fg(palette.accent).add_modifier(Modifier::BOLD),
    }
}

fn high_contrast(part: Part) -> Style {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match part {
        Part::Text | Part::Dim | Part::Idle | Part::Agent | Part::Border => Style::new(),
        Part::Title | Part::Key | Part::Working | Part::User | Part::BorderFocus | Part::Code => bold,
        Part::Unknown | Part::Stale => Style::new().add_modifier(Modifier::ITALIC),
        Part::Selected => bold.add_modifier(Modifier::REVERSED),
        Part::SelectedAway => bold.add_modifier(Modifier::UNDERLINED),
        Part::NeedsYou => bold.fg(Color::Black).bg(Color::LightYellow),
        Part::Failed | Part::Error => bold.fg(Color::White).bg(Color::Red),
        Part::DoneUnseen => bold.fg(Color::Black).bg(Color::LightGreen),
        Part::Added => bold.fg(Color::LightGreen),
        Part::Removed => bold.fg(Color::LightRed),
        Part::Tool | Part::Codex | Part::Warning => bold.add_modifier(Modifier::UNDERLINED),
    }
}

fn mono(part: Part) -> Style {
    let plain = Style::new();
    match part {
        Part::Text | Part::Idle | Part::Agent | Part::Tool | Part::Code | Part::Removed => plain,
        Part::Added => plain.add_modifier(Modifier::BOLD),
        Part::Dim | Part::Unknown | Part::Border | Part::Stale | Part::Codex => plain.add_modifier(Modifier::DIM),
        Part::Selected => plain.add_modifier(Modifier::REVERSED),
        Part::SelectedAway => plain.add_modifier(Modifier::UNDERLINED),
        Part::Title
        | Part::NeedsYou
        | Part::Failed
        | Part::DoneUnseen
        | Part::Working
        | Part::User
        | Part::BorderFocus
        | Part::Key
        | Part::Error
        | Part::Warning => plain.add_modifier(Modifier::BOLD),
    }
}

/// The signs of the screen, in Unicode or in ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    ascii: bool,
}

impl Glyphs {
    /// The Unicode set, or the ASCII one.
    #[must_use]
    pub fn new(ascii: bool) -> Self {
        Self { ascii }
    }

    /// Whether only ASCII may be drawn.
    #[must_use]
    pub fn is_ascii(self) -> bool {
        self.ascii
    }

    /// The sign of a row.
    #[must_use]
    pub fn attention(self, attention: Attention) -> &'static str {
        let (unicode, ascii) = match attention {
            Attention::NeedsYou => ("!", "!"),
            Attention::Failed => ("✗", "x"),
            Attention::DoneUnseen => ("✓", "v"),
            Attention::Working => ("●", "*"),
            Attention::Idle => ("○", "o"),
            Attention::Unknown => ("?", "?"),
            Attention::Gone => ("·", "-"),
        };
        self.pick(unicode, ascii)
    }

    /// The operator has put it aside.
    #[must_use]
    pub fn snoozed(self) -> &'static str {
        "z"
    }

    /// The operator has pinned it.
    #[must_use]
    pub fn pinned(self) -> &'static str {
        "^"
    }

    /// The operator has not looked at it.
    #[must_use]
    pub fn unread(self) -> &'static str {
        self.pick("•", "+")
    }

    /// Two sensors contradict each other.
    #[must_use]
    pub fn disagree(self) -> &'static str {
        "~"
    }

    /// Worker and manager belong together.
    #[must_use]
    pub fn pair(self) -> &'static str {
        self.pick("↔", "<->")
    }

    /// Between facts on one line.
    #[must_use]
    pub fn separator(self) -> &'static str {
        self.pick(" · ", " | ")
    }

    /// Text that was cut.
    #[must_use]
    pub fn cut(self) -> &'static str {
        self.pick("…", "~")
    }

    /// A gauge of `width` columns, `percent` full.
    #[must_use]
    pub fn gauge(self, percent: u8, width: usize) -> String {
        let full = usize::from(percent.min(100)) * width / 100;
        let (on, off) = if self.ascii { ("#", ".") } else { ("█", "░") };
        on.repeat(full) + &off.repeat(width - full)
    }

    fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_background_is_read_from_colorfgbg() {
        let detect = |value| ThemeName::detect(None, Some(value));
        assert_eq!(detect("15;0"), ThemeName::Dark);
        assert_eq!(detect("0;15"), ThemeName::Light);
        assert_eq!(detect("0;default;15"), ThemeName::Light);
        assert_eq!(detect("junk"), ThemeName::Dark);
        assert_eq!(ThemeName::detect(Some("1"), Some("0;15")), ThemeName::Mono);
        assert_eq!(ThemeName::detect(Some(""), None), ThemeName::Dark);
    }

    #[test]
    fn mono_has_no_colour() {
        for part in Part::ALL {
            let style = Theme::new(ThemeName::Mono).style(*part);
            assert_eq!((style.fg, style.bg), (None, None), "{part}");
        }
    }

    #[test]
    fn every_attention_has_a_sign_of_its_own() {
        for glyphs in [Glyphs::new(false), Glyphs::new(true)] {
            let mut signs: Vec<_> = Attention::ALL.iter().map(|attention| glyphs.attention(*attention)).collect();
            signs.extend([glyphs.disagree(), glyphs.snoozed(), glyphs.pinned(), glyphs.unread()]);
            signs.sort_unstable();
            signs.dedup();
            assert_eq!(signs.len(), Attention::ALL.len() + 4);
        }
    }

    #[test]
    fn all_styles() {
        let mut dump = String::new();
        for part in Part::ALL {
            for name in ThemeName::ALL {
                let style = Theme::new(*name).style(*part);
                let mut words: Vec<String> = Vec::new();
                words.extend(style.fg.map(|colour| colour.to_string()));
                words.extend(style.bg.map(|colour| format!("on {colour}")));
                words.extend((!style.add_modifier.is_empty()).then(|| format!("{:?}", style.add_modifier)));
                let words = if words.is_empty() { "plain".to_owned() } else { words.join(" ") };
                let _ = writeln!(dump, "{part:13} {name:13} {words}");
            }
        }
        insta::assert_snapshot!(dump);
    }
}
