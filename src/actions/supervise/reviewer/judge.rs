//! The reviewer is run, and what it says becomes a judgement.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};

use super::{
    OUTPUT, Settings,
    asked::{Asked, again, allowed, check_again},
    hidden, withheld,
};
use crate::{
    actions::{Context, caller::Origin, supervise::review},
    base::{Error, Result, text},
    model::{
        supervision::{Judgement, ReviewSource},
        task::Task,
    },
    ports::{
        confine::{self, Ended, Job},
        machine,
    },
    store::{self, Store},
};

/// Has the newest round of a task reviewed, or the one with this id, by the program that is `given` or set, and records
/// what came of it. Whatever goes wrong with the program is a judgement, too: `stop`. An operator may have a round
/// reviewed again; a session may not.
///
/// # Errors
/// When there is nothing to review, no program, or whoever asks may not.
pub(in crate::actions) fn judge(
    cx: &Context,
    store: &Store,
    origin: &Origin,
    task: &Task,
    correlation_id: Option<&str>,
    given: Option<Settings>,
) -> Result<store::continuations::Review> {
    let asked = Asked::of(cx, store, origin, task, correlation_id, given)?;
    let Asked { pair, settings, context, manager_session_id, tree } = asked;
    let is_ours = store.write_durably(|w| {
        check_again(w.read(), origin, task, &pair.manager.correlation_id)?;
        let (now, anyway) = (cx.moment(), *origin == Origin::Operator);
        let until = settings.give_up_uptime(&now);
        Ok::<_, Error>(store::continuations::take_review(w, pair.manager.id, &now, until, anyway)?)
    })?;
    if !is_ours {
        return Err(again(origin, &pair.manager.correlation_id, "a review of it is under way"));
    }
    let started = std::time::Instant::now();
    let (judgement, ended) = run(cx, &settings, &context);
    let failed = judgement.is_err();
    let printed = ended.as_ref().ok().and_then(|ended| ended.result.as_ref().ok());
    let mut record = json!({
        "allowed_context": allowed(&context),
        "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "manager_rollout_access": false,
        "manager_session_id": manager_session_id,
        "returncode": printed.and_then(|printed| printed.code),
        "reviewer_session_id": cx.fresh_id("reviewer"),
        "runner": settings.command.first(),
        "runner_arg_count": settings.command.len().saturating_sub(1),
        "sandbox": ended.as_ref().ok().map(|ended| &ended.receipt),
        "status": if failed { "failed" } else { "succeeded" },
        "tree": tree,
    });
    if let Some(closed) = settings.closed().first() {
        record["could_not_read"] = json!(closed.to_string());
    }
    let judgement = judgement.unwrap_or_else(|error| {
        record["error"] = json!(error);
        Judgement::failed(error)
    });
    let review = store.write_durably(|w| {
        // A person, or who was asked by one, may have been faster.
        check_again(w.read(), origin, task, &pair.manager.correlation_id)?;
        // The task may have ended meanwhile; what was judged is on record all the same.
        review::settle(cx, w, origin, task, &pair, ReviewSource::Reviewer, &judgement, &record)
    })?;
    review::follow(cx, store, task, &review)?;
    Ok(review)
}

