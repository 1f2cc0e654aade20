//! How one more line changes a [`Progress`].
//!
//! Turns are opened and closed by turn lines alone: items after the end of a turn do not reopen it, and a newer
//! start closes an older turn that was never ended (its process was killed).

use super::{
    Counts, EndKind, Goal, Guess, GuessKind, LastEvent, Mark, OPEN_ITEMS, OpenCall, OpenTurn, Progress, SAID_CHARS,
    SUB_AGENTS, Said, TurnEnd,
};
use crate::{
    base::text,
    model::{
        family::SubAgent,
        rollout::{CommandSource, Fact, Phase, Record, Tokens, TurnError},
    },
};

/// What Codex 0.47 says after `/compact`; it is no answer.
const COMPACT_NOTICE: &str = "Compact task completed";

impl Progress {
    /// Takes in the next line, which begins at byte `byte_offset`. Inherited lines (see [`Progress::is_inherited`]) are
    /// only counted.
    pub fn apply(&mut self, record: &Record, byte_offset: u64) {
        self.counts.lines += 1;
        self.max_ordinal = self.max_ordinal.max(record.ordinal);
        self.first_at = self.first_at.or(record.timestamp);
        self.last_at = record.timestamp.or(self.last_at);
        let is_inherited = self.is_inherited(record);
        self.follow_copied_block(record, is_inherited);
        if is_inherited {
            self.counts.inherited += 1;
            return;
        }
        let mark = Mark { at: record.timestamp, byte_offset };
        self.take(record, mark);
        if self.counts.turns_started == 0 {
            self.guess_from(&record.fact, mark);
        }
        if is_notable(&record.fact) {
            self.last_event = Some(LastEvent {
                label: record.short_label().to_owned(),
                text: record.brief.clone(),
                at: record.timestamp,
                byte_offset,
            });
        }
    }

    /// Takes in a line that is no record.
    pub fn apply_bad_line(&mut self) {
        self.counts.lines += 1;
        self.counts.bad += 1;
    }

    fn take(&mut self, record: &Record, mark: Mark) {
        let counts: &mut Counts = &mut self.counts;
        match &record.fact {
            Fact::SessionHead(head) => {
                if self.head.is_none() {
                    self.head = Some((**head).clone());
                }
            }
            Fact::TurnStarted { turn_id, trigger, context_window, .. } => {
                counts.turns_started += 1;
                self.open_calls.clear();
                self.window_tokens = context_window.or(self.window_tokens);
                self.open_turn = Some(OpenTurn {
                    turn_id: turn_id.clone(),
                    at: mark.at,
                    trigger: trigger.clone(),
                    byte_offset: mark.byte_offset,
                    ..OpenTurn::default()
                });
            }
            Fact::TurnEnded { turn_id, last_message, error } => {
                counts.turns_completed += 1;
                self.end_turn(turn_id.as_deref(), mark, |turn| ending(turn, last_message.as_deref(), error.as_ref()));
            }
            Fact::TurnAborted { turn_id, reason } => {
                counts.turns_aborted += 1;
                let ending =
                    Ending { kind: EndKind::Aborted, message: None, error: None, reason: Some(reason.clone()) };
                self.end_turn(turn_id.as_deref(), mark, |_| ending);
            }
            Fact::UserMessage { text, injected: false, .. } => {
                counts.user_messages += 1;
                self.last_user = Some(said(text, mark));
                if let Some(turn) = &mut self.open_turn {
                    turn.user_messages += 1;
                }
            }
            Fact::AgentMessage { text, .. } => self.last_agent = Some(said(text, mark)),
            Fact::CallStarted { call_id, name } => {
                if self.open_calls.len() == OPEN_ITEMS {
                    self.open_calls.remove(0);
                }
                self.open_calls.push(OpenCall { call_id: call_id.clone(), name: name.clone(), mark });
            }
            Fact::CallFinished { call_id: Some(call_id) } => {
                self.open_calls.retain(|call| call.call_id.as_ref() != Some(call_id));
            }
            Fact::Command { source: CommandSource::UserShell, .. } => {
                if let Some(turn) = &mut self.open_turn {
                    turn.has_user_shell = true;
                }
            }
            Fact::Plan { text } => {
                self.last_plan = Some(said(text, mark));
                if let Some(turn) = &mut self.open_turn {
                    turn.has_plan = true;
                }
            }
            Fact::Compacted => {
                self.last_compaction = Some(mark);
                if let Some(turn) = &mut self.open_turn {
                    turn.has_compaction = true;
                }
            }
            Fact::Tokens(tokens) => self.take_tokens(tokens, mark),
            Fact::SubAgent { kind, child: Some(child), path } => {
                self.take_sub_agent(kind, child, path.as_deref(), mark)
            }
            Fact::Error(error) => {
                if let Some(turn) = &mut self.open_turn {
                    turn.error = Some(error.clone());
                }
            }
            Fact::Goal { objective, status } => {
                self.goal = Some(Goal { objective: text::bounded(objective, SAID_CHARS), status: status.clone() });
            }
            Fact::Other { known: false } => counts.unknown += 1,
            Fact::UserMessage { injected: true, .. }
            | Fact::Reasoning
            | Fact::CallFinished { call_id: None }
            | Fact::Command { source: CommandSource::Agent, .. }
            | Fact::FileChange { .. }
            | Fact::ToolCall { .. }
            | Fact::RolledBack { .. }
            | Fact::SubAgent { child: None, .. }
            | Fact::RawMessage { .. }
            | Fact::StateRecord
            | Fact::Other { known: true } => {}
        }
    }

