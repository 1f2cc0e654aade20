//! The sub-agents of a session, with what their own rollouts tell: they are no sessions of ours and are not ingested.

use std::path::{Path, PathBuf};

use super::Context;
use crate::{
    base::Result,
    model::{
        family::{AgentView, SubAgent},
        progress::Progress,
        rollout,
        session::{Registration, Session},
    },
    ports::rollout::{Body, Limits, RolloutFile, rollout_of_thread},
    store,
};

/// So much of the end of a sub-agent's rollout is read.
const TAIL: u64 = 256 * 1024;

/// Most sub-agents whose rollouts are looked for.
const LOOKED_UP: usize = 16;

/// The sub-agents of a session, the oldest first; none when it has started none.
///
/// # Errors
/// When the ledger cannot be read. A rollout that is not found leaves its values unknown.
pub fn sub_agents(cx: &Context, session_id: &str) -> Result<Vec<AgentView>> {
    let (session, agents, all) = cx.ledger()?.read(|r| {
        let session = store::sessions::by_id(r, session_id)?;
        let rollout = store::rollouts::current(r, session_id)?;
        let agents = rollout.map(|cursor| cursor.progress.agents).unwrap_or_default();
        let all = if agents.is_empty() { Vec::new() } else { store::sessions::list(r)? };
        Ok::<_, crate::base::Error>((session, agents, all))
    })?;
    let Some(session) = session else { return Ok(Vec::new()) };
    let home = session.codex_home.map(PathBuf::from).or_else(|| cx.env().codex_home.clone());
    Ok(agents.into_iter().take(LOOKED_UP).map(|agent| view(home.as_deref(), &all, agent)).collect())
}

fn view(home: Option<&Path>, sessions: &[Session], agent: SubAgent) -> AgentView {
    let active = sessions.iter().filter(|session| session.state == Registration::Active);
    let mut its = active.filter(|session| session.codex_session_id.as_deref() == Some(&agent.thread_id));
    let session = its.next().map(|session| session.name.clone());
    let end = home.and_then(|home| rollout_of_thread(home, &agent.thread_id)).and_then(|path| end_of(&path));
    AgentView {
        session,
        used_tokens: end.as_ref().and_then(|progress| progress.used_tokens),
        total_tokens: end.as_ref().and_then(|progress| progress.total_tokens),
        last_event_at: end.as_ref().and_then(|progress| progress.last_at),
        agent,
    }
}

/// What the last lines of a rollout add up to; none when it cannot be read.
fn end_of(path: &Path) -> Option<Progress> {
    let file = RolloutFile::open(path).ok()?;
    let from = file.size().ok()?.saturating_sub(TAIL);
    let mut lines = file.lines(from, Limits::default()).ok()?;
    let mut progress = Progress::default();
    while let Some(line) = lines.next_line().ok()? {
        // The first one may lack its beginning; what cannot be read tells nothing.
        if let Body::Whole(bytes) = line.body
            && let Ok(record) = rollout::parse(bytes)
        {
            progress.apply(&record, line.offset);
        }
    }
    Some(progress)
}
