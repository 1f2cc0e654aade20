use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use proptest::prelude::*;

use super::*;
use crate::model::rollout::SessionSource;

/// A slice that gives its bytes in reads of the given sizes, over and over.
struct Drip<'a> {
    bytes: &'a [u8],
    sizes: &'a [usize],
    reads: usize,
}

impl ReadAt for Drip<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads += 1;
        let rest = usize::try_from(offset).ok().and_then(|from| self.bytes.get(from..)).unwrap_or(&[]);
        let size = self.sizes[self.reads % self.sizes.len()];
        let length = rest.len().min(buffer.len()).min(size);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A line as a test compares it: offset, length, its bytes when it was held, its hash.
type Seen = (u64, u64, Option<Vec<u8>>, i64);

fn seen(line: &RawLine<'_>) -> Seen {
    let bytes = match line.body {
        Body::Whole(bytes) => Some(bytes.to_vec()),
        Body::Huge { .. } => None,
    };
    (line.offset, line.len, bytes, line.hash())
}

/// What the lines of `bytes` from `from` on are, found the plain way.
fn expected(bytes: &[u8], from: usize, max_line: usize) -> (Vec<Seen>, usize) {
    let mut lines = Vec::new();
    let mut at = from;
    while let Some(end) = bytes[at..].iter().position(|byte| *byte == b'\n') {
        let line = &bytes[at..at + end];
        let held = (line.len() <= max_line).then(|| line.to_vec());
        lines.push((at as u64, line.len() as u64, held, record_hash(line)));
        at += end + 1;
    }
    (lines, bytes.len() - at)
}

/// The anchor at `offset`, made from the whole text.
fn plain_anchor(bytes: &[u8], offset: usize) -> Anchor {
    Anchor::of(offset as u64, bytes, &bytes[..offset])
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_lines(
        pieces in prop::collection::vec(prop_oneof!["[a-z\\x00]{0,30}", Just("\n".to_owned()), "[x]{500,900}"], 0..60),
        sizes in prop::collection::vec(1usize..700, 1..5),
        chunk in 1usize..800,
        max_line in prop_oneof![Just(64usize), Just(100_000)],
        from_line in any::<prop::sample::Index>(),
    ) {
        let text = pieces.concat();
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        starts.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        let from = *from_line.get(&starts);
        let (lines, pending) = expected(bytes, from, max_line);

        let limits = Limits { max_line_bytes: max_line, chunk_bytes: chunk, ..Limits::default() };
        let mut source = Drip { bytes, sizes: &sizes, reads: 0 };
        let mut reader = Lines::new(&mut source, from as u64, limits).unwrap();
        let mut found = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            let line = seen(&line);
            let after = usize::try_from(line.0 + line.1).unwrap() + 1;
            found.push(line);
            prop_assert_eq!(reader.offset(), after as u64);
            let anchor = reader.anchor();
            let wanted = plain_anchor(bytes, after);
            prop_assert_eq!((anchor.tail_len, anchor.tail_sha256), (wanted.tail_len, wanted.tail_sha256));
        }
        prop_assert_eq!(found, lines);
        prop_assert_eq!((reader.pending_bytes(), reader.stop()), (pending as u64, Some(Stop::EndOfFile)));
        prop_assert_eq!(reader.offset(), (bytes.len() - pending) as u64);
        let anchor = reader.anchor();
        prop_assert_eq!(anchor.offset, reader.offset());
        prop_assert_eq!(anchor.verify(&mut source, bytes.len() as u64).unwrap(), Verdict::Same);
    }

    #[test]
    fn an_anchor_notices_every_other_byte(
        text in "[a-z\\n]{1,900}", at in any::<prop::sample::Index>(), changed in any::<prop::sample::Index>(),
    ) {
        let offset = at.index(text.len()) + 1;
        let anchor = plain_anchor(text.as_bytes(), offset);
        let verify = |bytes: &[u8]| {
            anchor.verify(&mut Drip { bytes, sizes: &[7], reads: 0 }, bytes.len() as u64).unwrap()
        };
        prop_assert_eq!(verify(text.as_bytes()), Verdict::Same);
        prop_assert_eq!(verify(&text.as_bytes()[..offset]), Verdict::Same);
        prop_assert_eq!(verify(&text.as_bytes()[..offset - 1]), Verdict::Truncated);
        let mut other = text.clone().into_bytes();
        let place = changed.index(offset);
        other[place] ^= 1;
        prop_assert_eq!(verify(&other), Verdict::PrefixChanged);
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn a_file_that_was_cut_and_grew_again_is_noticed_behind_the_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let line = format!("{}\n", "a".repeat(99));
    write(&path, &line.repeat(100));
    let file = RolloutFile::open(&path).unwrap();
    let mut lines = file.lines(0, Limits::default()).unwrap();
    while lines.next_line().unwrap().is_some() {}
    let anchor = lines.anchor();
    assert_eq!((anchor.offset, anchor.prefix_len, anchor.tail_len), (10_000, 4_096, 256));
    assert_eq!(file.verify(&anchor).unwrap(), Verdict::Same);

    write(&path, &format!("{}{}", line.repeat(90), "b".repeat(2_000)));
    assert_eq!(file.verify(&anchor).unwrap(), Verdict::AnchorLost);
    write(&path, &line.repeat(90));
    assert_eq!(file.verify(&anchor).unwrap(), Verdict::Truncated);
    // Another inode with the same beginning and anchor is as good.
    fs::remove_file(&path).unwrap();
    write(&path, &line.repeat(101));
    assert_eq!(RolloutFile::open(&path).unwrap().verify(&anchor).unwrap(), Verdict::Same);
}

