//! Typing a message into a session: what is asked of the pane in the command that pastes or submits, and the marks
//! that the pane keeps of it.
//!
//! The checks, the effect and the counter that records it are one command of the tmux server. So of several
//! dispatchers only one gets through, one that was stopped for a while comes too late, and one that was killed half
//! way finds in the pane how far it had come. Pure: formats and answers as text.

use std::fmt;

use super::{Key, PaneId, Refusal, TmuxError, TmuxVersion, parse};
use crate::{
    model::{
        codex::SubmitKey,
        pane::{self, EmptyComposer, MIN_HEIGHT, MIN_WIDTH, Steering},
        typing::{ControlCommand, Sign, TypedText},
    },
    ports::process::ProcessId,
};

/// The option of a pane that names the installation which types into it.
const OWNER: &str = "@cvy_owner";

/// The largest number of a message: tmux compares numbers exactly up to here.
const MAX_SEQ: u64 = 1 << 53;

/// One installation of this program, as it marks panes and buffers: 1 to 32 lower-case ASCII letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Install(String);

impl Install {
    /// Takes the name of an installation.
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] when it is outside the bounds.
    pub fn new(name: &str) -> Result<Self, TmuxError> {
        Ok(Self(mark(name, 32, "the name of an installation")?))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn staged_option(&self) -> String {
        format!("@cvy_{}_paste", self.0)
    }

    fn submitted_option(&self) -> String {
        format!("@cvy_{}_submit", self.0)
    }

    /// The number that was taken over last.
    fn held_option(&self) -> String {
        format!("@cvy_{}_held", self.0)
    }

    /// Under which fence.
    fn fence_option(&self) -> String {
        format!("@cvy_{}_fence", self.0)
    }

    /// What the names of all its paste buffers begin with.
    pub(super) fn buffer_prefix(&self) -> String {
        format!("cvy_{}_", self.0)
    }
}

fn mark(text: &str, longest: usize, what: &str) -> Result<String, TmuxError> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (1..=longest).contains(&text.len()) && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(TmuxError::Invalid(format!("`{}` cannot be {what}", crate::base::text::bounded(text, 80))))
}

/// The name of a paste buffer: one for each claim of a command, so that no two dispatchers share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BufferName(String);

impl BufferName {
    /// The buffer of a command (its id in 1 to 64 lower-case ASCII letters and digits) under a claim (its fence).
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] when the command is outside the bounds.
    pub fn new(install: &Install, command: &str, fence: u64) -> Result<Self, TmuxError> {
        let command = mark(command, 64, "part of the name of a paste buffer")?;
        Ok(Self(format!("{}{command}_{fence}", install.buffer_prefix())))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The pane that is typed into, and who types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The pane.
    pub pane: PaneId,
    /// The process that was seen in it.
    pub process: ProcessId,
    /// Whose marks it bears.
    pub install: Install,
}

/// A text to be put into the composer.
#[derive(Debug, Clone)]
pub struct Staging<'a> {
    /// The number of the message in its target's line, from 1; each is staged at most once.
    pub seq: u64,
    /// The text.
    pub text: &'a TypedText,
    /// The empty composer that was seen.
    pub composer: EmptyComposer,
    /// The buffer that carries the text to the server.
    pub buffer: BufferName,
    /// Whether a running turn is no reason to refuse.
    pub steering: Steering,
}

/// Whether a message is submitted for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// It was not submitted before.
    First,
    /// It was, but it still stands in the composer: the key was lost, or Codex has put the message back.
    Again,
}

/// A text in the composer to be submitted.
#[derive(Debug, Clone)]
pub struct Submission<'a> {
    /// The number it was staged under.
    pub seq: u64,
    /// The fence under which its dispatcher has it in hand.
    pub fence: u64,
    /// By what it is recognised.
    pub sign: &'a Sign,
    /// The key that submits.
    pub key: SubmitKey,
    /// Whether it is the first time.
    pub press: Press,
    /// Whether a running turn is no reason to refuse.
    pub steering: Steering,
}

/// Keys into an open dialog, pressed only while it stands on the screen row for row as it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// The rows of the dialog that are not blank, each with its index from the top, as captured without escapes.
    pub rows: &'a [(usize, String)],
    /// The whole screen they were taken from.
    pub screen: &'a str,
    /// What is pressed.
    pub keys: AnswerKeys,
}

