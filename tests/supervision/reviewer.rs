//! The reviewer is held: what it tries inside fails that works outside, and whatever goes wrong with it is `stop`.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Row, types::Value as Cell};
use serde_json::{Value, json};

use super::{count, in_session, refusal, trail, world::World};
use crate::support::TestEnv;

pub(super) const ROUND: &str = "r1";

/// Whether the system has a Python of its own: one in a home is out of reach for a reviewer.
pub(super) fn has_python() -> bool {
    let there = Path::new("/usr/bin/python3").exists();
    if !there {
        crate::support::say("skipped: there is no /usr/bin/python3");
    }
    there
}

/// A pair whose proposals are both in.
pub(super) fn ready() -> TestEnv {
    let env = TestEnv::pair();
    propose(&env, ROUND);
    env
}

pub(super) fn propose(env: &TestEnv, round: &str) {
    for (session, role) in [("w1", "worker"), ("m1", "manager")] {
        let line = format!("continuation parser --submit {role} --correlation-id {round} --from-stdin={{}} --json");
        in_session(env, session, &line).ok();
    }
}

/// A reviewer in Python; its command line.
pub(super) fn reviewer(env: &TestEnv, name: &str, script: &str) -> String {
    let path = env.cwd().join(format!("{name}.py"));
    fs::write(&path, script).unwrap();
    format!("--reviewer-command '/usr/bin/python3 {0}' --read {0}", path.display())
}

fn review(env: &TestEnv, flags: &str) -> Value {
    env.sh(&format!("continuation-reviewer parser --correlation-id {ROUND} {flags} --json")).ok().json()
}

/// A script that says this.
pub(super) fn says(said: &Value) -> String {
    let bytes: String = said.to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("import sys\nsys.stdout.buffer.write(bytes.fromhex('{bytes}'))")
}

pub(super) fn judgement(agreement: &str, verdict: &str) -> Value {
    json!({ "agreement": agreement, "verdict": verdict, "rationale": "because" })
}

/// It counts as no judgement: `stop`, the operator is asked, and the receipt says why.
#[track_caller]
pub(super) fn assert_stopped(env: &TestEnv, review: &Value, why: &str) {
    assert_eq!((&review["verdict"], &review["agreement"]), (&json!("stop"), &json!("divergent")), "{review:#}");
    assert_eq!(review["subagent_run"]["status"], "failed", "{review:#}");
    assert!(review["rationale"].as_str().unwrap().contains(why), "{review:#}");
    let asked = env.sh("operator-inbox --json").ok().json();
    let asked = asked["questions"].as_array().unwrap().iter().any(|one| one["kind"] == "review_failed");
    assert!(asked, "the operator is asked");
}

struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// T-SANDBOX: every action is tried outside first, where it works, and then inside.
#[test]
fn nothing_that_a_reviewer_tries_works_inside() {
    if !has_python() || !cfg!(target_arch = "x86_64") {
        return;
    }
    let env = ready();
    let home = env.cwd().parent().unwrap().join("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    fs::create_dir_all(env.codex_home()).unwrap();
    fs::write(home.join(".ssh/id"), "a key").unwrap();
    fs::write(env.codex_home().join("auth.json"), "{}").unwrap();
    fs::write(env.cwd().join("source.rs"), "fn main() {}").unwrap();
    let socket = env.cwd().join("terminal.sock");
    let _terminal = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("conveyor-escape-{}", std::process::id());
    let _named = {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        UnixListener::bind_addr(&address).unwrap()
    };
    let victim = Ending(Command::new("sleep").arg("600").spawn().unwrap());
    let maps = fs::read_to_string(format!("/proc/{}/maps", victim.0.id())).unwrap();
    let address = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let script = env.cwd().join("escape.py");
    fs::write(&script, include_str!("escape.py")).unwrap();
    let parameters = env.cwd().join("parameters.json");
    let rollout = home.join(".codex/sessions/rollout.jsonl");
    fs::create_dir_all(rollout.parent().unwrap()).unwrap();
    fs::write(&rollout, "{}\n").unwrap();
    let told = json!({
        "abstract": name,
        "address": address,
        "auth": env.codex_home().join("auth.json"),
        "home": home,
        "key": home.join(".ssh/id"),
        "ledger": env.ledger(),
        "own": ["parameters.json", "escape.py"],
        "pid": std::process::id(),
        "project": env.cwd().join("source.rs"),
        "rollout": rollout,
        "socket": socket,
        "state": env.ledger().parent().unwrap(),
        "tcp": tcp.local_addr().unwrap().port(),
        "victim": victim.0.id(),
    });
    fs::write(&parameters, told.to_string()).unwrap();

    // Descriptor 9 and the secret are there in both worlds.
    let with_nine = |command: &mut Command| -> std::process::Output {
        command.env("SECRET_TOKEN", "s3cret").stdin(Stdio::null()).output().unwrap()
    };
    let words = |place: &str| format!("/usr/bin/python3 {} {} {place}", script.display(), parameters.display());
    let outside = with_nine(Command::new("bash").args(["-c", &format!("exec 9</etc/hostname; {}", words("outside"))]));
    let outside: Value = serde_json::from_slice(&outside.stdout).unwrap();
    let all = outside["all"].as_array().unwrap();
    assert!(all.len() >= 60, "{}", all.len());
    let works: BTreeMap<&String, bool> =
        outside["found"].as_object().unwrap().iter().map(|(name, found)| (name, found == "worked")).collect();
    let unshown: Vec<_> =
        works.iter().filter(|(_, works)| !**works).map(|(name, _)| (name, &outside["found"][name.as_str()])).collect();
    assert!(
        works.values().filter(|works| **works).count() >= 45,
        "too little works here to show anything: {unshown:?}"
    );

    let line = format!(
        "exec 9</etc/hostname; {} continuation-reviewer parser --correlation-id {ROUND} --json --reviewer-command '{}' --read {} --read {}",
        env!("CARGO_BIN_EXE_conveyor"),
        words("inside"),
        script.display(),
        parameters.display()
    );
    let conveyor = env.command();
    let mut bash = Command::new("bash");
    bash.args(["-c", &line]).env_clear().current_dir(env.cwd());
    bash.envs(conveyor.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bash.env("PATH", std::env::var_os("PATH").unwrap());
    let inside = with_nine(&mut bash);
    let review: Value = serde_json::from_slice(&inside.stdout).unwrap_or_else(|error| panic!("{error}: {inside:?}"));
    assert_eq!(review["subagent_run"]["status"], "succeeded", "{review:#}");
    let found: BTreeMap<String, String> = serde_json::from_str(review["rationale"].as_str().unwrap()).unwrap();
    assert_eq!(found.len(), all.len(), "{found:#?}");
    let escaped: Vec<_> = found.iter().filter(|(_, found)| *found == "worked").collect();
    assert!(escaped.is_empty(), "{escaped:?}");
    crate::support::say(&format!(
        "{} actions failed inside, {} of them shown outside; not shown: {unshown:?}",
        found.len(),
        works.values().filter(|one| **one).count()
    ));
    let sandbox = &review["subagent_run"]["sandbox"];
    assert_eq!((&sandbox["enforced"], &sandbox["setup_error"]), (&json!(true), &Value::Null), "{sandbox:#}");
    let probe = sandbox["probe"].as_array().unwrap();
    assert!(probe.len() > 30 && probe.iter().all(|one| one["denied"] == true), "{sandbox:#}");
    assert!(probe.iter().filter(|one| one["outside"] == true).count() >= 8, "{sandbox:#}");
}

/// Weakness 57 of the predecessor: a profile that denied nothing was said to be enforced.
#[test]
fn weakness_57_what_cannot_be_shown_to_be_held_is_not_begun() {
    let env = ready();
    let mark = env.cwd().join("begun");
    let script = format!("open({:?}, 'w')\n{}", mark, says(&judgement("match", "proceed")));
    let flags = reviewer(&env, "r", &script);
    // Without user namespaces the stages cannot be set up: limits of a process are inherited.
    let line = format!("continuation-reviewer parser --correlation-id {ROUND} {flags} --json");
    let conveyor = env.command();
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "bash", "-c"]);
    unshare.arg(format!("echo 0 > /proc/sys/user/max_user_namespaces; {} {line}", env!("CARGO_BIN_EXE_conveyor")));
    unshare.env_clear().current_dir(env.cwd());
    unshare.envs(conveyor.get_envs().filter_map(|(name, value)| Some((name, value?))));
    unshare.env("PATH", std::env::var_os("PATH").unwrap());
    let run = unshare.output().unwrap();
    let review: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert_stopped(&env, &review, "cannot be shown to be confined");
    let sandbox = &review["subagent_run"]["sandbox"];
    assert_eq!(sandbox["enforced"], false, "{sandbox:#}");
    assert!(sandbox["setup_error"].as_str().unwrap().len() > 10, "{sandbox:#}");
    assert!(!mark.exists(), "it was not begun");
}

