//! How a pipeline fares, for those who look at it from outside.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::accounting::Accounts;

/// What a pipeline is doing now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Starting,
    Running,
    /// Something that it names is not there, or a person has to decide.
    Waiting {
        reason: String,
    },
    /// It failed and will be restarted.
    BackingOff {
        error: String,
        until: SystemTime,
    },
    Stopped {
        reason: String,
    },
}

/// One pipeline as others see it. Shared with its supervisor.
#[derive(Debug, Default)]
pub struct Status {
    accounts: Arc<Accounts>,
    state: Mutex<State>,
}

impl Status {
    /// What the pipeline must be opened with.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.clone()
    }

    pub fn state(&self) -> State {
        self.state.lock().expect("no holder panics").clone()
    }

    /// Why readers of the table should not rely on it, in one line; `None` where it is ready.
    pub fn not_ready(&self) -> Option<String> {
        let account = self.accounts.snapshot();
        match self.state() {
            State::Running if account.gaps > 0 => {
                Some(format!("{} gap(s): records were trimmed from the stream before they were read", account.gaps))
            }
            State::Running if account.complete_up_to.is_none() => Some("catching up with the stream".into()),
            State::Running => None,
            State::Starting => Some("starting".into()),
            State::Waiting { reason } => Some(format!("waiting: {reason}")),
            State::BackingOff { error, .. } => Some(format!("restarting after: {error}")),
            State::Stopped { reason } => Some(format!("stopped: {reason}")),
        }
    }

    pub fn ready(&self) -> bool {
        self.not_ready().is_none()
    }

    pub(crate) fn set(&self, state: State) {
        *self.state.lock().expect("no holder panics") = state;
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state(), State::Waiting { .. })
    }
}
