//! A pair whose worker has a repository and a rollout that grows, and what is read off a refusal.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::in_session;
use crate::support::{TestEnv, WORKER};

/// The names of the gates that are not met.
pub fn open_gates(told: &Value) -> Vec<String> {
    let gates = told["gates"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    gates.iter().filter(|gate| gate["ok"] == false).map(|gate| gate["gate"].as_str().unwrap().to_owned()).collect()
}

/// A gate by its name.
pub fn gate(told: &Value, name: &str) -> Value {
    let gates = told["gates"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    gates.iter().find(|gate| gate["gate"] == name).unwrap_or_else(|| panic!("no gate {name} in {told:#}")).clone()
}

/// The worker's world.
pub struct World<'a> {
    env: &'a TestEnv,
    pub folder: PathBuf,
}

impl<'a> World<'a> {
    /// Gives the worker `w1` a repository with one commit of the year 2020 on `main`, and lets its rollout be read.
    pub fn of(env: &'a TestEnv) -> Self {
        let folder = env.cwd().join("repository");
        fs::create_dir_all(&folder).unwrap();
        let world = Self { env, folder };
        world.git(&["init", "-q", "-b", "main"]);
        fs::write(world.folder.join("readme"), "r\n").unwrap();
        world.commit("begin", "2020-01-01T00:00:00Z");
        let sql = Connection::open(env.ledger()).unwrap();
        sql.execute("update sessions set cwd = ?1 where name = 'w1'", [world.folder.to_str().unwrap()]).unwrap();
        env.sh("ingest w1").ok();
        world
    }

    /// The worker works in the folder that the program is started in, with the ledger in it, which git ignores not.
    pub fn around_the_ledger(env: &'a TestEnv) -> Self {
        let world = Self { folder: env.cwd().canonicalize().unwrap(), ..Self::of(env) };
        world.git(&["init", "-q", "-b", "main"]);
        fs::write(world.folder.join(".gitignore"), "/repository\n").unwrap();
        fs::write(world.folder.join("readme"), "r\n").unwrap();
        world.git(&["add", "readme", ".gitignore"]);
        world.git(&["commit", "-q", "-m", "begin"]);
        let sql = Connection::open(env.ledger()).unwrap();
        sql.execute("update sessions set cwd = ?1 where name = 'w1'", [world.folder.to_str().unwrap()]).unwrap();
        world
    }

    pub fn git(&self, words: &[&str]) -> String {
        self.git_at("2020-01-01T00:00:00Z", words)
    }

    fn git_at(&self, when: &str, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.folder).args(["-c", "user.name=n", "-c", "user.email=e@example.org"]).args(words);
        let output = git.env("GIT_COMMITTER_DATE", when).env("GIT_AUTHOR_DATE", when).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything, made at this time.
    pub fn commit(&self, message: &str, when: &str) -> String {
        self.git(&["add", "-A"]);
        self.git_at(when, &["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A file of the worker's, changed last at this minute and second of the tests' hour.
    pub fn file(&self, name: &str, content: &str, minute: u64, second: u64) -> PathBuf {
        let path = self.folder.join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(content.as_bytes()).unwrap();
        // 2026-11-21T02:00:00Z
        let hour = 1_795_226_400;
        file.set_modified(UNIX_EPOCH + Duration::from_secs(hour + minute * 60 + second)).unwrap();
        path
    }

    /// Appends a line to the worker's rollout, and has it read; the byte where it begins.
    pub fn line(&self, at: &str, payload: &Value) -> i64 {
        let byte = self.append(at, payload);
        self.env.sh("ingest w1").ok();
        byte
    }

    /// The same, without having it read.
    pub fn append(&self, at: &str, payload: &Value) -> i64 {
        let path = self.env.codex_home().join("sessions/2026/11/21").join(WORKER);
        let text = fs::read_to_string(&path).unwrap();
        let ordinal = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .fold(0, |most, line| line["ordinal"].as_i64().map_or(most, |ordinal| most.max(ordinal + 1)));
        let line = json!({"timestamp": at, "ordinal": ordinal, "type": "event_msg", "payload": payload});
        let mut file = File::options().append(true).open(&path).unwrap();
        writeln!(file, "{line}").unwrap();
        i64::try_from(text.len()).unwrap()
    }

    /// A command of the worker's that ended like this.
    pub fn ran(&self, at: &str, command: &str, exit_code: i64) -> i64 {
        self.line(
            at,
            &json!({"type": "item_completed", "turn_id": "t", "item": {
                "type": "CommandExecution", "id": "e", "command": ["/bin/bash", "-lc", command], "status": "completed",
                "aggregated_output": "test result: ok. 12 passed", "exit_code": exit_code,
            }}),
        )
    }

    /// An accepted criterion.
    pub fn accepted(&self, text: &str) -> i64 {
        let words = [
            "criteria",
            "parser",
            "--json",
            "--add",
            "--source",
            "manager_inferred",
            "--status",
            "accepted",
            "--criterion",
        ];
        let done = self.env.run(words.into_iter().chain([text])).ok().json();
        done["affected_criterion"]["id"].as_i64().unwrap()
    }

    /// When a criterion was added.
    pub fn begun(&self, id: i64) -> String {
        let sql = Connection::open(self.env.ledger()).unwrap();
        sql.query_row("select created_at from acceptance_criteria where id = ?1", [id], |row| row.get(0)).unwrap()
    }

    /// A criterion that the manager has satisfied with a command of the worker's.
    pub fn satisfied(&self, text: &str) -> i64 {
        self.satisfied_with(text, &json!({}))
    }

    /// The same, with these details.
    pub fn satisfied_with(&self, text: &str, details: &Value) -> i64 {
        let id = self.accepted(text);
        let byte = self.ran(&self.begun(id), "cargo test", 0);
        let details = shell_words::quote(&details.to_string()).into_owned();
        self.manager(&format!("--satisfy {id} --byte {byte} --evidence-json {details}")).ok();
        id
    }

    /// What the manager says about a criterion.
    pub fn manager(&self, flags: &str) -> crate::support::Finished {
        in_session(self.env, "m1", &format!("criteria parser --json {flags}"))
    }
}
