//! The binary: command line, configuration, wiring, console. It holds wiring, not logic.

mod aws;
mod cli;
mod config;
mod console;
mod failure;
mod heap;
mod output;
mod system;
mod verb;
mod watch;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, LogForm, Verb};
use crate::failure::{Exit, Outcome};

fn main() -> ExitCode {
    heap::keep_small();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to fail.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked_for { ExitCode::SUCCESS } else { Exit::Usage.into() };
        }
    };
    log_to_stderr(cli.quiet, cli.log);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: start threads: {error}");
            return Exit::Other.into();
        }
    };
    match runtime.block_on(run(cli.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("{failure}");
            }
            failure.exit.into()
        }
    }
}

async fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::Dev(arguments) => verb::dev::run(arguments).await,
        Verb::Run(arguments) => verb::run::run(arguments).await,
        Verb::Demo(arguments) => verb::demo::run(arguments).await,
        Verb::Replay(arguments) => verb::replay::run(arguments).await,
        Verb::Rewind(arguments) => verb::rewind::run(arguments).await,
        Verb::Tap(arguments) => verb::tap::run(arguments).await,
        Verb::Sql(arguments) => verb::sql::run(arguments).await,
        Verb::Tables(arguments) => verb::tables::run(arguments).await,
        Verb::Maintain(arguments) => verb::maintain::run(arguments).await,
        Verb::Schema(arguments) => verb::schema::run(arguments).await,
        Verb::Check(arguments) => verb::check::run(arguments).await,
        Verb::Prove(arguments) => verb::prove::run(arguments).await,
        Verb::Plan(arguments) => verb::plan::run(arguments).await,
        Verb::Apply(arguments) => verb::apply::run(arguments).await,
        Verb::Deploy(arguments) => verb::deploy::run(arguments).await,
        Verb::Diff(arguments) => verb::deploy::diff(arguments).await,
        Verb::Ls(arguments) => verb::deploy::ls(&arguments),
        Verb::Destroy(arguments) => verb::destroy::run(arguments).await,
        Verb::IamPolicy(arguments) => verb::iam_policy::run(arguments).await,
        Verb::Doctor(arguments) => verb::doctor::run(arguments).await,
        Verb::Explain(arguments) => verb::explain::run(&arguments),
        Verb::Init(arguments) => verb::init::run(arguments).await,
        Verb::Dlq(arguments) => verb::dlq::run(arguments).await,
        Verb::Status(arguments) => verb::status::run(arguments).await,
        Verb::Wait(arguments) => verb::wait::run(arguments).await,
    }
}

/// Logs for people on a terminal, as JSON otherwise, unless one of them is asked for. `DYNABERG_LOG` takes tracing's
/// filter syntax.
fn log_to_stderr(quiet: bool, form: Option<LogForm>) {
    use std::io::IsTerminal;

    let default = if quiet { "warn" } else { "info,s3s=off,fjall=warn,lsm_tree=warn" };
    let filter = EnvFilter::try_from_env("DYNABERG_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let form = form.unwrap_or(if std::io::stderr().is_terminal() { LogForm::Text } else { LogForm::Json });
    match form {
        LogForm::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogForm::Json => builder.json().flatten_event(true).init(),
    }
}