/// Runs the program; what it says, or why that does not count.
fn run(cx: &Context, settings: &Settings, context: &Value) -> (Result<Judgement, String>, Result<Ended, String>) {
    let job = match job(cx, settings, context) {
        Ok(job) => job,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let ended = confine::run(&job);
    (said(&ended, &Secrets::of(&job.env)), Ok(ended))
}

/// The values of the variables that it got, by the names of those. What it says of them is not kept.
struct Secrets<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Secrets<'a> {
    /// What is shorter stands everywhere by chance, and is no secret.
    const SHORTEST: usize = 4;

    fn of(env: &'a [(String, String)]) -> Self {
        let known = env.iter().map(|(name, value)| (name.as_str(), value.trim()));
        let mut known: Vec<_> = known.filter(|(_, value)| value.len() >= Self::SHORTEST).collect();
        // One may be part of another.
        known.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        Self(known)
    }

    fn left_out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("[${name}]")))
    }

    fn left_out_of_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.left_out_of(text),
            Value::Array(all) => all.iter_mut().for_each(|one| self.left_out_of_all(one)),
            Value::Object(all) => all.values_mut().for_each(|one| self.left_out_of_all(one)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn job(cx: &Context, settings: &Settings, context: &Value) -> Result<Job, String> {
    let Some((program, arguments)) = settings.command.split_first() else {
        return Err("the reviewer has no command".to_owned());
    };
    // It may have been set before the folders were what they are.
    if let Some(path) = settings.read.iter().find(|path| withheld(cx, path).is_some()) {
        return Err(format!("{} lies where a reviewer sees nothing", path.display()));
    }
    // It would say what it cannot know. What lies in a folder that it is given may be closed to it on purpose.
    let is_named = |closed: &confine::Closed| settings.names(&closed.path);
    if let Some(closed) = settings.closed().first().filter(|closed| is_named(closed)) {
        return Err(closed.to_string());
    }
    let mut env = Vec::new();
    for name in &settings.env {
        let value = std::env::var(name).map_err(|_| format!("the variable {name} is not set here"))?;
        env.push((name.clone(), value));
    }
    Ok(Job {
        command: (PathBuf::from(program), arguments.to_vec()),
        input: context.to_string(),
        env,
        read: settings.read.clone(),
        relays: settings.relays.clone(),
        hidden: hidden(cx),
        sockets: sockets(cx),
        time: Duration::from_secs(settings.timeout),
        bytes: OUTPUT,
    })
}

/// What it says, when it was held and says it as it should.
fn said(ended: &Ended, secrets: &Secrets<'_>) -> Result<Judgement, String> {
    let printed = ended.result.as_ref().map_err(ToString::to_string)?;
    if !ended.receipt.enforced {
        return Err("the reviewer was not shown to be confined".to_owned());
    }
    if printed.code != Some(0) {
        let code = printed.code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        let error = secrets.left_out_of(&String::from_utf8_lossy(&printed.stderr));
        let error = text::bounded(&text::one_line(&text::clean(&error)), 300);
        return Err(format!("reviewer command exited {code}: {error}"));
    }
    let given = std::str::from_utf8(&printed.stdout).map_err(|_| "the reviewer printed no UTF-8".to_owned())?;
    let mut given: Value =
        serde_json::from_str(given.trim()).map_err(|error| format!("the reviewer printed no JSON: {error}"))?;
    if !given.is_object() {
        return Err("the reviewer printed no JSON object".to_owned());
    }
    secrets.left_out_of_all(&mut given);
    review::judgement(&given)
}

/// The sockets of terminals, which drive every session.
fn sockets(cx: &Context) -> Vec<PathBuf> {
    let env = cx.env();
    let inside = env.tmux.as_deref().and_then(|tmux| tmux.split(',').next()).map(PathBuf::from);
    let uid = machine::own_user();
    let own = PathBuf::from(format!("/tmp/tmux-{uid}/default"));
    let mut sockets: Vec<PathBuf> = inside.into_iter().chain(env.tmux_socket.clone()).chain([own]).collect();
    sockets.sort();
    sockets.dedup();
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_left_out_of_what_is_said() {
        let env =
            [("A", "abcd"), ("TOKEN", "abcd\"efgh"), ("ONE", "1")].map(|(name, value)| (name.into(), value.into()));
        let secrets = Secrets::of(&env);
        let mut said = json!({"rationale": "it is abcd\"efgh, not abcd, 1", "more": [{"deep": "abcd"}], "count": 1});
        secrets.left_out_of_all(&mut said);
        assert_eq!(said, json!({"rationale": "it is [$TOKEN], not [$A], 1", "more": [{"deep": "[$A]"}], "count": 1}));
    }
}
