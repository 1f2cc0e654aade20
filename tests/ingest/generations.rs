//! What becomes of a rollout that is cut, replaced or gone: which bytes count, and what is noted.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    time::{Duration, Instant},
};

use conveyor::base::Kind;
use rustix::fs::{CWD, FileType, Mode};

use super::{World, assert_places, audit, oracle};
use crate::support::fixture_path;

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Puts another file at `path`, as an editor or a restore does.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("beside");
    fs::write(&beside, bytes).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// A rollout of thread 1 with this many numbered lines behind the head.
fn numbered(lines: u64) -> Vec<u8> {
    let mut all = vec![oracle::head(&oracle::thread(1))];
    all.extend((1..=lines).map(|number| oracle::said(Some(number), &format!("line {number}"))));
    oracle::file(&all)
}

#[track_caller]
fn assert_holds(world: &World, bytes: &[u8]) {
    let events = world.events("w");
    assert_eq!(oracle::stored(&events), oracle::rows(bytes));
    assert_places(bytes, &events);
    assert_eq!(world.file("w").next_offset, oracle::complete(bytes) as u64);
}

fn noted(world: &World) -> Option<String> {
    world.sql().query_row("select last_ingest_error from sessions where name = 'w'", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_cut_file_is_read_again_and_what_was_cut_is_kept_as_history() {
    let world = World::new();
    let whole = numbered(9);
    let path = world.worker("w", &whole);
    world.ingest("w");
    let shorter = numbered(4);
    fs::write(&path, &shorter).unwrap();
    let taken = world.ingest("w");
    assert_eq!((&taken["file_replaced"], &taken["new_events"]), (&true.into(), &0.into()));
    assert_holds(&world, &shorter);
    assert_eq!(world.file("w").generation, 2);
    let all: i64 = world.sql().query_row("select count(*) from codex_events", [], |row| row.get(0)).unwrap();
    assert_eq!(all, 10, "the five lines that were cut are still in the ledger");
    let cut = &audit(&world.sql(), "rollout_truncated")[0];
    assert_eq!((&cut["generation"], &cut["previous_offset"]), (&2.into(), &whole.len().into()));
    assert_eq!(world.run(&["tail", "w"]).as_array().unwrap().len(), 5, "but not part of what the file says");
}

#[test]
fn a_file_that_was_cut_and_grew_past_the_offset_is_noticed() {
    let world = World::new();
    let path = world.worker("w", &numbered(59));
    world.ingest("w");
    let mut other = numbered(54);
    assert!(other.len() > 4_096, "the beginning alone does not give it away");
    other.extend(oracle::file(&(55..80).map(|n| oracle::said(Some(n), &format!("other {n}"))).collect::<Vec<_>>()));
    fs::write(&path, &other).unwrap();
    assert_eq!(world.ingest("w")["new_events"], 25);
    assert_holds(&world, &other);
    assert_eq!(audit(&world.sql(), "rollout_replaced")[0]["verdict"], "AnchorLost");
}

#[test]
fn a_file_cut_to_nothing_is_an_error_until_it_is_there_again() {
    let world = World::new();
    let path = world.worker("w", &numbered(3));
    world.ingest("w");
    fs::write(&path, "").unwrap();
    let error = world.try_run(&["ingest", "w"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(noted(&world).unwrap().starts_with("rollout file is empty"));
    assert_holds(&world, &numbered(3));
    fs::write(&path, numbered(4)).unwrap();
    world.ingest("w");
    assert_eq!((world.file("w").generation, noted(&world)), (1, None), "the same bytes came back");
    assert_holds(&world, &numbered(4));
}

#[test]
fn the_same_bytes_in_another_inode_keep_the_offset() {
    let world = World::new();
    let path = world.worker("w", &numbered(5));
    world.ingest("w");
    // Codex packs a dormant rollout and writes it anew on resume.
    replace(&path, &numbered(7));
    let taken = world.ingest("w");
    assert_eq!((&taken["file_replaced"], &taken["new_events"]), (&false.into(), &2.into()));
    assert_holds(&world, &numbered(7));
}

#[test]
fn a_dormant_rollout_is_said_to_be_dormant_and_goes_on_when_it_is_back() {
    let world = World::new();
    let path = world.worker("w", &numbered(5));
    world.ingest("w");
    fs::rename(&path, path.with_extension("jsonl.zst")).unwrap();
    let error = world.try_run(&["ingest", "w"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.message().contains("dormant"), "{error}");
    assert_holds(&world, &numbered(5));
    fs::write(&path, numbered(6)).unwrap();
    assert_eq!(world.ingest("w")["new_events"], 1);
}

#[test]
fn a_migrated_rollout_replaces_the_old_one() {
    let legacy = fs::read(fixture_path("rollouts/legacy_session_continued.jsonl")).unwrap();
    let migrated = fs::read(fixture_path("rollouts/legacy_session_migrated.jsonl")).unwrap();
    // The two recordings are two sessions; give the new file the old one's thread, byte for byte as long.
    let id = |bytes: &[u8]| -> String {
        let first: serde_json::Value = serde_json::from_slice(oracle::lines(bytes)[0].1).unwrap();
        first["payload"]["id"].as_str().unwrap().to_owned()
    };
    let migrated = String::from_utf8(migrated.clone()).unwrap().replace(&id(&migrated), &id(&legacy)).into_bytes();
    let world = World::new();
    let path = world.worker("w", &legacy);
    world.ingest("w");
    let before = world.file("w");
    replace(&path, &migrated);
    let taken = world.ingest("w");
    assert_eq!(taken["file_replaced"], true);
    assert_holds(&world, &migrated);
    assert_eq!(world.file("w").generation, before.generation + 1);
    let fresh = World::new();
    fresh.worker("w", &migrated);
    fresh.ingest("w");
    let progress = |world: &World| -> String {
        world.sql().query_row("select progress_json from rollout_files", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(progress(&world), progress(&fresh), "nothing of the old file is left in what the lines add up to");
    let order: Vec<u64> = world
        .run(&["tail", "w", "--limit", "1000"])
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["byte_offset"].as_u64().unwrap())
        .collect();
    assert!(order.is_sorted_by(|newer, older| newer > older), "the newest line of the file is first: {order:?}");
}

#[test]
fn lines_that_were_kept_stand_where_the_new_file_has_them() {
    let world = World::new();
    let path = world.worker("w", &numbered(5));
    world.ingest("w");
    let text = String::from_utf8(numbered(5)).unwrap();
    let other = text.replace("codex-tui", "codex-exec").replace("line 3", "another third line").into_bytes();
    replace(&path, &other);
    world.ingest("w");
    assert_holds(&world, &other);
    let tail = world.run(&["tail", "w", "--include-content"]);
    let offsets: Vec<u64> =
        tail.as_array().unwrap().iter().map(|event| event["byte_offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets.len(), 6);
    assert!(offsets.is_sorted_by(|newer, older| newer > older), "the newest line of the file is first: {offsets:?}");
}

#[test]
fn another_threads_file_is_refused_and_noted() {
    for ingested_before in [true, false] {
        let world = World::new();
        let path = world.worker("w", &numbered(5));
        if ingested_before {
            world.ingest("w");
        }
        let before = (world.file("w"), world.events("w"));
        let foreign = oracle::file(&[oracle::head(&oracle::thread(2)), oracle::said(Some(1), "not yours")]);
        replace(&path, &foreign);
        let error = world.try_run(&["ingest", "w"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert!(error.message().contains(&oracle::thread(2)), "{error}");
        assert!(noted(&world).unwrap().contains("belongs to the Codex session"));
        assert_eq!((world.file("w"), world.events("w")), before, "nothing was stored");
        replace(&path, &numbered(6));
        world.ingest("w");
        assert_eq!(noted(&world), None);
        assert_holds(&world, &numbered(6));
    }
}

#[test]
fn a_cut_below_the_offset_is_noticed_while_a_huge_line_is_unfinished() {
    // The lines before an unfinished huge line are taken; the proof of the file has to reach as far as they do.
    let world = World::new();
    let mut bytes = numbered(3);
    let beginning = bytes.clone();
    bytes.extend_from_slice(br#"{"timestamp":"2026-11-21T02:00:01.000Z","type":"event_msg","payload":{"text":""#);
    bytes.extend(std::iter::repeat_n(b'x', 9 << 20));
    let path = world.worker("w", &bytes);
    let taken = world.ingest("w");
    assert_eq!(taken["pending_bytes"], bytes.len() - beginning.len());
    assert_holds(&world, &bytes);
    let shorter = numbered(2);
    fs::write(&path, &shorter).unwrap();
    assert_eq!(world.ingest("w")["file_replaced"], true);
    assert_holds(&world, &shorter);
}

#[test]
fn equal_ordinals_with_other_bytes_are_kept_and_marked_until_the_file_is_mended() {
    let world = World::new();
    let first = numbered(4);
    let path = world.worker("w", &first);
    // A bad line has no ordinal: that its line number is also 5 is no conflict.
    let fifth = |text: &str| oracle::said(Some(5), text);
    let other = oracle::file(&["junk".to_owned(), fifth("the fifth"), fifth("another fifth")]);
    append(&path, &other);
    world.ingest("w");
    let both = [first.clone(), other].concat();
    assert_holds(&world, &both);
    let marked = world.events("w").iter().filter(|event| event.flags & oracle::CONFLICT != 0).count();
    assert_eq!(marked, 2);
    fs::write(&path, &first).unwrap();
    world.ingest("w");
    assert_holds(&world, &first);
    assert!(world.events("w").iter().all(|event| event.flags & oracle::CONFLICT == 0), "no conflict is left");
}

#[test]
fn a_repeated_record_is_one_event_that_was_seen_twice() {
    let world = World::new();
    let line = oracle::file(&[oracle::said(Some(5), "line 5")]);
    let bytes = [numbered(5), line.clone(), line].concat();
    world.worker("w", &bytes);
    let taken = world.ingest("w");
    assert_eq!(taken["new_events"], 6);
    assert_holds(&world, &bytes);
    assert_eq!(world.events("w").last().unwrap().seen, 3);
}

#[test]
fn a_torn_record_with_the_whole_one_behind_it_is_one_event() {
    let world = World::new();
    let line = oracle::said(Some(6), "torn");
    let torn = [&line.as_bytes()[..40], line.as_bytes(), b"\n"].concat();
    let bytes = [numbered(5), torn].concat();
    world.worker("w", &bytes);
    assert_eq!(world.ingest("w")["skipped_lines"], 0);
    assert_holds(&world, &bytes);
    assert_eq!(world.run(&["tail", "w", "--limit", "1"])[0]["flags"], serde_json::json!(["torn_prefix"]));
}

#[test]
fn what_is_no_readable_file_is_an_error_that_never_blocks() {
    let world = World::new();
    let path = world.worker("w", &numbered(5));
    world.ingest("w");
    let kept = world.path("kept");
    let elsewhere = world.path("elsewhere.jsonl");
    fs::write(&elsewhere, numbered(6)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    type Case<'c> = (&'c str, Kind, &'c dyn Fn());
    let cases: &[Case<'_>] = &[
        ("rollout file does not exist", Kind::NotFound, &|| {}),
        ("rollout is a symbolic link", Kind::Refused, &|| symlink(&elsewhere, &path).unwrap()),
        ("rollout is no file but a pipe", Kind::Refused, &|| {
            rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        }),
        ("rollout is no file but a directory", Kind::Refused, &|| fs::create_dir(&path).unwrap()),
        ("rollout is no file but a socket", Kind::Refused, &|| {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        }),
        ("no permission to read", Kind::Io, &|| {
            fs::write(&path, numbered(6)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (message, kind, arrange) in cases {
        if is_root && *kind == Kind::Io {
            crate::support::say("skipped: root may read everything");
            continue;
        }
        fs::rename(&path, &kept).unwrap();
        arrange();
        let started = Instant::now();
        let error = world.try_run(&["ingest", "w"]).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(2), "{message}: it waited");
        assert_eq!(error.kind(), *kind, "{message}: {error}");
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.hint_text().is_some(), "{message}: no hint");
        assert_eq!(noted(&world).as_deref(), Some(error.message()));
        assert_holds(&world, &numbered(5));
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        fs::rename(&kept, &path).unwrap();
        world.ingest("w");
        assert_eq!(noted(&world), None, "{message}: the error goes away with its cause");
    }
}

#[test]
fn registering_the_same_path_again_keeps_the_offset() {
    let world = World::new();
    let path = world.worker("w", &numbered(5));
    world.ingest("w");
    let before = (world.file("w"), world.events("w"));
    world.register("w", &path);
    assert_eq!((world.file("w"), world.events("w")), before);
    assert_eq!(world.ingest("w")["new_events"], 0);
}

#[test]
fn a_session_that_moves_to_another_file_and_back_takes_up_each_where_it_was_left() {
    let world = World::new();
    let first = world.worker("w", &numbered(5));
    world.ingest("w");
    let second = world.path("second.jsonl");
    fs::write(&second, oracle::file(&[oracle::head(&oracle::thread(2)), oracle::said(Some(1), "second")])).unwrap();
    world.register("w", &second);
    assert_eq!(world.ingest("w")["new_events"], 2);
    append(&first, &oracle::file(&[oracle::said(Some(6), "line 6")]));
    world.register("w", &first);
    assert_eq!(world.ingest("w")["new_events"], 1, "only what was added in the meantime");
    assert_holds(&world, &numbered(6));
}

#[test]
fn a_busy_ledger_is_an_error_and_the_offset_stays() {
    let world = World::new();
    world.worker("w", &numbered(5));
    let holder = world.sql();
    holder.execute_batch("begin immediate").unwrap();
    // A ledger that was opened for reading waits one second only.
    let impatient = world.other_context(false);
    impatient.ledger().unwrap();
    let error = super::run(&impatient, &["ingest", "w"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    holder.execute_batch("rollback").unwrap();
    assert_eq!(world.file("w").next_offset, 0);
    world.ingest("w");
    assert_holds(&world, &numbered(5));
}