/// What is pressed into a dialog.
///
/// No check can see a dialog that Codex has opened and not drawn yet. So an approval is two steps: [`Self::Mark`]
/// moves the selection to the second option, and only when the screen shows it there comes [`Self::TakeFirst`], which
/// moves it back and confirms. In a dialog that has just taken the place of the one that was marked the same keys go
/// from the first option round to the last one, which is no; in a composer they send nothing. Measured with 0.169.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKeys {
    /// Down: the second option is selected.
    Mark,
    /// Space, Up, Enter: from the second option back to the first, and taken.
    TakeFirst,
    /// Esc: no, which ends the turn.
    Refuse,
    /// Up: the mark is taken back.
    Unmark,
}

impl AnswerKeys {
    fn names(self) -> &'static str {
        match self {
            Self::Mark => "Down",
            Self::TakeFirst => "Space Up Enter",
            Self::Refuse => "Escape",
            Self::Unmark => "Up",
        }
    }
}

impl Answering<'_> {
    pub(super) fn effect(&self, target: &Target) -> String {
        format!("send-keys -t {} {}", target.pane, self.keys.names())
    }
}

/// The longest text of a dialog that is compared, in bytes: the command goes to the server as one message.
const MAX_DIALOG: usize = 4_000;

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The server did it and counted it.
    Done,
    /// Nothing was done.
    Refused(Refusal),
    /// The client ended before it learned that: only the pane's marks tell (see [`Receipt`]). Says what went wrong.
    Unknown(String),
}

/// Where the sign of a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignPlace {
    /// Not on the visible screen.
    Absent,
    /// On the screen, but not at the cursor: most likely in the transcript.
    OnScreen,
    /// At the end of the text in the composer, right before the cursor.
    InComposer,
}

/// The marks of a pane at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Pid of the pane's process, also when that is dead.
    pub pid: u32,
    /// The process has ended and the pane was kept.
    pub dead: bool,
    /// The number that was staged last; 0 when none was.
    pub staged: u64,
    /// The number that was submitted last; 0 when none was.
    pub submitted: u64,
    /// The installation that types into it; none when nobody does yet. Any text when others set it.
    pub owner: Option<String>,
    /// Where the sign is that was asked for.
    pub sign: SignPlace,
}

/// One thing that must hold: a format that shows `1` when it does, and the reason when it does not.
struct Check {
    format: String,
    refusal: Refusal,
}

/// What must hold for an effect.
pub(super) struct Checks(Vec<Check>);

impl Checks {
    /// For putting a text into the composer.
    pub(super) fn staging(target: &Target, staging: &Staging<'_>) -> Result<Self, TmuxError> {
        let seq = number(staging.seq)?;
        let mut checks = Self::of_pane(target, staging.steering);
        let owner = owned(&target.install);
        checks.add(format!("#{{||:#{{==:#{{{OWNER}}},}},{owner}}}"), Refusal::OwnedByOther);
        checks.add(below(&target.install.staged_option(), seq), Refusal::AlreadyStaged);
        checks.add(shown(staging.text.sign(), "0"), Refusal::SignOnScreen);
        // The placeholder stands in the cursor's row and nothing in front of the cursor: nobody has typed.
        let row = pattern(&staging.composer.row());
        checks.add("#{==:#{cursor_flag},1}".to_owned(), Refusal::ComposerNotEmpty);
        checks.add("#{==:#{cursor_x},2}".to_owned(), Refusal::ComposerNotEmpty);
        checks.add(in_cursor_row(&format!("^{row}$")), Refusal::ComposerNotEmpty);
        Ok(checks)
    }

    /// For pressing the key that submits.
    pub(super) fn submission(target: &Target, submission: &Submission<'_>) -> Result<Self, TmuxError> {
        let seq = number(submission.seq)?;
        let mut checks = Self::of_pane(target, submission.steering);
        let install = &target.install;
        checks.add(owned(install), Refusal::OwnedByOther);
        let staged = format!("#{{==:#{{e|<=|:{seq},#{{{}}}}},1}}", install.staged_option());
        checks.add(staged, Refusal::NotStaged);
        let submitted = install.submitted_option();
        match submission.press {
            Press::First => checks.add(below(&submitted, seq), Refusal::AlreadySubmitted),
            Press::Again => checks.add(format!("#{{==:#{{{submitted}}},{seq}}}"), Refusal::NotSubmitted),
        }
        checks.add(in_composer(submission.sign), Refusal::SignNotInComposer);
        checks.add(not_held(install, seq, submission.fence), Refusal::TakenOver);
        Ok(checks)
    }

    /// For taking a number over: no later dispatcher has.
    pub(super) fn holding(target: &Target, seq: u64, fence: u64) -> Result<Self, TmuxError> {
        let seq = number(seq)?;
        let mut checks = Self(Vec::new());
        checks.identity(target);
        checks.add(owned(&target.install), Refusal::OwnedByOther);
        checks.add(not_held(&target.install, seq, fence), Refusal::TakenOver);
        Ok(checks)
    }

