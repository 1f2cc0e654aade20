//! Reads what tmux prints. Lines hold fields of a fixed alphabet first and one free text last, so that no
//! session name, title or path can be taken for another field.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use super::{PaneId, PaneInfo, ServerInfo, ServerSettings, SessionId, SessionInfo, Shot, Size, TmuxError, TmuxVersion};
use crate::base::{Timestamp, text};

/// Stands for a line feed in a path or program name, which would otherwise begin a forged line.
const HIDDEN_NEWLINE: char = '\u{fffd}';

/// Longest title and program name that is kept.
const MAX_TEXT: usize = 300;

/// The fields of a pane; the session name comes last.
const PANE_FIELDS: &str = "#{pane_id} #{session_id} #{pane_pid} #{pane_dead} x#{pane_dead_status} #{pane_in_mode} \
     #{pane_width} #{pane_height} x#{alternate_on} x#{window_activity} #{pane_active} #{window_active} #{session_attached}";

/// The formats of the four lists that together describe panes: each line begins with its list and the pane.
pub(super) fn pane_formats() -> [String; 4] {
    let free = |name: &str| format!("#{{s/\n/{HIDDEN_NEWLINE}/:{name}}}");
    [
        format!("p {PANE_FIELDS} {}", free("session_name")),
        format!("c #{{pane_id}} {}", free("pane_current_command")),
        format!("t #{{pane_id}} {}", free("pane_title")),
        format!("d #{{pane_id}} {}", free("pane_current_path")),
    ]
}

/// Reads the output of the four lists.
pub(super) fn panes(output: &[u8]) -> Result<Vec<PaneInfo>, TmuxError> {
    let mut panes: Vec<PaneInfo> = Vec::new();
    for line in lines(output) {
        let bad = || unreadable("list-panes", line);
        match line.get(..2).ok_or_else(bad)? {
            b"p " => {
                let pane = pane(&String::from_utf8_lossy(&line[2..])).ok_or_else(bad)?;
                // A window linked into several sessions is listed once for each.
                if !panes.iter().any(|known| known.id == pane.id) {
                    panes.push(pane);
                }
            }
            list @ (b"c " | b"t " | b"d ") => {
                let (id, free) = split(&line[2..]);
                let id: PaneId = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).ok_or_else(bad)?;
                if let Some(pane) = panes.iter_mut().find(|pane| pane.id == id) {
                    match list {
                        b"c " => pane.current_command = shown(free),
                        b"t " => pane.title = shown(free),
                        _ => pane.current_path = path(free),
                    }
                }
            }
            _ => return Err(bad()),
        }
    }
    Ok(panes)
}

fn pane(line: &str) -> Option<PaneInfo> {
    let mut fields = line.splitn(14, ' ');
    Some(PaneInfo {
        id: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
        pid: fields.next()?.parse().ok()?,
        dead: fields.next()? != "0",
        dead_status: fields.next()?.strip_prefix('x')?.parse().ok(),
        in_mode: fields.next()? != "0",
        size: Size { width: fields.next()?.parse().ok()?, height: fields.next()?.parse().ok()? },
        alternate_on: fields.next()? == "x1",
        output_at: fields.next()?.strip_prefix('x')?.parse().ok(),
        active: fields.next()? == "1",
        window_active: fields.next()? == "1",
        session_attached: fields.next()?.parse().ok()?,
        session_name: fields.next()?.to_owned(),
        current_command: String::new(),
        title: String::new(),
        current_path: None,
    })
}

/// The line in front of a captured screen.
pub(super) const SHOT_FORMAT: &str = "#{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{cursor_flag} #{pane_pid} #{pane_dead} \
     #{pane_in_mode}";

