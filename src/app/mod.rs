//! Puts the program together: parses the command line, composes the real [`Context`] and hands it to a face.

mod cockpit;
mod config;
mod dashboard;
mod demo;
mod keys;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::Path,
    sync::Arc,
};

use clap::{
    CommandFactory, FromArgMatches, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    actions::{self, Actor, Context, Format, InstalledTmux, Parts},
    base::{Clock, Error, Ids, Kind, Result, clock, text},
    cli::{self, Global, Printer, Style},
    ports::{codex_server::RunningServers, confine, env::Env, process::SystemProcesses},
    sim::{self, SimArgs},
    store::Safety,
};

/// Supervise Codex CLI sessions: watch them, steer them, and show afterwards what happened
#[derive(Debug, Clone, Parser)]
#[command(name = "conveyor", version, disable_help_subcommand = true)]
pub struct Root {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub global: Global,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub cockpit: cockpit::CockpitArgs,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "its variants are the documentation")]
    pub word: Option<Word>,
}

/// A command word.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Word {
    /// A verb of the action catalogue.
    #[command(flatten)]
    Action(actions::Command),
    #[expect(missing_docs, reason = "the argument struct's doc comment is the help")]
    Demo(demo::DemoArgs),
    #[expect(missing_docs, reason = "the argument struct's doc comment is the help")]
    Sim(SimArgs),
    /// List the keys of the cockpit
    ///
    /// Where each works, what it does, and the command that does the same; as the configuration has them.
    ///
    /// Example: `conveyor keys --json`
    Keys,
    /// Check and show the configuration of the cockpit
    ///
    /// The file is the one that $CONVEYOR_CONFIG names, else conveyor/config.toml below $XDG_CONFIG_HOME or ~/.config.
    /// What cannot be understood is refused with its line and column.
    ///
    /// Example: `conveyor config`
    Config,
    #[expect(missing_docs, reason = "the argument struct's doc comment is the help")]
    Dashboard(dashboard::DashboardArgs),
}

/// The clap definition with the grouped command list as its help.
#[must_use]
pub fn definition() -> clap::Command {
    let plain = Root::command();
    let list =
        cli::command_list(&plain, &[("The cockpit", &["dashboard", "config", "keys"]), ("Try it", &["demo", "sim"])]);
    plain.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}\n\n{{options}}\n\n`conveyor COMMAND --help` \
         explains a command and shows an example."
    ))
}

/// Parses a command line, program name first.
///
/// # Errors
/// clap's own error, which also carries `--help` and `--version`.
pub fn parse<I, T>(arguments: I) -> Result<Root, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    if let Some(root) = parse_alone(&arguments) {
        return Ok(root);
    }
    let mut matches = definition().try_get_matches_from(arguments)?;
    Root::from_arg_matches_mut(&mut matches)
}

/// Parses a line with the definition of its command alone: defining all of them takes longer than many a command runs.
/// None for everything that this definition cannot judge.
fn parse_alone(arguments: &[OsString]) -> Option<Root> {
    let command = arguments.iter().skip(1).find_map(|word| actions::Command::definition(word.to_str()?))?;
    let root = clap::Command::new("conveyor").disable_help_subcommand(true).subcommand(command);
    let root = <cockpit::CockpitArgs as clap::Args>::augment_args(<Global as clap::Args>::augment_args(root));
    let mut matches = root.try_get_matches_from(arguments).ok()?;
    Root::from_arg_matches_mut(&mut matches).ok()
}

/// Runs the program; the exit code.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> u8 {
    if let Some(code) = confine::enter(&arguments) {
        return code;
    }
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let wants_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let mut printer = Printer::new(&mut out, &mut err);
    let root = match parse(&arguments) {
        Ok(root) => root,
        Err(error) => return unparsed(&presentable(&arguments, error), wants_json, &mut printer),
    };
    let style = root.global.style(Format::Prose);
    match run(root, &mut printer) {
        Ok(code) => code,
        Err(error) => {
            printer.failure(&error, style);
            error.kind().exit_code()
        }
    }
}

