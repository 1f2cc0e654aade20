//! The cockpit's configuration file: how it looks, how it calls you, which keys it takes.
//!
//! It decides about the cockpit only; what a headless command does never depends on it. Whatever cannot be understood
//! is refused with its place, so that no setting is silently without effect.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read as _},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    actions::Outcome,
    base::{Error, Result},
    ports::env::Env,
    tui::{
        calls::{Protocol, Ringing},
        columns::{self, Column},
        keymap::{Intent, Key, Keymap, KeymapError, Place, Rebinding},
        theme::ThemeName,
    },
};

/// A file of more bytes is none of ours.
const LARGEST: u64 = 256 * 1024;

/// For how many seconds something has to last before it calls, unless the file says otherwise.
const DWELL_SECONDS: u32 = 5;

/// Longer than this nobody waits for a call.
const LONGEST_DWELL: u32 = 3_600;

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    theme: Option<ThemeName>,
    ascii: bool,
    mouse: Option<bool>,
    notifications: Notifications,
    fleet: Fleet,
    /// For each place the keys of some meanings.
    keys: BTreeMap<Place, BTreeMap<Intent, Spanned<Vec<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fleet {
    columns: Option<Vec<Column>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Notifications {
    how: Option<Ringing>,
    dwell_seconds: Option<Spanned<u32>>,
    protocol: Option<Protocol>,
}

/// What the file says, understood.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) theme: Option<ThemeName>,
    pub(super) ascii: bool,
    pub(super) mouse: bool,
    pub(super) ringing: Ringing,
    pub(super) dwell: u32,
    pub(super) protocol: Option<Protocol>,
    pub(super) keymap: Keymap,
    pub(super) columns: Vec<Column>,
    rebindings: Vec<Rebinding>,
}

/// Reads the configuration; without a file all is as it comes.
///
/// # Errors
/// When a file that was named is not there, or cannot be read or understood.
pub(super) fn load(env: &Env) -> Result<Config> {
    understand(&read(env)?.unwrap_or_default(), &place(env))
}

fn place(env: &Env) -> String {
    env.config.as_ref().map_or_else(|| "the configuration".to_owned(), |config| config.path.display().to_string())
}