    /// For giving up a number: whatever stands on the screen, it was not staged.
    pub(super) fn forgoing(target: &Target, seq: u64) -> Result<Self, TmuxError> {
        let seq = number(seq)?;
        let mut checks = Self(Vec::new());
        checks.identity(target);
        let owner = owned(&target.install);
        checks.add(format!("#{{||:#{{==:#{{{OWNER}}},}},{owner}}}"), Refusal::OwnedByOther);
        checks.add(below(&target.install.staged_option(), seq), Refusal::AlreadyStaged);
        Ok(checks)
    }

    /// For interrupting a turn: the pane is the right one and shows that one runs.
    pub(super) fn interruption(target: &Target) -> Self {
        let mut checks = Self::of_process(target);
        checks.no_dialog();
        let row = format!("#{{!=:{},0}}", search(&running_row()));
        checks.add(format!("#{{||:{row},{}}}", running_title()), Refusal::NotBusy);
        checks
    }

    /// For pressing keys into a dialog: each of its rows stands where it stood.
    pub(super) fn answering(target: &Target, answering: &Answering<'_>) -> Result<Self, TmuxError> {
        let size: usize = answering.rows.iter().map(|(_, row)| row.len()).sum();
        if answering.rows.is_empty() || size > MAX_DIALOG {
            return Err(TmuxError::Invalid("the dialog is too long to be compared row for row".to_owned()));
        }
        let mut checks = Self::of_process(target);
        let at_least = |name: &str, least: u16| format!("#{{==:#{{e|>=|:#{{{name}}},{least}}},1}}");
        checks.add(at_least("pane_width", MIN_WIDTH), Refusal::TooSmall);
        checks.add(at_least("pane_height", MIN_HEIGHT), Refusal::TooSmall);
        let screen: Vec<&str> = answering.screen.lines().map(str::trim_end).collect();
        for (index, row) in answering.rows {
            let pattern = pattern(row.trim_end());
            // The search gives the first row that fits, counted from 1.
            let first = screen.iter().position(|other| fits(&pattern, other)).unwrap_or(*index) + 1;
            let found = search_exactly(&format!("^{pattern}$"));
            checks.add(format!("#{{==:{found},{first}}}"), Refusal::TextMissing(row.trim().to_owned()));
        }
        Ok(checks)
    }

    fn of_process(target: &Target) -> Self {
        let mut checks = Self(Vec::new());
        let flag = |name: &str| format!("#{{==:#{{{name}}},0}}");
        checks.identity(target);
        checks.add(flag("pane_dead"), Refusal::Dead);
        checks.add(flag("pane_in_mode"), Refusal::InMode);
        checks.add(flag("pane_synchronized"), Refusal::Synchronized);
        checks.add(flag("pane_input_off"), Refusal::InputOff);
        checks
    }

    fn identity(&mut self, target: &Target) {
        self.add("#{!=:#{pane_pid},}".to_owned(), Refusal::PaneGone);
        self.add(format!("#{{==:#{{pane_pid}},{}}}", target.process.pid), Refusal::ProcessChanged);
    }

    fn of_pane(target: &Target, steering: Steering) -> Self {
        let mut checks = Self::of_process(target);
        let at_least = |name: &str, least: u16| format!("#{{==:#{{e|>=|:#{{{name}}},{least}}},1}}");
        checks.add(at_least("pane_width", MIN_WIDTH), Refusal::TooSmall);
        checks.add(at_least("pane_height", MIN_HEIGHT), Refusal::TooSmall);
        // Newer servers know whether the program takes pastes as such; older ones show nothing.
        checks.add("#{!=:#{bracket_paste_flag},0}".to_owned(), Refusal::NoBracketedPaste);
        checks.no_dialog();
        if steering == Steering::Waits {
            checks.add(format!("#{{==:{},0}}", search(&running_row())), Refusal::Busy);
            checks.add(format!("#{{==:{},0}}", running_title()), Refusal::Busy);
        }
        checks
    }

    fn no_dialog(&mut self) {
        for sign in pane::dialog_signs() {
            let found = search(&format!("^[ >▌]*{}", pattern(sign)));
            self.add(format!("#{{==:{found},0}}"), Refusal::TextPresent((*sign).to_owned()));
        }
        let called = "#{==:#{m/r:^[[] ?[^ ]? ?[]] Action Required,#{pane_title}},0}";
        self.add(called.to_owned(), Refusal::TextPresent("Action Required".to_owned()));
    }