fn run(root: Root, printer: &mut Printer<'_>) -> Result<u8> {
    match root.word {
        Some(Word::Action(command)) => {
            let style = root.global.style(command.format());
            let name = command.argv().words.into_iter().next().unwrap_or_default();
            let ended = cli::run(&context(&root.global)?, command, style, printer);
            ended.map_err(|error| with_help_hint(error, &name))
        }
        Some(Word::Demo(args)) => demo::run(&args, parts(&root.global)?, root.global.style(Format::Prose), printer),
        Some(Word::Sim(args)) => sim::run(args),
        Some(Word::Keys) => {
            let config = config::load(&environment(root.global.path.as_deref())?)?;
            printer.outcome(&keys::KeyTable::new(&config.keymap), root.global.style(Format::Prose))?;
            Ok(0)
        }
        Some(Word::Config) => {
            let shown = config::show(&environment(root.global.path.as_deref())?)?;
            printer.outcome(&shown, root.global.style(Format::Prose))?;
            Ok(0)
        }
        Some(Word::Dashboard(args)) => dashboard::run(&args, &root.global, printer),
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => {
            cockpit::open(&context(&root.global)?, &root.cockpit, &root.global, cockpit::Showing::default())
        }
        None if root.global.json => {
            Err(Error::usage("no command was given").hint("`conveyor --help` lists the commands"))
        }
        None => {
            printer.out(&format!("{}\n", definition().render_help()))?;
            Ok(0)
        }
    }
}

/// A usage error that leads on: whoever gets no other hint is led to the help of the command.
fn with_help_hint(error: Error, name: &str) -> Error {
    if error.kind() != Kind::Usage || error.hint_text().is_some() {
        return error;
    }
    error.hint(format!("`conveyor {name} --help` tells what it takes, with an example"))
}

/// The same error for arguments that can be shown. clap repeats them as they are, and a line feed in one of them
/// would begin a line that seems to be ours.
fn presentable(arguments: &[OsString], error: clap::Error) -> clap::Error {
    let shown = arguments.iter().map(|word| text::visible_line(&word.to_string_lossy()).into_owned());
    let error = match parse(shown) {
        Err(same) if same.kind() == error.kind() => same,
        _ => error,
    };
    with_dash_hint(arguments, with_example(arguments, with_nearest_command(error)))
}

/// The same error with the commands that begin as what was typed does, or else are spelt nearly like it.
fn with_nearest_command(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let typed = typed.to_lowercase();
    let definition = definition();
    let names = || {
        let of = |command: &'_ clap::Command| {
            let aliases = command.get_visible_aliases().map(str::to_owned);
            std::iter::once(command.get_name().to_owned()).chain(aliases).collect::<Vec<String>>()
        };
        definition.get_subcommands().flat_map(of)
    };
    let mut near: Vec<String> = names().filter(|name| typed.len() > 1 && name.starts_with(&typed)).collect();
    near.sort_by_key(String::len);
    if near.is_empty() {
        // clap's own measure puts a long name with the same beginning before one in which a letter is missing.
        let most = (typed.chars().count() / 3).max(1);
        let distant = names().map(|name| (strsim::osa_distance(&name, &typed), name));
        let mut distant: Vec<(usize, String)> = distant.filter(|(distance, _)| *distance <= most).collect();
        distant.sort();
        near = distant.into_iter().map(|(_, name)| name).collect();
    }
    near.truncate(NEAREST);
    error.remove(ContextKind::SuggestedSubcommand);
    if near.is_empty() {
        let list = "`conveyor --help` lists the commands".to_owned();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![list.into()]));
    } else {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
    }
    error
}

/// The most commands that are suggested.
const NEAREST: usize = 3;

/// The same error with the command's own example when something it needs was left out.
fn with_example(arguments: &[OsString], mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return error;
    }
    let Some(command) = arguments.iter().skip(1).find_map(|word| actions::Command::definition(word.to_str()?)) else {
        return error;
    };
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let Some((_, example)) = about.rsplit_once("Example: ") else { return error };
    let mut tips = vec![format!("for example: {}", text::one_line(example)).into()];
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.join(" "),
        Some(ContextValue::String(missing)) => missing.clone(),
        _ => String::new(),
    };
    for (word, list) in [
        ("<SESSION>", "`conveyor list --all` lists the sessions, those that have ended as well"),
        ("<TASK>", "`conveyor tasks` lists the tasks"),
    ] {
        if missing.contains(word) {
            tips.push(list.to_owned().into());
        }
    }
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

/// The same error with the right hint for a value that begins with a dash, which clap takes for another option.
fn with_dash_hint(arguments: &[OsString], mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    for (place, pair) in arguments.windows(2).enumerate() {
        let [Some(option), Some(value)] = [pair[0].to_str(), pair[1].to_str()] else { continue };
        if !option.starts_with("--") || option.len() < 3 || option.contains('=') || !value.starts_with('-') {
            continue;
        }
        let joined = format!("{option}={value}");
        let words = arguments[..place].iter().cloned().chain([OsString::from(&joined)]);
        let shown = text::visible_line(&joined);
        let as_value = parse(words.chain(arguments[place + 2..].iter().cloned()));
        // The option takes a value, and never such a one: a hint how to write it would lead nowhere.
        if let Err(why) = &as_value
            && matches!(why.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation)
            && shown == joined.as_str()
            && is_about(why, option)
        {
            return as_value.err().unwrap_or(error);
        }
        if as_value.is_ok() {
            let hint = format!("a value that begins with a dash is written with an equals sign: '{shown}'");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint.into()]));
            break;
        }
    }
    error
}

