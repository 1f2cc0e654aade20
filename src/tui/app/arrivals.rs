//! What answers and news from outside change.

use std::sync::Arc;

use super::{App, BoardState, Screen};
use crate::{
    actions::{Command, Deliveries, Report},
    base::{Kind, Result, Timestamp, text::one_line},
    engine,
    model::{
        board::{Board, SessionRow},
        interruption::InterruptOutcome,
        state::Judgement,
    },
    tui::{
        calls::Notifier,
        ending,
        form::Ending,
        keymap::Intent,
        layer::{About, Layer},
        message::{Effect, Failure, Load},
        messages, policy, receipts,
        screen::fleet,
        submitting::put_command,
        theme::Part,
    },
};

impl App {
    pub(super) fn board_arrived(&mut self, result: Result<Board>, effects: &mut Vec<Effect>) {
        self.board_sent_at = None;
        if self.board_slot.answered().is_some() {
            effects.push(self.send_board());
        }
        match result {
            Ok(board) => {
                let first = self.board().is_none();
                let same = self.board().is_some_and(|old| facts(old) == facts(&board) && old.tasks == board.tasks);
                if !same {
                    self.changed_at = if first { newest(&board) } else { Some(board.taken_at) };
                }
                self.notifier.saw(&board, self.now);
                self.board = BoardState::Ready(Arc::new(board));
                if self.fleet.list.id.is_none() {
                    self.fleet.list.id = fleet::rows(self).first().map(|row| row.id().to_owned());
                }
                if !same {
                    effects.extend(self.ask_details());
                }
                effects.extend(self.ask_deliveries());
                if self.board().is_some_and(|board| board.sessions.is_empty() && board.tasks.is_empty()) {
                    effects.extend(self.ask_first_checkup());
                }
            }
            Err(error) => {
                let failure = Failure::from(&error);
                self.deliveries = None;
                if failure.kind == Kind::NotFound {
                    effects.extend(self.ask_first_checkup());
                }
                self.board = match failure.kind {
                    Kind::NotFound => BoardState::Missing(failure),
                    _ => BoardState::Failed(failure),
                };
            }
        }
    }

    pub(super) fn deliveries_arrived(&mut self, result: Result<Deliveries>, effects: &mut Vec<Effect>) {
        effects.extend(self.deliveries_slot.answered().map(|watched| Effect::Load(Load::Deliveries(watched))));
        let moved = match (self.deliveries(), &result) {
            (Some(old), Ok(new)) => {
                old.commands != new.commands || old.items != new.items || old.questions != new.questions
            }
            _ => false,
        };
        if let Ok(new) = &result {
            self.receipts.learn(new);
            self.notifier.asked(&new.questions, self.now);
            if moved {
                self.changed_at = Some(new.taken_at);
            }
        }
        self.deliveries = Some(result.map(Arc::new).map_err(|error| Failure::from(&error)));
        if self.screen == Screen::Dispatch {
            effects.extend(self.ask_exchange());
        }
    }

    pub(super) fn noticed(&mut self, notice: engine::Notice) {
        let (task, trouble) = match notice {
            engine::Notice::Replaced { .. } => {
                // What stands in it is no news.
                self.notifier = Notifier::default();
                self.say(Part::Warning, "another file lies at the ledger's path now; what is shown comes from it");
                return;
            }
            engine::Notice::Trouble { task, message } => (task, Some(one_line(&message))),
            engine::Notice::Died { task } => (task, Some("ended by itself; start conveyor again".to_owned())),
            engine::Notice::Recovered { task } => (task, None),
        };
        self.troubles.retain(|(other, _)| *other != task);
        self.troubles.extend(trouble.map(|text| (task, text)));
    }