#[test]
fn reading_stops_at_the_budget_and_goes_on_later() {
    let text = "one\ntwo\nthree\nfour";
    let mut source = Drip { bytes: text.as_bytes(), sizes: &[5], reads: 0 };
    let limits = Limits { budget_bytes: 5, ..Limits::default() };
    let mut reader = Lines::new(&mut source, 0, limits).unwrap();
    while reader.next_line().unwrap().is_some() {}
    assert_eq!((reader.offset(), reader.stop()), (8, Some(Stop::Budget)));

    let mut reader = Lines::new(&mut source, 8, Limits::default()).unwrap();
    assert_eq!(reader.next_line().unwrap().map(|line| (line.offset, line.len)), Some((8, 5)));
    assert!(reader.next_line().unwrap().is_none());
    assert_eq!((reader.offset(), reader.pending_bytes()), (14, 4));
    assert!(Lines::new(&mut source, 100, Limits::default()).is_err(), "the file is shorter than that");
}

#[test]
fn only_regular_files_are_opened_and_nothing_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let kind = |path: &Path| match RolloutFile::open(path) {
        Err(RolloutError::NotAFile { kind, .. }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(folder.path()), FileKind::Directory);
    assert_eq!(kind(Path::new("/dev/null")), FileKind::Device);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    assert_eq!(kind(&at("pipe")), FileKind::Pipe);
    let _listener = UnixListener::bind(at("socket")).unwrap();
    assert_eq!(kind(&at("socket")), FileKind::Socket);

    write(&at("real"), "x\n");
    symlink(at("real"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for link in ["link", "dangling"] {
        assert!(matches!(RolloutFile::open(&at(link)), Err(RolloutError::Symlink { .. })), "{link}");
    }
    assert!(matches!(RolloutFile::open(&at("none")), Err(RolloutError::Missing { .. })));
    assert!(matches!(RolloutFile::open(&at("real/below")), Err(RolloutError::Missing { .. })));
    write(&at("old.jsonl.zst"), "x");
    assert!(matches!(RolloutFile::open(&at("old.jsonl")), Err(RolloutError::Dormant { .. })));

    let file = RolloutFile::open(&at("real")).unwrap();
    assert_eq!(file.size().unwrap(), 2);
    assert_eq!(file.read_line_at(0, 1).unwrap(), b"x");
    assert!(file.read_line_at(0, u64::MAX).is_err());
}

#[test]
fn a_head_is_read_or_refused_for_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let head = |text: &str| {
        write(&path, text);
        read_head(&path)
    };
    let good = r#"{"timestamp":"2026-11-21T02:00:00.000Z","type":"session_meta","payload":{"id":"t","cwd":"/w","source":"cli"}}"#;
    for text in [format!("{good}\n"), good.to_owned(), format!("{good}\nrubbish\n")] {
        let head = head(&text).unwrap();
        assert_eq!((head.thread_id.as_str(), head.source), ("t", SessionSource::Cli));
    }
    let long = format!("{}\n", good.replace("\"cwd\"", &format!("\"x\":\"{}\",\"cwd\"", "y".repeat(300_000))));
    assert_eq!(head(&long).unwrap().cwd.as_deref(), Some("/w"));
    assert_eq!(head("{\"id\":\"u\",\"timestamp\":\"2025-09-01T00:00:00Z\",\"git\":{}}\n").unwrap().thread_id, "u");

    assert!(matches!(head(""), Err(HeadError::Empty)));
    assert!(matches!(head("\n"), Err(HeadError::NotJson)));
    assert!(matches!(head("\u{7f}ELF\0\n"), Err(HeadError::NotJson)));
    assert!(matches!(head(&good[..50]), Err(HeadError::Unfinished)));
    assert!(matches!(head("{\"type\":\"session_meta\",\"payload\":{\"id\":7}}\n"), Err(HeadError::MissingId)));
    let other = "{\"type\":\"event_msg\",\"payload\":{\"type\":\"error\"}}\n";
    assert!(matches!(head(other), Err(HeadError::NotSessionMeta { found }) if found == "event_msg:error"));
    assert!(matches!(head("[]\n"), Err(HeadError::NotSessionMeta { .. })));
    assert!(matches!(head(&"x".repeat(5_000_000)), Err(HeadError::TooLong)));
    fs::remove_file(&path).unwrap();
    assert!(matches!(read_head(&path), Err(HeadError::File(RolloutError::Missing { .. }))));
}

#[test]
fn rollouts_are_found_by_day_and_the_newest_of_a_thread_by_its_id() {
    let home = tempfile::tempdir().unwrap();
    let id = |number: u32| format!("01a1fbe2-536f-7ac3-bfaa-{number:012}");
    let put = |folder: &str, day: u32, number: u32, end: &str| {
        let folder = home.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("rollout-2026-11-{day:02}T02-14-36-{}.jsonl{end}", id(number)));
        write(&path, "{}\n");
        path
    };
    let old = put("sessions/2026/11/20", 20, 1, "");
    let new = put("sessions/2026/11/21", 21, 2, "");
    let dormant = put("sessions/2026/11/19", 19, 3, ".zst");
    put("sessions/2026/11/21", 21, 2, ".zst");
    let archived = put("archived_sessions", 18, 4, "");
    write(&home.path().join("sessions/2026/11/21/notes.jsonl"), "x");
    symlink(&new, home.path().join(format!("sessions/2026/11/21/rollout-2026-11-21T09-00-00-{}.jsonl", id(9))))
        .unwrap();

    assert_eq!(find_rollouts(home.path(), 100).unwrap(), [new.clone(), old.clone(), dormant, archived.clone()]);
    assert_eq!(find_rollouts(home.path(), 1).unwrap(), std::slice::from_ref(&new));
    assert!(find_rollouts(&home.path().join("none"), 9).unwrap().is_empty());

    let of = |id: &str| rollout_of_thread(home.path(), id);
    assert_eq!([of(&id(1).to_uppercase()), of(&id(2)), of(&id(4))], [Some(old), Some(new.clone()), Some(archived)]);
    assert_eq!([of(&id(3)), of(&id(5)), of("")], [None, None, None], "compressed, unknown, any");
    assert_eq!(of("01a1fbe2"), Some(new));
    // It goes on in another file, and its old ones are put away.
    let continued = put("sessions/2026/11/22", 22, 1, "");
    put("sessions/2026/11/23", 23, 1, ".zst");
    put("archived_sessions", 24, 1, "");
    assert_eq!(of(&id(1)), Some(continued));
}