/// Whether an error is about the value of this option.
fn is_about(error: &clap::Error, option: &str) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(named)) => named.split([' ', '=']).next() == Some(option),
        _ => false,
    }
}

/// What a copied command line begins with.
fn command_prefix(global: &Global) -> Vec<String> {
    let path = global.path.as_ref().map(|path| ["--path".to_owned(), path.display().to_string()]);
    std::iter::once("conveyor".to_owned()).chain(path.into_iter().flatten()).collect()
}

/// Prints help, version or a usage error.
fn unparsed(error: &clap::Error, wants_json: bool, printer: &mut Printer<'_>) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return u8::from(printer.out(&error.render().to_string()).is_err());
    }
    let rendered = actions::plain_usage(&error.render().to_string());
    if wants_json {
        let (message, hint) = rendered.split_once("\n\n").unwrap_or((&rendered, ""));
        let message = message.trim().trim_start_matches("error: ").to_owned();
        printer.failure(&Error::usage(message).hint(usage_hint(hint)), Style::Json);
    } else {
        // clap's own rendering names the flag, the usage and the nearest word.
        printer.err(&rendered);
    }
    Kind::Usage.exit_code()
}

/// What clap says after its message, as one line: its tip and the usage; the reference to the help when it says no more.
fn usage_hint(after: &str) -> String {
    let parts: Vec<String> =
        after.split("\n\n").map(|part| text::one_line(part).trim_start_matches("tip: ").to_owned()).collect();
    let (help, told): (Vec<String>, Vec<String>) =
        parts.into_iter().filter(|part| !part.is_empty()).partition(|part| part.starts_with("For more information"));
    if told.is_empty() { help.join(" ") } else { told.join("; ") }
}

/// The real world as an action sees it.
///
/// # Errors
/// When the working directory is gone or a test setting is unreadable.
pub fn context(global: &Global) -> Result<Context> {
    Ok(Context::new(parts(global)?))
}

fn parts(global: &Global) -> Result<Parts> {
    let env = environment(global.path.as_deref())?;
    let (clock, ids) = time_and_ids()?;
    Ok(Parts {
        clock,
        ids,
        env,
        tmux: Arc::new(InstalledTmux),
        servers: Arc::new(RunningServers),
        processes: Arc::new(SystemProcesses),
        actor: Actor::Operator,
        dry_run: global.dry_run,
        safety: if global.allow_unsafe_file_system { Safety::Forced } else { Safety::Checked },
    })
}

fn environment(ledger: Option<&Path>) -> Result<Env> {
    Env::read(ledger).map_err(|error| Error::io("cannot tell the working directory").caused_by(error))
}

#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the twin for test builds can fail")]
fn time_and_ids() -> Result<(Arc<dyn Clock>, Arc<dyn Ids>)> {
    Ok((Arc::new(clock::SystemClock), Arc::new(clock::RandomIds)))
}

/// Test builds can fix time and ids by environment variables; release builds hold no such switch.
#[cfg(debug_assertions)]
fn time_and_ids() -> Result<(Arc<dyn Clock>, Arc<dyn Ids>)> {
    let setting = |name: &str| std::env::var(name).ok();
    let unreadable = |name: &str| Error::usage(format!("{name} cannot be read"));
    let clock: Arc<dyn Clock> = match setting("CONVEYOR_TEST_CLOCK") {
        Some(text) => {
            let start = text.parse().map_err(|_| unreadable("CONVEYOR_TEST_CLOCK"))?;
            Arc::new(clock::FixedClock::at(start))
        }
        None => Arc::new(clock::SystemClock),
    };
    let ids: Arc<dyn Ids> = match setting("CONVEYOR_TEST_IDS") {
        Some(text) => {
            let first = text.parse().map_err(|_| unreadable("CONVEYOR_TEST_IDS"))?;
            Arc::new(clock::CountedIds::after(first))
        }
        None => Arc::new(clock::RandomIds),
    };
    Ok((clock, ids))
}

