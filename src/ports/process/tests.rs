use super::*;

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn codex_is_told_by_its_command_line() {
    use CodexProcessKind::{Exec, Helper, Server, Terminal, Wrapper};
    let cases = [
        ("node /usr/local/bin/codex", Some(Wrapper)),
        ("node /usr/lib/node_modules/@openai/codex/bin/codex.js --no-daemon", Some(Wrapper)),
        ("node --max-old-space-size=99 /opt/bin/codex exec hi", Some(Wrapper)),
        ("codex", Some(Terminal)),
        ("/opt/vendor/codex/codex --no-daemon", Some(Terminal)),
        ("codex -c tui.x=1 -m gpt resume 01a1fc1f", Some(Terminal)),
        ("codex fix the exec bug", Some(Terminal)),
        ("codex -C /tmp -- exec", Some(Terminal)),
        ("codex-x86_64-unknown-linux-musl", Some(Terminal)),
        ("codex app-server --listen unix:// --analytics-default-enabled --managed-daemon", Some(Server)),
        ("codex app-server", Some(Server)),
        ("codex -c a=b app-server --listen ws://127.0.0.1:1", Some(Server)),
        ("codex app-server daemon pid-update-loop", Some(Helper)),
        ("codex app-server proxy", Some(Helper)),
        ("codex-code-mode-host --listen grpc+stdio://", Some(Helper)),
        ("codex-linux-sandbox --x", Some(Helper)),
        ("codex --model exec", Some(Terminal)),
        ("codex -s read-only exec do it", Some(Exec)),
        ("codex exec resume --last", Some(Exec)),
        ("codex queue --thread x --message y", Some(Helper)),
        ("codex --version", Some(Helper)),
        ("vim codex", None),
        ("tail -f /home/me/.codex/sessions/rollout-1.jsonl", None),
        ("node server.js codex", None),
        ("node codex", None),
        ("bash -c codex", None),
        ("codexctl", None),
        ("", None),
    ];
    for (line, expected) in cases {
        assert_eq!(codex::kind_of(&words(line)), expected, "{line}");
    }
    assert_eq!(codex::kind_of(&[]), None);
}

#[test]
fn a_tree_is_breadth_first_and_ends() {
    let parents = [(9, 2), (2, 1), (3, 1), (4, 2), (5, 4), (7, 7), (8, 6)];
    assert_eq!(breadth_first(1, &parents), [1, 2, 3, 4, 9, 5]);
    assert_eq!(breadth_first(7, &parents), [7]);
    assert_eq!(breadth_first(10, &[(11, 10), (10, 11)]), [10, 11]);
    let many: Vec<(u32, u32)> = (2..5000).map(|pid| (pid, 1)).collect();
    assert_eq!(breadth_first(1, &many).len(), MAX_TREE);
}

#[test]
fn rollouts_and_locks_are_told_by_name() {
    assert!(is_rollout(Path::new("/a b/rollout-2026-11-21T01-02-03-x.jsonl")));
    assert!(!is_rollout(Path::new("/a/rollout-1.jsonl (deleted)")));
    assert!(!is_rollout(Path::new("/a/history.jsonl")));
    assert!(is_writer_lock(Path::new("/h/thread-writer-locks/01a1.lock")));
    assert!(!is_writer_lock(Path::new("/h/other/01a1.lock")));
}

#[test]
fn stored_numbers_make_a_process_only_when_they_can_be_one() {
    assert_eq!(ProcessId::from_stored(7, 99), Some(ProcessId { pid: 7, start_ticks: 99 }));
    assert_eq!([ProcessId::from_stored(0, 9), ProcessId::from_stored(-1, 9), ProcessId::from_stored(7, -1)], [None; 3]);
}

#[test]
fn the_scripted_table_never_hits_a_reused_pid() {
    let table = ScriptedProcesses::default();
    let old = ProcessId { pid: 7, start_ticks: 1 };
    table.put(ScriptedProcess::new(7, 2, &["codex"]));
    assert_eq!(table.liveness(old), Liveness::Reused);
    assert_eq!(table.signal(old, ProcessSignal::Kill).unwrap(), SignalOutcome::Reused);
    assert_eq!(table.signals(), []);
    let new = table.identify(7).unwrap();
    assert_eq!(table.signal(new, ProcessSignal::Terminate).unwrap(), SignalOutcome::Sent);
    assert_eq!(table.liveness(new), Liveness::Dead);
    assert_eq!(table.signals(), [(new, ProcessSignal::Terminate)]);
}