#[test]
fn what_a_reviewer_does_wrong_is_a_stop() {
    if !has_python() {
        return;
    }
    let env = ready();
    let good = judgement("match", "proceed").to_string();
    let cases = [
        ("bad_json", "print('{')".to_owned(), "printed no JSON"),
        ("fenced", format!("print('```json\\n' + {good:?} + '\\n```')"), "printed no JSON"),
        ("twice", format!("print({good:?} * 2)"), "printed no JSON"),
        ("list", "print('[]')".to_owned(), "no JSON object"),
        ("empty", "pass".to_owned(), "printed no JSON"),
        ("no_verdict", says(&json!({"agreement": "match", "rationale": "r"})), "missing required field(s): verdict"),
        ("odd_verdict", says(&json!({"agreement": "match", "rationale": "r", "verdict": "go"})), "verdict"),
        (
            "odd_rationale",
            says(&json!({"agreement": "match", "rationale": [1], "verdict": "proceed"})),
            "must be a text",
        ),
        ("exit", format!("print({good:?})\nraise SystemExit(3)"), "exited with 3"),
        ("signal", "import os\nos.kill(os.getpid(), 9)".to_owned(), "exited"),
        ("flood", "while True: print('x' * 65536)".to_owned(), "more than 262144 bytes"),
        ("errors", "import sys\nwhile True: sys.stderr.write('x' * 65536)".to_owned(), "more than 262144 bytes"),
        ("bytes", "import sys\nsys.stdout.buffer.write(b'\\xff')".to_owned(), "no UTF-8"),
    ];
    for (name, script, why) in &cases {
        let flags = reviewer(&env, name, script);
        assert_stopped(&env, &review(&env, &flags), why);
    }
    assert_eq!(count(&env, "continuation_reviews"), i64::try_from(cases.len()).unwrap());
}

fn survivors(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|one| {
            fs::read(one.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
        })
        .count()
}