/// Reads a line of [`SHOT_FORMAT`] and the screen behind it.
pub(super) fn shot(output: &[u8]) -> Result<Shot, TmuxError> {
    let text = String::from_utf8_lossy(output);
    let (about, screen) = text.split_once('\n').unwrap_or((&text, ""));
    let numbers: Option<Vec<u32>> = about.split(' ').map(|word| word.parse().ok()).collect();
    let bad = || unreadable("display-message", about.as_bytes());
    let Some(&[width, height, x, y, shown, pid, dead, in_mode]) = numbers.as_deref() else { return Err(bad()) };
    let side = |value: u32| u16::try_from(value).map_err(|_| bad());
    let cursor = if shown > 0 { Some((side(x)?, side(y)?)) } else { None };
    Ok(Shot {
        text: screen.to_owned(),
        size: Size { width: side(width)?, height: side(height)? },
        cursor,
        pid,
        dead: dead > 0,
        in_mode: in_mode > 0,
    })
}

/// Reads so many screens, each with a line `end` behind it.
pub(super) fn screens(output: &[u8], end: &str, count: usize) -> Result<Vec<String>, TmuxError> {
    let text = String::from_utf8_lossy(output);
    let mut screens: Vec<String> = text.split(&format!("{end}\n")).map(str::to_owned).collect();
    match screens.pop() {
        Some(rest) if rest.is_empty() && screens.len() == count => Ok(screens),
        rest => Err(unreadable("capture-pane", rest.unwrap_or_default().as_bytes())),
    }
}

fn shown(free: &[u8]) -> String {
    text::bounded(&text::one_line(&text::clean(&String::from_utf8_lossy(free))), MAX_TEXT)
}

fn path(free: &[u8]) -> Option<PathBuf> {
    let mut hidden = [0; 4];
    let hidden = HIDDEN_NEWLINE.encode_utf8(&mut hidden).as_bytes();
    let unprintable = free.windows(hidden.len()).any(|part| part == hidden);
    (free.starts_with(b"/") && !unprintable).then(|| PathBuf::from(OsString::from_vec(free.to_vec())))
}

/// The format of a session; the name comes last.
pub(super) const SESSION_FORMAT: &str = "#{session_id} #{session_attached} #{session_name}";

/// Reads a list of [`SESSION_FORMAT`].
pub(super) fn sessions(output: &[u8]) -> Result<Vec<SessionInfo>, TmuxError> {
    lines(output)
        .map(|line| {
            let text = String::from_utf8_lossy(line);
            let mut fields = text.splitn(3, ' ');
            let mut session = || {
                Some(SessionInfo {
                    id: fields.next()?.parse().ok()?,
                    attached: fields.next()?.parse().ok()?,
                    name: fields.next()?.to_owned(),
                })
            };
            session().ok_or_else(|| unreadable("list-sessions", line))
        })
        .collect()
}

/// The format of a pane that was just made; the session name comes last.
pub(super) const MADE_FORMAT: &str = "#{session_id} #{pane_id} #{pane_pid} #{session_name}";

/// The format of a socket path, asked for in a line of its own.
pub(super) const SOCKET_FORMAT: &str = "#{socket_path}";

/// What tmux says about a pane that was just made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) session: SessionId,
    pub(super) pane: PaneId,
    pub(super) pid: u32,
    pub(super) session_name: String,
    pub(super) socket: String,
}

/// Reads [`MADE_FORMAT`] and [`SOCKET_FORMAT`].
pub(super) fn made(command: &str, output: &[u8]) -> Result<Made, TmuxError> {
    let text = String::from_utf8_lossy(output);
    let read = || {
        let mut lines = text.lines();
        let mut fields = lines.next()?.splitn(4, ' ');
        Some(Made {
            session: fields.next()?.parse().ok()?,
            pane: fields.next()?.parse().ok()?,
            pid: fields.next()?.parse().ok()?,
            session_name: fields.next()?.to_owned(),
            socket: lines.next()?.to_owned(),
        })
    };
    read().ok_or_else(|| unreadable(command, output))
}

/// The format of the server, but for its socket.
pub(super) const SERVER_FORMAT: &str = "#{pid} #{start_time} #{version}";

