//! Whether the terminal's background is light or dark: asked of the terminal, once, before anything else is read from it.

use std::{io, thread, time::Duration};

use rustix::termios::{QueueSelector, tcflush};
use terminal_colorsaurus::{Error, QueryOptions, background_color};

use super::theme::ThemeName;

/// A terminal that answers does so within milliseconds, one behind a slow line within this time.
const PATIENCE: Duration = Duration::from_millis(300);

/// An answer that was too late is thrown away when it comes within this time.
const LATE: Duration = Duration::from_millis(200);

/// Backgrounds of more than this perceived lightness are light.
const LIGHT: f32 = 0.5;

/// The theme that suits terminal and environment.
pub(super) fn theme(no_color: Option<&str>, colorfgbg: Option<&str>) -> ThemeName {
    let of_environment = ThemeName::detect(no_color, colorfgbg);
    if of_environment == ThemeName::Mono {
        return of_environment;
    }
    is_light().map_or(of_environment, |is_light| if is_light { ThemeName::Light } else { ThemeName::Dark })
}

/// What the terminal says; none when it does not.
fn is_light() -> Option<bool> {
    let mut options = QueryOptions::default();
    options.timeout = PATIENCE;
    match background_color(options) {
        Ok(colour) => Some(colour.perceived_lightness() > LIGHT),
        Err(Error::Timeout(_)) => {
            // What comes now would be taken for keys.
            thread::sleep(LATE);
            let _ = tcflush(io::stdin(), QueueSelector::IFlush);
            None
        }
        Err(_) => None,
    }
}