/// Makes panics and internal faults readable reports, without colours where nobody sees them.
pub fn install_report() {
    let installed = color_eyre::config::HookBuilder::blank()
        .display_env_section(false)
        .panic_section("this is a fault in conveyor, not in what you did")
        .install();
    // A second installation in one process is refused; the first one stays in force.
    drop(installed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_of_a_usage_error_is_the_usage_without_the_rest() {
        let said = "Usage: conveyor tail [OPTIONS] <SESSION>\n\nFor more information, try '--help'.\n";
        assert_eq!(usage_hint(said), "Usage: conveyor tail [OPTIONS] <SESSION>");
        let tip = "  tip: a similar argument exists: '--limit'\n\n";
        assert_eq!(
            usage_hint(&format!("{tip}{said}")),
            "a similar argument exists: '--limit'; Usage: conveyor tail [OPTIONS] <SESSION>"
        );
        let help = "For more information, try '--help'.";
        assert_eq!((usage_hint(&format!("{help}\n")), usage_hint("")), (help.to_owned(), String::new()));
    }

    fn said(line: &str) -> String {
        let error = parse(words(line)).unwrap_err();
        actions::plain_usage(&presentable(&words(line), error).render().to_string())
    }

    #[test]
    fn a_command_that_was_begun_is_suggested_and_a_missing_word_comes_with_an_example() {
        let unknown = said("stat");
        assert!(unknown.contains("'status'") && !unknown.contains("'start'"), "{unknown}");
        assert!(said("xyzzy").contains("`conveyor --help` lists the commands"), "{}", said("xyzzy"));
        let missing = said("resume");
        assert!(missing.contains("for example: `conveyor resume w1`"), "{missing}");
        assert!(missing.contains("`conveyor list --all` lists the sessions"), "{missing}");
        assert!(said("finish-task").contains("`conveyor tasks` lists the tasks"), "{}", said("finish-task"));
        let number = said("resume w1 --timeout-seconds soon");
        assert!(
            number.contains("--timeout-seconds") && number.contains("a whole number is wanted, such as 30"),
            "{number}"
        );
        let outside = said("resume w1 --timeout-seconds 0");
        assert!(outside.contains("a number from 1 to 3600 is wanted"), "{outside}");
        let negative = said("discover --limit -3");
        assert!(negative.contains("'-3' for '--limit <N>': a number from 0 on is wanted"), "{negative}");
        let flag = said("discover --limit --adopt");
        assert!(!flag.contains("from 0 on"), "a flag is no number: {flag}");
        let text = said("session-nudge w1 --message --adopt");
        assert!(!text.contains("is wanted"), "{text}");
    }

    #[test]
    fn a_misspelt_command_suggests_the_nearest_ones() {
        for (typed, nearest) in [("sesions", "'sessions'"), ("satus", "'status'"), ("discovre", "'discover'")] {
            let told = said(typed);
            assert!(told.contains(nearest) && !told.contains("session-interrupt"), "{typed}: {told}");
        }
        let most = said("s");
        assert!(most.contains("`conveyor --help` lists the commands"), "{most}");
        let begun = said("st");
        assert_eq!(
            begun.lines().filter(|line| line.contains("similar")).map(|line| line.matches(", '").count()).max(),
            Some(2),
            "{begun}"
        );
    }

    #[test]
    fn a_usage_error_leads_to_the_help_of_its_command_unless_it_says_better() {
        let led = with_help_hint(Error::usage("no"), "tail");
        assert_eq!(led.hint_text(), Some("`conveyor tail --help` tells what it takes, with an example"));
        assert_eq!(with_help_hint(Error::usage("no").hint("this"), "tail").hint_text(), Some("this"));
        assert_eq!(with_help_hint(Error::refused("no"), "tail").hint_text(), None);
    }

    fn words(line: &str) -> Vec<OsString> {
        ["conveyor"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect()
    }

    fn in_full(line: &str) -> Option<String> {
        let mut matches = definition().try_get_matches_from(words(line)).ok()?;
        Root::from_arg_matches_mut(&mut matches).ok().map(|root| format!("{root:?}"))
    }

    #[test]
    fn a_command_defined_alone_parses_as_among_all() {
        let lines = [
            "list",
            "--path list tasks",
            "--path tasks list --json",
            "--json tail w --limit 20",
            "dispatch pause --all --reason list",
            "session-nudge w1 --message list --dry-run",
            "bind --task t --worker list --manager tasks",
            "--ascii tasks",
        ];
        for line in lines {
            let alone = parse_alone(&words(line)).map(|root| format!("{root:?}"));
            assert_eq!(alone.or_else(|| in_full(line)), in_full(line), "{line}");
        }
        assert!(parse_alone(&words("--json tail w --limit 20")).is_some());
        for line in
            ["", "list --help", "list --version", "--help", "nudge w --message x", "list --no-such", "demo list"]
        {
            assert!(parse_alone(&words(line)).is_none(), "{line}");
        }
    }
}