/// Reads [`SERVER_FORMAT`] and [`SOCKET_FORMAT`].
pub(super) fn server(output: &[u8]) -> Result<ServerInfo, TmuxError> {
    let text = String::from_utf8_lossy(output);
    let read = || {
        let mut lines = text.lines();
        let mut fields = lines.next()?.splitn(3, ' ');
        Some(ServerInfo {
            pid: fields.next()?.parse().ok()?,
            started_at: Timestamp::from_millis(fields.next()?.parse::<i64>().ok()?.checked_mul(1000)?),
            version: version(fields.next()?),
            socket: lines.next()?.to_owned(),
        })
    };
    read().ok_or_else(|| unreadable("display-message", output))
}

/// The format of the settings; options can be named in formats like everything else.
pub(super) const SETTINGS_FORMAT: &str =
    "x#{escape-time} x#{focus-events} x#{remain-on-exit} x#{allow-passthrough} x#{prefix}";

/// Reads [`SETTINGS_FORMAT`]; a word behind an `x` is empty when the server knows no such setting.
pub(super) fn settings(output: &[u8]) -> Result<ServerSettings, TmuxError> {
    let text = String::from_utf8_lossy(output);
    let words: Option<Vec<&str>> = text.trim_end().split(' ').map(|word| word.strip_prefix('x')).collect();
    let Some([escape_time, focus_events, remain_on_exit, passthrough, prefix]) = words.as_deref() else {
        return Err(unreadable("display-message", output));
    };
    let is_on = |word: &str| (!word.is_empty()).then_some(!matches!(word, "0" | "off"));
    Ok(ServerSettings {
        escape_time: escape_time.parse().ok(),
        focus_events: is_on(focus_events),
        remain_on_exit: is_on(remain_on_exit),
        passthrough: is_on(passthrough),
        prefix: (!matches!(*prefix, "" | "None")).then(|| text::one_line(&text::clean(prefix))),
    })
}

/// Reads `3.3a`, `next-3.6`, `3.4-rc2`; none for builds that name no release of tmux (`master`, `openbsd-7.5`).
pub(super) fn version(text: &str) -> Option<TmuxVersion> {
    let text = text.trim();
    let (numbers, is_next) = text.strip_prefix("next-").map_or((text, false), |rest| (rest, true));
    let (major, rest) = numbers.split_once('.')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (minor, suffix) = rest.split_at(digits);
    let suffix = if is_next { "next" } else { suffix };
    Some(TmuxVersion { major: major.parse().ok()?, minor: minor.parse().ok()?, suffix: suffix.to_owned() })
}

/// What a failed tmux command means, by what it printed.
pub(super) fn failure(command: &str, stderr: &str) -> TmuxError {
    let said = text::bounded(&text::one_line(&text::clean(stderr)), MAX_TEXT);
    let lower = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if let Some(name) = said.strip_prefix("duplicate session: ") {
        return TmuxError::Exists(name.to_owned());
    }
    // Most commands say "can't find", those about options "no such".
    let missing = said.split_once("can't find ").or_else(|| said.split_once("no such "));
    let kinds = ["pane: ", "window: ", "session: ", "client: "];
    if let Some((_, thing)) = missing.filter(|(_, thing)| kinds.iter().any(|kind| thing.starts_with(kind))) {
        return TmuxError::NotFound(thing.to_owned());
    }
    if has(&["permission denied", "operation not permitted", "not authorized", "not authorised", "access not allowed"])
    {
        return TmuxError::PermissionDenied(said);
    }
    if has(&["no server running", "error connecting to", "server exited", "lost server"]) {
        return TmuxError::NoServer(said);
    }
    TmuxError::Failed { command: command.to_owned(), stderr: said }
}

pub(super) fn unreadable(command: &str, answer: &[u8]) -> TmuxError {
    let answer = text::bounded(&text::one_line(&text::clean(&String::from_utf8_lossy(answer))), MAX_TEXT);
    TmuxError::Unreadable { command: command.to_owned(), answer }
}

fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(blank) => (&line[..blank], &line[blank + 1..]),
        None => (line, &[]),
    }
}