fn gone(word: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while survivors(word) > 0 {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

const LINGERS: &str = "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.execvp('sleep', ['sleep', sys.argv[1]])\n    os._exit(0)\n";

#[test]
fn nothing_outlives_a_review_its_time_or_the_program() {
    if !has_python() {
        return;
    }
    let env = ready();
    let run = |name: &str, script: &str, word: &str, flags: &str| {
        let path = env.cwd().join(format!("{name}.py"));
        fs::write(&path, script).unwrap();
        format!("--reviewer-command '/usr/bin/python3 {0} {word}' --read {0} {flags}", path.display())
    };
    let ends = format!("{LINGERS}time.sleep(0.3)\n{}", says(&judgement("match", "proceed")));
    let good = review(&env, &run("ends", &ends, "87001", ""));
    assert_eq!(good["verdict"], "proceed", "{good:#}");
    assert!(gone("87001"), "what it left behind is gone");
    let slow = format!("{LINGERS}time.sleep(600)\n");
    let begun = Instant::now();
    let late = review(&env, &run("slow", &slow, "87002", "--timeout 2"));
    assert_stopped(&env, &late, "did not finish within 2 s");
    assert!(begun.elapsed() < Duration::from_secs(15) && gone("87002"), "{:?}", begun.elapsed());
    // Killed in a way that leaves no time to clean up.
    let line = format!("continuation-reviewer parser --correlation-id {ROUND} {}", run("orphan", &slow, "87003", ""));
    let mut conveyor = env.command();
    conveyor.args(shell_words::split(&line).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = conveyor.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while survivors("sleep\u{0}87003") == 0 {
        assert!(Instant::now() < deadline, "it does not begin");
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(gone("87003"), "it ended with the program");
}

/// Weakness 58 of the predecessor: the reviewer was shown the changes of the tool's own installation.
#[test]
fn weakness_58_a_reviewer_is_shown_the_tree_in_which_the_worker_works() {
    if !has_python() {
        return;
    }
    let env = ready();
    let tree = env.cwd().parent().unwrap().join("tree");
    fs::create_dir(&tree).unwrap();
    let git = |words: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x"])
            .args(words)
            .current_dir(&tree)
            .output();
        assert!(done.unwrap().status.success(), "{words:?}");
    };
    git(&["init", "-q"]);
    fs::write(tree.join("lexer"), "old\n").unwrap();
    git(&["add", "lexer"]);
    git(&["commit", "-qm", "first"]);
    fs::write(tree.join("lexer"), "the worker's change\n").unwrap();
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    sql.execute("update sessions set cwd = ?1 where name = 'w1'", [tree.to_str().unwrap()]).unwrap();
    let script = "import json, sys\nd = json.load(sys.stdin)\nprint(json.dumps({'agreement': 'match', 'verdict': 'proceed', 'rationale': d['diff']['patch'] + ' in ' + d['diff']['root'] + ' ' + ' '.join(sorted(d))}))";
    let told = review(&env, &reviewer(&env, "r", script));
    let rationale = told["rationale"].as_str().unwrap();
    assert!(rationale.contains("+the worker's change") && rationale.contains("/tree"), "{told:#}");
    let keys = "acceptance_criteria allowed_context constraints correlation_id diff manager_config_summary manager_continuation task worker_continuation";
    assert!(rationale.ends_with(keys), "{told:#}");
    // A tree that cannot be compared is said to be so.
    sql.execute("update sessions set cwd = '/nonexistent' where name = 'w1'", []).unwrap();
    let script = "import json, sys\nd = json.load(sys.stdin)\nprint(json.dumps({'agreement': 'match', 'verdict': 'amend', 'rationale': d['diff']['error']}))";
    assert!(review(&env, &reviewer(&env, "s", script))["rationale"].as_str().unwrap().contains("/nonexistent"));
}

#[test]
fn a_reviewer_is_not_shown_the_ledger_in_the_workers_own_repository() {
    let env = ready();
    World::around_the_ledger(&env);
    let shown = env.sh("diff w1 --json").ok().json()["files"].to_string();
    assert!(shown.contains(".codex-workers"), "{shown}");
    let line = "continuation-reviewer parser --reviewer-command /bin/true --dry-run --json";
    let told = env.sh(line).ok().json();
    assert_eq!(told["context"]["diff"]["files"], json!([]), "{told:#}");
}

/// Weakness 60 of the predecessor: the command swallowed the flags behind it, and 15 seconds were too short.
#[test]
fn weakness_60_a_command_is_one_word_and_flags_behind_it_count() {
    let env = ready();
    let line = "continuation-reviewer parser --reviewer-command '/bin/sh -c pass' --dry-run --json";
    let shown = env.sh(line).ok().json();
    assert_eq!(shown["reviewer_command"].as_array().unwrap().len(), 3, "{shown:#}");
    assert_eq!((count(&env, "continuation_reviews"), &shown["dry_run"]), (0, &json!(true)), "--dry-run was seen");
    let other =
        env.sh("continuation-reviewer parser --reviewer-command '/bin/sh -c pass' --path /nonexistent/l.db --json");
    assert_eq!(other.code, 1, "--path was seen: {other}");
    for (flags, words) in [
        ("--reviewer-command ''", "must not be empty"),
        ("--reviewer-command \"'a\"", "has an open quote"),
        ("--reviewer-command /nonexistent/x", "there is no program"),
        ("--reviewer-command true --relay nowhere", "is not HOST:PORT"),
        ("--reviewer-command true --relay 'a b:1'", "is not HOST:PORT"),
        ("--reviewer-command true --env LD_PRELOAD", "no name of a variable"),
        ("--reviewer-command true --read /nonexistent", "cannot use --read"),
        ("--reviewer-command true --read /", "holds what a reviewer must not see"),
    ] {
        let (_, told) = refusal(&env.sh(&format!("continuation-reviewer parser {flags} --json")));
        assert!(told.contains(words), "{flags}: {told}");
    }
    let state = env.ledger().parent().unwrap().display().to_string();
    let (_, told) =
        refusal(&env.sh(&format!("continuation-reviewer parser --reviewer-command true --read {state} --json")));
    assert!(told.contains("must not see"), "{told}");
    let sessions = env.codex_home().join("sessions").display().to_string();
    for inside in [sessions, env.ledger().display().to_string()] {
        let line = format!("continuation-reviewer parser --set --reviewer-command true --read {inside} --json");
        let (code, told) = refusal(&env.sh(&line));
        assert_eq!((code, told.contains("must not see") || told.contains("sees nothing of it")), (1, true), "{told}");
    }
    assert_eq!(count(&env, "continuation_reviews"), 0);
}

#[test]
fn a_relay_reaches_one_server_and_nothing_else() {
    if !has_python() {
        return;
    }
    let env = ready();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |one: &TcpListener| one.local_addr().unwrap().port();
    let (wanted, unwanted) = (port(&server), port(&other));
    let answers = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut word = [0; 5];
        std::io::Read::read_exact(&mut stream, &mut word).unwrap();
        stream.write_all(b"world").unwrap();
        word
    });
    let script = format!(
        "import json, socket\ns = socket.create_connection(('localhost', {wanted}))\ns.sendall(b'hello')\nsaid = s.recv(5).decode()\ntry:\n    socket.create_connection(('127.0.0.1', {unwanted}), 2)\n    said += ' and the other'\nexcept OSError as error:\n    said += ' ' + type(error).__name__\nfor kind in [(socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)]:\n    try:\n        socket.socket(*kind)\n        said += ' socket'\n    except PermissionError:\n        pass\nprint(json.dumps({{'agreement': 'match', 'verdict': 'proceed', 'rationale': said}}))"
    );
    let flags = format!("{} --relay localhost:{wanted}", reviewer(&env, "r", &script));
    let told = review(&env, &flags);
    assert_eq!(told["rationale"], "world ConnectionRefusedError", "{told:#}");
    assert_eq!(answers.join().unwrap(), *b"hello");
    assert_eq!(told["subagent_run"]["sandbox"]["network"], json!([format!("localhost:{wanted}")]));
    drop(other);
}

/// What only a reviewer was to know is in no table.
#[test]
fn what_a_reviewer_was_given_in_confidence_is_not_kept() {
    if !has_python() {
        return;
    }
    let env = ready();
    let secret = "s3cret-value";
    let kept = || {
        let sql = Connection::open(env.ledger()).unwrap();
        let tables = ["continuation_reviews", "events", "operator_questions"];
        let all = |table: &str| -> Vec<String> {
            let mut rows = sql.prepare(&format!("select * from {table}")).unwrap();
            let columns = rows.column_count();
            let row = |row: &Row<'_>| (0..columns).map(|at| Ok(format!("{:?}|", row.get::<_, Cell>(at)?))).collect();
            rows.query_map([], row).unwrap().map(Result::unwrap).collect()
        };
        tables.into_iter().flat_map(all).collect::<Vec<String>>().join("\n")
    };
    let tells = "import json, os\nt = os.environ['TOKEN']\n\
        print(json.dumps({'agreement': 'match', 'verdict': 'proceed', 'rationale': 'the token is ' + t}))";
    let fails = "import os, sys\nsys.exit('refused: ' + os.environ['TOKEN'])";
    for (name, script, said) in [("tells", tells, "the token is [$TOKEN]"), ("fails", fails, "refused: [$TOKEN]")] {
        let words = reviewer(&env, name, script);
        let line = format!("continuation-reviewer parser --correlation-id {ROUND} {words} --env TOKEN --json");
        let run = env.command().env("TOKEN", secret).args(shell_words::split(&line).unwrap()).output().unwrap();
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(told.contains(said) && !told.contains(secret), "{told}");
    }
    // Nor are the words that follow its program.
    env.sh(&format!("continuation-reviewer parser --set --reviewer-command 'true --token {secret}' --json")).ok();
    let set = trail(&env, "continuation_reviewer_set").pop().unwrap().to_string();
    assert!(set.contains("\"runner_arg_count\":2"), "{set}");
    let kept = kept();
    assert!(kept.contains("[$TOKEN]") && !kept.contains(secret), "{kept}");
}

/// Root with a umask of 077: the reviewer runs as nobody, and a verdict on what it could not read says so, and what to do.
#[test]
fn a_reviewer_that_cannot_read_what_it_is_given_is_told_of_before_and_after() {
    use std::os::unix::fs::PermissionsExt as _;
    if !has_python() || !rustix::process::geteuid().is_root() {
        return;
    }
    let env = TestEnv::pair();
    env.sh("manager-config parser --permit context.spawn_reviewer --nudge-on-completion off").ok();
    propose(&env, ROUND);
    let folder = env.cwd().join("work-of-w1");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("parser.rs");
    fs::write(&file, "fn parse() {}").unwrap();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&folder, 0o700);
    mode(&file, 0o600);
    let flags = format!("{} --read '{}'", reviewer(&env, "r", &says(&judgement("match", "stop"))), folder.display());
    let told = env.sh(&format!("continuation-reviewer parser --set {flags}")).ok().json();
    let wanted = "the reviewer cannot read $TEST/project/work-of-w1 (mode 0700)";
    assert!(told["warning"].as_str().unwrap().starts_with(wanted), "{told:#}");
    let doctor = env.sh("doctor --json").json();
    let check = doctor["checks"].as_array().unwrap().iter().find(|one| one["name"] == "reviewer_reads").cloned();
    let check = check.unwrap_or_else(|| panic!("{doctor:#}"));
    assert!(check["message"].as_str().unwrap().contains(wanted), "{check:#}");
    assert!(check["remedy"].as_str().unwrap().contains("chmod -R o+rX"), "{check:#}");

    let line = format!("continuation-reviewer parser --correlation-id {ROUND} --json");
    let review = env.sh(&line).ok().json();
    assert_eq!(
        (&review["verdict"], &review["subagent_run"]["status"]),
        (&json!("stop"), &json!("failed")),
        "{review:#}"
    );
    let why = review["rationale"].as_str().unwrap();
    assert!(why.starts_with(wanted) && why.contains("chmod -R o+rX") && why.contains("nobody"), "{why}");

    // The folder is open and a file in it is not: the reviewer judges, and what it could not read stands beside a stop.
    mode(&folder, 0o755);
    let review = env.sh(&line).ok().json();
    assert_eq!(
        (&review["verdict"], &review["subagent_run"]["status"]),
        (&json!("stop"), &json!("succeeded")),
        "{review:#}"
    );
    let asked = env.sh("operator-inbox --json").ok().json()["questions"].clone();
    let reason = asked[0]["reason"].as_str().unwrap();
    assert!(reason.contains("the verdict is to stop, but the reviewer cannot read"), "{asked:#}");
    assert!(reason.contains("parser.rs (mode 0600)"), "{asked:#}");

    mode(&file, 0o644);
    let review = env.sh(&line).ok().json();
    assert_eq!(review["subagent_run"]["could_not_read"], Value::Null, "{review:#}");
    let doctor = env.sh("doctor --json").json();
    assert!(!doctor["checks"].to_string().contains("reviewer_reads"), "{doctor:#}");
}