/// The text of the file; none when there is none and nobody named it.
fn read(env: &Env) -> Result<Option<String>> {
    let Some(config) = &env.config else { return Ok(None) };
    let failed = |error: io::Error| {
        Error::io(format!("cannot read the configuration {}", config.path.display()))
            .hint("$CONVEYOR_CONFIG names the file; without it ~/.config/conveyor/config.toml is read when it is there")
            .caused_by(error)
    };
    match fs::metadata(&config.path) {
        // A pipe or a device may have no end, and opening it may wait for ever.
        Ok(about) if !about.is_file() => {
            return Err(Error::usage(format!("{} is no regular file", config.path.display())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && !config.is_named => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(&config.path).map_err(failed)?;
    // What is read is measured: the length that a file is said to have need not be its own, as below /proc.
    let length = file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if length as u64 > LARGEST {
        return Err(Error::usage(format!("{} is too large for a configuration", config.path.display())));
    }
    String::from_utf8(bytes).map(Some).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn understand(text: &str, place: &str) -> Result<Config> {
    let refuse = |span: Option<Range<usize>>, what: &str| {
        let at = span.map_or_else(String::new, |span| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!(":{line}:{column}")
        });
        Error::usage(format!("{place}{at}: {what}"))
            .hint("`conveyor config` shows what is understood; docs/configuration.md lists all settings")
    };
    let file: File = toml::from_str(text).map_err(|error| refuse(error.span(), error.message()))?;
    let dwell = match &file.notifications.dwell_seconds {
        None => DWELL_SECONDS,
        Some(dwell) if *dwell.get_ref() <= LONGEST_DWELL => *dwell.get_ref(),
        Some(dwell) => {
            return Err(refuse(Some(dwell.span()), &format!("dwell_seconds is at most {LONGEST_DWELL}")));
        }
    };
    let (mut rebindings, mut spans) = (Vec::new(), Vec::new());
    for (place, meanings) in &file.keys {
        for (intent, names) in meanings {
            let keys: Result<Vec<Key>, _> = names.get_ref().iter().map(|name| name.parse::<Key>()).collect();
            let keys = keys.map_err(|error| refuse(Some(names.span()), &error.to_string()))?;
            rebindings.push(Rebinding { place: *place, intent: *intent, keys });
            spans.push(names.span());
        }
    }
    let keymap = Keymap::with(&rebindings).map_err(|error| {
        let concerned = rebindings.iter().position(|one| match &error {
            KeymapError::Fixed(place) => one.place == *place,
            KeymapError::Unknown(place, intent) => (one.place, one.intent) == (*place, *intent),
            KeymapError::Needed(intent) => one.intent == *intent,
            KeymapError::Conflict { first, second, .. } => one.intent == *first || one.intent == *second,
        });
        refuse(concerned.map(|index| spans[index].clone()), &error.to_string())
    })?;
    Ok(Config {
        theme: file.theme,
        ascii: file.ascii,
        mouse: file.mouse.unwrap_or(true),
        ringing: file.notifications.how.unwrap_or(Ringing::Bell),
        dwell,
        protocol: file.notifications.protocol,
        keymap,
        columns: file.fleet.columns.unwrap_or_else(|| columns::DEFAULT.to_vec()),
        rebindings,
    })
}

/// `conveyor config`: where the file is and what it comes to.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    ascii: bool,
    /// Of a row of the fleet, at its right end.
    columns: Vec<Column>,
    /// Where it is looked for.
    file: Option<String>,
    found: bool,
    /// Only those that differ from the table.
    keys: Vec<ShownKeys>,
    mouse: bool,
    notifications: ShownNotifications,
    /// None: the terminal decides.
    theme: Option<ThemeName>,
}

#[derive(Debug, Serialize)]
struct ShownKeys {
    intent: Intent,
    keys: Vec<String>,
    place: Place,
}

#[derive(Debug, Serialize)]
struct ShownNotifications {
    dwell_seconds: u32,
    how: Ringing,
    /// None: the environment decides.
    protocol: Option<Protocol>,
}

/// Reads and shows it.
///
/// # Errors
/// As [`load`].
pub(super) fn show(env: &Env) -> Result<Shown> {
    let text = read(env)?;
    let config = understand(text.as_deref().unwrap_or_default(), &place(env))?;
    let names = |keys: &[Key]| keys.iter().map(|key| key.name()).collect();
    Ok(Shown {
        ascii: config.ascii,
        columns: config.columns,
        file: env.config.as_ref().map(|config| config.path.display().to_string()),
        found: text.is_some(),
        keys: config
            .rebindings
            .iter()
            .map(|one| ShownKeys { intent: one.intent, keys: names(&one.keys), place: one.place })
            .collect(),
        mouse: config.mouse,
        notifications: ShownNotifications {
            dwell_seconds: config.dwell,
            how: config.ringing,
            protocol: config.protocol,
        },
        theme: config.theme,
    })
}

impl Outcome for Shown {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let file = self.file.as_deref().unwrap_or("no place: neither HOME nor CONVEYOR_CONFIG is set");
        writeln!(out, "{file}{}", if self.found { "" } else { " (not there; all is as it comes)" })?;
        writeln!(out, "theme          {}", self.theme.map_or("the terminal decides", ThemeName::as_str))?;
        writeln!(out, "ascii          {}", self.ascii)?;
        writeln!(out, "mouse          {}", self.mouse)?;
        let columns: Vec<&str> = self.columns.iter().map(|column| column.as_str()).collect();
        writeln!(out, "fleet columns  {}", columns.join(", "))?;
        let Self { notifications, .. } = self;
        let protocol = notifications.protocol.map_or("the environment decides", Protocol::as_str);
        writeln!(out, "notifications  {}, after {} s, {protocol}", notifications.how, notifications.dwell_seconds)?;
        for ShownKeys { intent, keys, place } in &self.keys {
            let keys = if keys.is_empty() { "(no key)".to_owned() } else { keys.join(", ") };
            writeln!(out, "key            {place}: {intent} = {keys}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::env::ConfigFile;

    #[test]
    fn a_file_without_an_end_is_refused_and_a_long_one_too() {
        let mut env = Env::read(None).unwrap();
        let mut message = |path: &std::path::Path| {
            env.config = Some(ConfigFile { path: path.to_owned(), is_named: true });
            read(&env).map(|text| text.unwrap_or_default().len()).map_err(|error| error.message().to_owned())
        };
        let endless = message(std::path::Path::new("/dev/zero")).unwrap_err();
        assert!(endless.contains("is no regular file"), "{endless}");
        let folder = tempfile::tempdir().unwrap();
        assert!(message(folder.path()).unwrap_err().contains("is no regular file"));
        let file = folder.path().join("config.toml");
        fs::write(&file, "#".repeat(LARGEST as usize)).unwrap();
        assert_eq!(message(&file), Ok(LARGEST as usize));
        fs::write(&file, "#".repeat(LARGEST as usize + 1)).unwrap();
        assert!(message(&file).unwrap_err().contains("is too large"));
    }

    fn refused(text: &str) -> String {
        understand(text, "config.toml").map(|_| ()).unwrap_err().message().to_owned()
    }

    #[test]
    fn nothing_is_what_comes() {
        let config = understand("", "config.toml").unwrap();
        assert_eq!((config.theme, config.ascii, config.mouse), (None, false, true));
        assert_eq!((config.ringing, config.dwell, config.protocol), (Ringing::Bell, 5, None));
        assert!(config.rebindings.is_empty());
    }

    #[test]
    fn every_setting_is_understood() {
        let config = understand(
            "theme = \"colour-blind\"\nascii = true\nmouse = false\n\
             [notifications]\nhow = \"desktop\"\ndwell_seconds = 30\nprotocol = \"osc777\"\n\
             [keys.screen]\nnudge = [\"z\", \"F2\"]\npause = [\"F3\"]\n[keys.fleet]\nraw_pane = []\n\
             [fleet]\ncolumns = [\"context\"]\n",
            "config.toml",
        )
        .unwrap();
        assert_eq!((config.theme, config.ascii, config.mouse), (Some(ThemeName::ColourBlind), true, false));
        assert_eq!((config.ringing, config.dwell, config.protocol), (Ringing::Desktop, 30, Some(Protocol::Osc777)));
        let key = |place, intent| config.keymap.key_of(&[place], intent);
        assert_eq!(key(Place::Screen, Intent::Nudge).as_deref(), Some("z"));
        assert_eq!(key(Place::Screen, Intent::Pause).as_deref(), Some("F3"));
        assert_eq!(key(Place::Fleet, Intent::RawPane), None);
        assert_eq!(config.columns, [Column::Context]);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        let cases = [
            ("ascii = true\ncolour = \"red\"\n", "config.toml:2:1: unknown field `colour`"),
            ("theme = \"pink\"\n", "config.toml:1:9: `pink` is not one of dark, light"),
            ("[notifications]\nhow = \"loud\"\n", "config.toml:2:7: `loud` is not one of off, bell, desktop"),
            ("[notifications]\ndwell_seconds = 9999\n", "config.toml:2:17: dwell_seconds is at most 3600"),
            ("[keys.screen]\nnudge = [\"nn\"]\n", "config.toml:2:9: `nn` is no key"),
            ("[keys.nowhere]\nnudge = [\"m\"]\n", "`nowhere` is not one of always, screen"),
            ("[keys.screen]\nfly = [\"m\"]\n", "`fly` is not one of down, up"),
            ("\n[keys.screen]\nnudge = [\"q\"]\n", "config.toml:3:9: q would mean both nudge and quit in screen"),
            ("[keys.confirm]\nyes = [\"q\"]\n", "config.toml:2:7: the keys confirm are fixed"),
            ("[keys.screen]\nquit = []\n", "config.toml:2:8: quit needs at least one key"),
            ("theme = \"dark\n", "config.toml:1:14: "),
        ];
        for (text, expected) in cases {
            let message = refused(text);
            assert!(message.contains(expected), "{text}\n{message}");
        }
    }
}
