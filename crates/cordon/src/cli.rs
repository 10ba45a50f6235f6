//! The command line: its words, what each command is given, and the exit code.
//!
//! The words are `docs`' and scripts' contract: they are added to, not changed. What a command does is
//! in the module that has its name.

mod ask;
mod ca_command;
mod check;
mod cpu_list;
mod exit;
mod log_limit;
mod replay_arguments;
mod replay_command;
mod run_command;
mod table;
mod terminal;
mod test_command;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use self::test_command::is_online;
pub(crate) use self::{
    check::tell,
    exit::{Exit, complain},
    replay_arguments::ReplayArguments,
    test_command::{Asked, OnlineCommand},
};

/// A userspace firewall that turns what it sees into tags, and tags into verdicts.
#[derive(Debug, Parser)]
#[command(name = "cordon", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made in the life of the process")]
enum Command {
    /// Validate a configuration: all errors and warnings at once, each with its place
    Check(check::CheckArguments),
    /// Run the firewall between two interfaces
    Run(run_command::RunArguments),
    /// Run the firewall over captures, on the captures' clock: no root, no network
    Replay(ReplayArguments),
    /// Say which rule, list or record would match, and why
    #[command(subcommand)]
    Test(test_command::TestCommand),
    /// The certificates that the forward proxy signs with
    #[command(subcommand)]
    Ca(ca_command::CaCommand),
    /// Show how things stand in a running firewall
    Show(ask::ShowArguments),
    /// Register or remove a tag by hand
    Tag(ask::TagArguments),
    /// Say why an address carries its tags: record, match list entry, deadline
    Explain(ask::ExplainArguments),
    /// Put a configuration in force
    Commit(ask::CommitArguments),
    /// Show what a commit would change
    Diff(ask::DiffArguments),
    /// Put an earlier configuration in force again
    Rollback(ask::RollbackArguments),
    /// Keep a configuration that was committed with a time to confirm it
    Confirm(ask::ConfirmArguments),
    /// End sessions
    Clear(ask::ClearArguments),
    /// Hold tagging or decryption still for a while
    Pause(ask::PauseArguments),
}

/// Does what the command line says.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Exit {
    let words: Vec<OsString> = words.collect();
    if is_online(&words) {
        return OnlineCommand::run(&words);
    }
    let command_line = match CommandLine::try_parse_from(words) {
        Ok(command_line) => command_line,
        Err(refusal) => return Exit::from_refusal(&refusal),
    };
    match command_line.command {
        Command::Check(arguments) => arguments.run(),
        Command::Run(arguments) => arguments.run(),
        Command::Replay(arguments) => arguments.run(),
        Command::Test(command) => command.run(),
        Command::Ca(command) => command.run(),
        Command::Show(arguments) => arguments.run(),
        Command::Tag(arguments) => arguments.run(),
        Command::Explain(arguments) => arguments.run(),
        Command::Commit(arguments) => arguments.run(),
        Command::Diff(arguments) => arguments.run(),
        Command::Rollback(arguments) => arguments.run(),
        Command::Confirm(arguments) => arguments.run(),
        Command::Clear(arguments) => arguments.run(),
        Command::Pause(arguments) => arguments.run(),
    }
}