    /// Closes the open turn. The late end of a turn that a newer one has superseded closes nothing.
    fn end_turn(&mut self, turn_id: Option<&str>, mark: Mark, how: impl FnOnce(Option<&OpenTurn>) -> Ending) {
        let open_id = self.open_turn.as_ref().and_then(|turn| turn.turn_id.as_deref());
        if let (Some(ended), Some(open)) = (turn_id, open_id)
            && ended != open
        {
            return;
        }
        let turn = self.open_turn.take();
        let Ending { kind, message, error, reason } = how(turn.as_ref());
        self.open_calls.clear();
        self.last_end = Some(TurnEnd {
            kind,
            at: mark.at,
            byte_offset: mark.byte_offset,
            turn_id: turn_id.map(str::to_owned).or_else(|| turn.and_then(|turn| turn.turn_id)),
            last_message: message.map(|message| text::bounded(&message, SAID_CHARS)),
            error,
            reason,
        });
    }

    fn take_tokens(&mut self, tokens: &Tokens, mark: Mark) {
        self.used_tokens = tokens.last_total.or(self.used_tokens);
        self.window_tokens = tokens.window.or(self.window_tokens);
        self.total_tokens = tokens.total.or(self.total_tokens);
        // A line may tell of the limits only; then the tokens are as old as they were.
        if tokens.last_total.is_some() || tokens.total.is_some() || self.tokens_at.is_none() {
            self.tokens_at = Some(mark);
        }
        if tokens.limits.is_some() {
            self.limits.clone_from(&tokens.limits);
            self.limits_at = mark.at;
        }
    }

    fn take_sub_agent(&mut self, kind: &str, child: &str, path: Option<&str>, mark: Mark) {
        if let Some(known) = self.agents.iter_mut().find(|known| known.thread_id == child) {
            kind.clone_into(&mut known.state);
            known.at = mark.at;
            known.path = path.map(str::to_owned).or(known.path.take());
            return;
        }
        if self.agents.len() == SUB_AGENTS {
            // The oldest that has ended makes room, else the oldest.
            let index = self.agents.iter().position(|agent| !agent.is_running()).unwrap_or(0);
            self.agents.remove(index);
        }
        self.agents.push(SubAgent {
            thread_id: child.to_owned(),
            path: path.map(str::to_owned),
            state: kind.to_owned(),
            started_at: mark.at.filter(|_| kind == "started"),
            at: mark.at,
        });
    }