#[test]
fn thread_ids_come_from_whole_file_names_only() {
    let id = "01a1fbe2-536f-7ac3-bfaa-af9af8b87c1e";
    let of = |name: String| thread_id_of(Path::new(&name)).map(str::to_owned);
    assert_eq!(of(format!("/x/rollout-2026-11-21T02-14-36-{id}.jsonl")).as_deref(), Some(id));
    assert_eq!(of(format!("rollout-2026-11-21T02-14-36-{id}.jsonl.zst")).as_deref(), Some(id));
    for name in ["rollout-2026-11-21T02-14-36-x.jsonl", "rollout-é026-11-21T02-14-36-.jsonl", "rollout-.jsonl", ""] {
        assert_eq!(of(name.to_owned()), None, "{name}");
    }
    assert_eq!(of(format!("rollout-2026-11-21T02-14-36-{id}.json")), None);
}

/// What it costs is measured from outside, where no other test adds to it: `tests/ingest/huge.rs`.
#[test]
fn a_line_of_100_mb_is_passed_over_and_the_next_one_is_intact() {
    const LENGTH: u64 = 100_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.jsonl");
    let head = br#"{"timestamp":"2026-11-21T02:00:00.000Z","type":"compacted","payload":{"message":""#;
    let mut file = File::create(&path).unwrap();
    file.write_all(b"first\n").unwrap();
    file.write_all(head).unwrap();
    // A hole: as long as any other line, but quickly made.
    file.set_len(6 + LENGTH).unwrap();
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    file.write_all(b"\nlast\n").unwrap();

    let file = RolloutFile::open(&path).unwrap();
    let mut lines = file.lines(0, Limits::default()).unwrap();
    assert_eq!(lines.next_line().unwrap().map(|line| line.len), Some(5));
    let huge = lines.next_line().unwrap().expect("the huge line");
    assert_eq!((huge.offset, huge.len), (6, LENGTH));
    let Body::Huge { head: kept, .. } = huge.body else { panic!("it is held") };
    assert!(kept.starts_with(head) && kept.len() == HEAD_BYTES);
    let record = crate::model::rollout::parse_huge(kept).unwrap();
    assert_eq!((record.kind.as_ref(), record.huge), ("compacted", true));
    let last = lines.next_line().unwrap().expect("the line behind it");
    assert_eq!((last.offset, last.body), (6 + LENGTH + 1, Body::Whole(&b"last"[..])));
    assert_eq!(file.verify(&lines.anchor()).unwrap(), Verdict::Same);
}

#[test]
fn an_unfinished_huge_line_is_pending_and_read_when_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing.jsonl");
    let limits = Limits { max_line_bytes: 1_000, chunk_bytes: 300, ..Limits::default() };
    write(&path, &format!("first\n{}", "x".repeat(5_000)));
    let file = RolloutFile::open(&path).unwrap();
    let mut lines = file.lines(0, limits).unwrap();
    assert!(lines.next_line().unwrap().is_some());
    let anchor = lines.anchor();
    assert!(lines.next_line().unwrap().is_none());
    assert_eq!((lines.offset(), lines.pending_bytes(), lines.anchor()), (6, 5_000, anchor.clone()));
    assert_eq!(file.verify(&anchor).unwrap(), Verdict::Same);
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"y\nnext\n").unwrap();
    let mut lines = file.lines(6, limits).unwrap();
    assert_eq!(lines.next_line().unwrap().map(|line| (line.offset, line.len)), Some((6, 5_001)));
    assert_eq!(lines.next_line().unwrap().map(|line| (line.offset, line.len)), Some((5_008, 4)));
}
