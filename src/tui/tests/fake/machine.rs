//! What is found on the machine of that fleet.

use super::fleet::ago;
use crate::actions::{Adoptable, Area, Checkup, Finding, Found, KnownBy, UnknownPlace, Unregistered, Verdict};

/// Two sessions that run unregistered, and one of which nobody knows what it is.
pub fn unregistered() -> Unregistered {
    Unregistered {
        sessions: vec![
            Found {
                thread_id: "019a2b3c-0000-7000-8000-00000000000a".into(),
                cwd: Some("/home/me/lexer".into()),
                known_by: vec![KnownBy::OpenRollout, KnownBy::Screen],
                tmux_session: Some("work".into()),
                pid: Some(4_711),
                about: Some("Make the lexer faster".into()),
            },
            Found {
                thread_id: "019a2b3c-0000-7000-8000-00000000000b".into(),
                cwd: Some("/home/me/docs".into()),
                known_by: vec![KnownBy::Server],
                tmux_session: None,
                pid: None,
                about: None,
            },
        ],
        unknown: vec![UnknownPlace::default()],
    }
}

/// One finding of each verdict, and a session that can be adopted.
pub fn checkup() -> Checkup {
    let finding = |area, about: &str, verdict, message: &str, remedy: Option<&str>| Finding {
        area,
        about: about.into(),
        verdict,
        message: message.into(),
        remedy: remedy.map(Into::into),
    };
    Checkup {
        taken_at: ago(40),
        findings: vec![
            finding(
                Area::Drift,
                "w4",
                Verdict::Problem,
                "its pane %9 is gone; its process 812 has ended",
                Some("`conveyor resume w4`"),
            ),
            finding(
                Area::Installation,
                "tmux escape time",
                Verdict::Remark,
                "500 ms: Esc is passed on only after that time",
                Some("`tmux set -s escape-time 10`"),
            ),
            finding(Area::Drift, "m2", Verdict::Unchecked, "process 77 cannot be looked at", None),
            finding(Area::Installation, "tmux", Verdict::Fine, "/usr/bin/tmux, 3.4", None),
            finding(Area::Ledger, "integrity", Verdict::Fine, "every page is sound", None),
        ],
        adoptable: vec![Adoptable {
            thread_id: Some("019a2b3c-0000-7000-8000-000000000009".into()),
            cwd: Some("/home/me/other".into()),
            tmux_session: Some("main".into()),
            preview: Some("Write the changelog.".into()),
        }],
    }
}