    fn add(&mut self, format: String, refusal: Refusal) {
        self.0.push(Check { format, refusal });
    }

    /// A format that shows the server's version and one digit for each check.
    pub(super) fn state_format(&self) -> String {
        let mut format = String::from("#{version} ");
        self.0.iter().for_each(|check| format.push_str(&check.format));
        format
    }

    /// A format that is true when everything holds. The version is compared here too: an old server may take a
    /// format that it does not know for true.
    pub(super) fn condition(&self) -> String {
        let supported = "#{m/r:^(next-)?([4-9]|[1-9][0-9]|3[.]([2-9]|[1-9][0-9])),#{version}}";
        let digits: String = self.0.iter().map(|check| check.format.as_str()).collect();
        format!("#{{&&:{supported},#{{==:{digits},{}}}}}", "1".repeat(self.0.len()))
    }

    /// Why a state is not the wanted one; none when it cannot be read.
    pub(super) fn refusal(&self, state: &str) -> Option<Refusal> {
        let (version, digits) = state.split_once(' ')?;
        let supported = |version: &TmuxVersion| version.support() != super::Support::TooOld;
        if !parse::version(version).is_some_and(|version| supported(&version)) {
            return Some(Refusal::TmuxTooOld(version.to_owned()));
        }
        let whole = digits.len() == self.0.len() && digits.bytes().all(|digit| matches!(digit, b'0' | b'1'));
        let failed = || self.0.iter().zip(digits.bytes()).find(|(_, digit)| *digit == b'0');
        failed().filter(|_| whole).map(|(check, _)| check.refusal.clone())
    }
}

/// What is done with a pane besides typing: the commands, in tmux's own syntax.
impl Staging<'_> {
    pub(super) fn effect(&self, target: &Target) -> String {
        let (pane, buffer, seq) = (target.pane, self.buffer.as_str(), self.seq);
        let (option, install) = (target.install.staged_option(), target.install.as_str());
        // Bracketed, line feeds as they are, and never `-S`, which would let control characters through.
        format!(
            "paste-buffer -p -r -d -b {buffer} -t {pane} ; set-option -p -t {pane} {option} {seq} ; \
             set-option -p -t {pane} {OWNER} {install}"
        )
    }

    pub(super) fn clean_up(&self) -> String {
        format!("delete-buffer -b {}", self.buffer.as_str())
    }
}

impl Submission<'_> {
    pub(super) fn effect(&self, target: &Target) -> String {
        let (pane, option, seq) = (target.pane, target.install.submitted_option(), self.seq);
        let key = key_of(self.key).tmux_name();
        format!("send-keys -t {pane} {key} ; set-option -p -t {pane} {option} {seq}")
    }
}

/// Notes under which fence a number is in hand.
pub(super) fn hold(target: &Target, seq: u64, fence: u64) -> String {
    let (pane, held, fence_option) = (target.pane, target.install.held_option(), target.install.fence_option());
    format!("set-option -p -t {pane} {held} {seq} ; set-option -p -t {pane} {fence_option} {fence}")
}

/// Counts a number as staged without typing anything.
pub(super) fn forgo(target: &Target, seq: u64) -> String {
    let (pane, option, install) = (target.pane, target.install.staged_option(), target.install.as_str());
    format!("set-option -p -t {pane} {option} {seq} ; set-option -p -t {pane} {OWNER} {install}")
}

/// The key as tmux presses it.
pub(super) fn key_of(key: SubmitKey) -> Key {
    match key {
        SubmitKey::Tab => Key::Tab,
        SubmitKey::Enter => Key::Enter,
    }
}

/// The format of a [`Receipt`]; the owner, which others may have set, comes last.
pub(super) fn receipt_format(install: &Install, sign: &Sign) -> String {
    let (staged, submitted) = (install.staged_option(), install.submitted_option());
    let on_screen = shown(sign, "0");
    format!(
        "#{{pane_pid}}/#{{pane_dead}}/x#{{{staged}}}/x#{{{submitted}}}/{on_screen}{}/#{{{OWNER}}}",
        in_composer(sign)
    )
}

/// Reads [`receipt_format`]; the outer none when it cannot be read, the inner when there is no such pane.
pub(super) fn receipt(shown: &str) -> Option<Option<Receipt>> {
    let mut fields = shown.splitn(6, '/');
    let pid = fields.next()?;
    let dead = fields.next()?;
    // An empty option is one that is not set.
    let counter = |field: Option<&str>| match field?.strip_prefix('x')? {
        "" => Some(0),
        number => number.parse().ok(),
    };
    let (staged, submitted) = (counter(fields.next())?, counter(fields.next())?);
    let sign = match fields.next()? {
        "10" => SignPlace::Absent,
        "00" => SignPlace::OnScreen,
        "01" => SignPlace::InComposer,
        _ => return None,
    };
    let owner = fields.next().filter(|owner| !owner.is_empty()).map(str::to_owned);
    if pid.is_empty() {
        return Some(None);
    }
    Some(Some(Receipt { pid: pid.parse().ok()?, dead: dead == "1", staged, submitted, owner, sign }))
}