    /// Follows what stands last, for the dialects without turn lines.
    fn guess_from(&mut self, fact: &Fact, mark: Mark) {
        let now = self.guess.map(|guess| guess.kind);
        let next = match fact {
            Fact::UserMessage { injected: false, .. } => GuessKind::Working,
            Fact::AgentMessage { text, phase: Phase::Final } => {
                if now == Some(GuessKind::Compacted) && text == COMPACT_NOTICE {
                    return;
                }
                GuessKind::Answered
            }
            // Only a message makes a session work again that was cut off or failed: outputs can come late.
            Fact::AgentMessage { phase: Phase::Commentary, .. }
            | Fact::Reasoning
            | Fact::CallStarted { .. }
            | Fact::CallFinished { .. }
            | Fact::Command { .. }
            | Fact::FileChange { .. }
            | Fact::ToolCall { .. } => match now {
                Some(GuessKind::Answered) => GuessKind::Working,
                Some(GuessKind::Working)
                | Some(GuessKind::Compacted)
                | Some(GuessKind::Failed)
                | Some(GuessKind::Aborted)
                | None => return,
            },
            Fact::Compacted => GuessKind::Compacted,
            Fact::Error(_) => GuessKind::Failed,
            Fact::TurnAborted { .. } => GuessKind::Aborted,
            Fact::TurnEnded { .. } => GuessKind::Answered,
            Fact::UserMessage { injected: true, .. }
            | Fact::SessionHead(_)
            | Fact::TurnStarted { .. }
            | Fact::Plan { .. }
            | Fact::RolledBack { .. }
            | Fact::Tokens(_)
            | Fact::SubAgent { .. }
            | Fact::Goal { .. }
            | Fact::RawMessage { .. }
            | Fact::StateRecord
            | Fact::Other { .. } => return,
        };
        self.guess = Some(Guess { kind: next, mark });
    }
}

/// How a turn ended.
struct Ending {
    kind: EndKind,
    message: Option<String>,
    error: Option<TurnError>,
    reason: Option<String>,
}

/// A turn without a message may have been a plan, a compaction or a shell command; else nobody was answered.
fn ending(turn: Option<&OpenTurn>, message: Option<&str>, error: Option<&TurnError>) -> Ending {
    let error = error.or_else(|| turn.and_then(|turn| turn.error.as_ref()).filter(|_| message.is_none()));
    let kind = match (error, message, turn) {
        (Some(_), _, _) => EndKind::Failed,
        (None, Some(_), _) => EndKind::Answered,
        (None, None, Some(turn)) if turn.has_plan => EndKind::Planned,
        // An automatic compaction happens inside a turn that has something else to do.
        (None, None, Some(turn)) if turn.has_compaction && turn.user_messages == 0 && turn.trigger.is_none() => {
            EndKind::Compacted
        }
        (None, None, Some(turn)) if turn.has_user_shell && turn.user_messages == 0 => EndKind::UserShell,
        (None, None, _) => EndKind::NoAnswer,
    };
    Ending { kind, message: message.map(str::to_owned), error: error.cloned(), reason: None }
}

fn said(text: &str, mark: Mark) -> Said {
    Said { text: text::bounded(text, SAID_CHARS), at: mark.at, byte_offset: mark.byte_offset }
}

/// True for lines that a list of sessions would name.
fn is_notable(fact: &Fact) -> bool {
    match fact {
        Fact::SessionHead(_)
        | Fact::TurnStarted { .. }
        | Fact::TurnEnded { .. }
        | Fact::TurnAborted { .. }
        | Fact::UserMessage { injected: false, .. }
        | Fact::AgentMessage { .. }
        | Fact::Reasoning
        | Fact::CallStarted { .. }
        | Fact::Command { .. }
        | Fact::FileChange { .. }
        | Fact::ToolCall { .. }
        | Fact::Plan { .. }
        | Fact::Compacted
        | Fact::RolledBack { .. }
        | Fact::SubAgent { .. }
        | Fact::Error(_)
        | Fact::Goal { .. } => true,
        Fact::UserMessage { injected: true, .. }
        | Fact::CallFinished { .. }
        | Fact::Tokens(_)
        | Fact::RawMessage { .. }
        | Fact::StateRecord
        | Fact::Other { .. } => false,
    }
}