    /// Takes down what a command returned, or hands the terminal to the program it returned. It is shown at once when
    /// the operator does nothing else; otherwise its receipt waits.
    pub(super) fn done(&mut self, line: &str, result: &Result<Report>, effects: &mut Vec<Effect>) {
        self.notice = None;
        let asks = self.asks_first(line, result);
        let changed = self.ends.changed(line, result);
        let why = failure(self.drafts.sent_command(line).as_ref(), result);
        let ending = match why.as_deref() {
            None => Ending::Accepted,
            Some(_) if asks.is_some() || changed.is_some() => Ending::Asks,
            Some(why) => Ending::Failed(why),
        };
        let failed = self.drafts.ended(line, ending).cloned();
        let unsent = self.drafts.message_ended(line, why.is_none() || result.is_ok());
        let number = self.receipts.end(line, result.as_ref(), self.now).number;
        if let Some((question, command)) = asks.clone() {
            self.receipts.asks(number, question, command);
        }
        if let Ok(Report { handover: Some(argv), .. }) = result {
            effects.push(Effect::RunInTerminal(argv.clone()));
            return;
        }
        let Some(receipt) = self.receipts.get(number) else { return };
        let (awaited, word, reader) = (receipt.awaited, receipt.word(), receipts::keys::reader(receipt));
        let is_failing = receipt.is_failing();
        // The terms of a task are looked at, and its new ones come up below the receipt.
        let is_free = matches!(self.layers.last(), None | Some(Layer::Policy(_)));
        if let Some((question, command)) = asks
            && awaited
            && is_free
        {
            put_command(self, &question, command);
            self.receipts.see(|receipt| receipt.number == number);
            return;
        }
        if let Some(command) = changed
            && awaited
            && is_free
            && ending::ask_again(self, command, effects)
        {
            self.receipts.see(|receipt| receipt.number == number);
            return;
        }
        let open = self.layers.iter_mut().find_map(|layer| match layer {
            Layer::Reader(reader) if reader.about == About::Receipt(number) => Some(reader),
            _ => None,
        });
        if let Some(open) = open {
            *open = reader;
        } else if awaited && (is_free || matches!(self.layers.last(), Some(Layer::Criteria(_) | Layer::Record(_)))) {
            // Below the receipt of a failure lies what was filled in, to be mended.
            let message = unsent.and_then(|(to, field)| messages::again(self, &to, field, why));
            self.layers.extend(failed.map(Layer::Form).or(message).filter(|_| is_failing));
            self.layers.push(Layer::Reader(reader));
        } else {
            let part = if result.is_ok() { Part::Dim } else { Part::Failed };
            let where_it_is =
                self.key_that(Intent::Receipts, "shows it").map(|key| format!(" ({key})")).unwrap_or_default();
            self.say(part, format!("{}: {line}{where_it_is}", one_line(&word)));
            return;
        }
        self.receipts.see(|receipt| receipt.number == number);
    }

    /// The question that the outcome of a form's command line leads to.
    fn asks_first(&self, line: &str, result: &Result<Report>) -> Option<(String, Command)> {
        let command = self.drafts.sent_command(line)?;
        policy::confirmation(&command, result.as_ref().ok()?)
    }
}

/// Why a command came to nothing, in a line; none when it did what was asked, or part of it, or may have done it: who
/// is given it back does it again.
fn failure(command: Option<&Command>, result: &Result<Report>) -> Option<String> {
    let may_have_happened = [Kind::Unconfirmed, Kind::Ambiguous];
    match result {
        Ok(report) if report.exit_code == 0 || may_have_happened.map(Kind::exit_code).contains(&report.exit_code) => {
            None
        }
        Ok(report) if command.is_some_and(|command| has_happened(command, &report.json)) => None,
        Err(error) if may_have_happened.contains(&error.kind()) => None,
        Ok(report) => Some(report.prose.lines().next().unwrap_or("it came to nothing").to_owned()),
        Err(error) => Some(Failure::from(error).message),
    }
}

/// Whether a command has ended what it was to end, whatever else that was asked for was left undone.
fn has_happened(command: &Command, told: &serde_json::Value) -> bool {
    match command {
        Command::SessionInterrupt(_) => {
            let outcome = told["outcome"].as_str().and_then(|word| word.parse().ok());
            matches!(outcome, Some(InterruptOutcome::Interrupted | InterruptOutcome::EndedByItself))
        }
        Command::FinishTask(_) | Command::StopTask(_) => told["end"].is_object(),
        _ => false,
    }
}

/// The rows without what changes by the mere passing of time.
fn facts(board: &Board) -> Vec<SessionRow> {
    let timeless = |row: &SessionRow| {
        let judgement = Judgement { age_seconds: None, ..row.judgement.clone() };
        SessionRow { judgement, last_heartbeat_at: None, ..row.clone() }
    };
    board.sessions.iter().map(timeless).collect()
}

/// The newest moment that a board knows of.
fn newest(board: &Board) -> Option<Timestamp> {
    let sessions = board.sessions.iter().flat_map(|row| {
        [row.last_event.as_ref().and_then(|event| event.at), row.last_heartbeat_at].into_iter().flatten()
    });
    sessions.chain(board.tasks.iter().map(|row| row.task.updated_at)).max()
}