fn number(seq: u64) -> Result<u64, TmuxError> {
    if (1..=MAX_SEQ).contains(&seq) {
        return Ok(seq);
    }
    Err(TmuxError::Invalid(format!("{seq} cannot be the number of a message")))
}

fn owned(install: &Install) -> String {
    format!("#{{==:#{{{OWNER}}},{}}}", install.as_str())
}

/// An option that is not set compares as zero; one that is no number as nothing, so that the check fails.
fn below(option: &str, seq: u64) -> String {
    format!("#{{==:#{{e|<|:#{{{option}}},{seq}}},1}}")
}

/// Nobody has taken this number over under a later fence, or a later number.
fn not_held(install: &Install, seq: u64, fence: u64) -> String {
    let (held, fence_option) = (install.held_option(), install.fence_option());
    let same = format!("#{{&&:#{{==:#{{{held}}},{seq}}},#{{e|<=|:#{{{fence_option}}},{fence}}}}}");
    format!("#{{||:#{{e|<|:#{{{held}}},{seq}}},{same}}}")
}

/// Whether the row in which the search finds a sign (0 for none) is the given one.
fn shown(sign: &Sign, row: &str) -> String {
    let found = match sign {
        Sign::Marker(marker) => format!("#{{C:{marker}}}"),
        Sign::Command(command) => search(&command_row(*command)),
    };
    format!("#{{==:{found},{row}}}")
}

/// The sign ends the text in the composer: its row ends with it, and the cursor stands behind it, or at the beginning
/// of the next row when it fills its own.
fn in_composer(sign: &Sign) -> String {
    match sign {
        Sign::Marker(marker) => {
            let row = format!("#{{C/r:{marker}[)]$}}");
            let here = format!("#{{==:#{{e|-|:{row},1}},#{{cursor_y}}}}");
            let above = format!("#{{==:{row},#{{cursor_y}}}}");
            let found = format!("#{{!=:{row},0}}");
            let wrapped = format!("#{{&&:{above},#{{e|<=|:#{{cursor_x}},2}}}}");
            format!("#{{&&:{found},#{{||:{here},{wrapped}}}}}")
        }
        Sign::Command(command) => {
            let column = 2 + command.typed().len();
            let here = in_cursor_row(&command_row(*command));
            format!("#{{&&:{here},#{{==:#{{cursor_x}},{column}}}}}")
        }
    }
}

fn command_row(command: ControlCommand) -> String {
    format!("^[›▌] {}$", pattern(command.as_str()))
}

/// The first row that fits is the cursor's; searches count rows from 1, the cursor from 0.
fn in_cursor_row(pattern: &str) -> String {
    format!("#{{==:#{{e|-|:{},1}},#{{cursor_y}}}}", search_exactly(pattern))
}

/// The number of the first visible row that fits a regular expression in any case; 0 when none does.
fn search(pattern: &str) -> String {
    format!("#{{C/ri:{pattern}}}")
}

fn search_exactly(pattern: &str) -> String {
    format!("#{{C/r:{pattern}}}")
}

/// `• Working (1m 05s • esc to interrupt)`: the hint behind a clock and one word.
fn running_row() -> String {
    format!("[0-9]s [^ ]+ {}", pattern(pane::status_hint()))
}

fn running_title() -> String {
    let frames: Vec<String> = pane::spinner_frames().iter().map(char::to_string).collect();
    format!("#{{m/r:^({}),#{{pane_title}}}}", frames.join("|"))
}

/// Whether a row fits what [`pattern`] has made of another.
fn fits(pattern: &str, row: &str) -> bool {
    let mut chars = row.chars();
    pattern.chars().all(|wanted| chars.next().is_some_and(|c| wanted == '.' || wanted == c)) && chars.next().is_none()
}

/// A text as a regular expression without anything that formats or command strings treat in a special way: what is no
/// letter, digit, blank or one of a few harmless signs stands for any character.
fn pattern(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '/' | '_' | '-' | '›' | '▌');
    text.chars().map(|c| if plain(c) { c } else { '.' }).collect()
}

impl fmt::Display for SendOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Unknown(why) => write!(f, "not known: {why}"),
        }
    }
}
