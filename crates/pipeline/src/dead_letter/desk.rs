//! Where a running pipeline is asked to look after its held letters: a table has one committer, and this is it.

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::dead_letter::redrive::{Counts, Selection};
use crate::error::{Error, ErrorKind, Result};

/// Requests that may wait.
const WAITING_MAX: usize = 16;

/// What is to be done with the selected letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take those up that the transform now lets through, and release those that are superseded.
    Redrive,
    /// Release them all, unread.
    Purge,
}

#[derive(Debug)]
pub struct Request {
    pub action: Action,
    pub selection: Selection,
    answer: oneshot::Sender<Outcome>,
}

/// What became of the selected letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub counts: Counts,
    /// Letters that the table holds then, selected or not.
    pub held: u64,
}

/// Shared by those who ask and the pipeline that answers, over all its restarts.
#[derive(Debug)]
pub struct Desk {
    requests: mpsc::Sender<Request>,
    waiting: Mutex<mpsc::Receiver<Request>>,
}

impl Default for Desk {
    fn default() -> Self {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        Self { requests, waiting: Mutex::new(waiting) }
    }
}

impl Desk {
    /// Asks the pipeline and waits for what it did. `Transient` where it failed meanwhile: asking again goes on from
    /// there.
    pub async fn ask(&self, action: Action, selection: Selection) -> Result<Outcome> {
        let (answer, answered) = oneshot::channel();
        let gone =
            || Error::new(ErrorKind::Transient, "the pipeline failed meanwhile. Try: again, it goes on from there");
        self.requests.send(Request { action, selection, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }

    /// The next request. Cancel-safe.
    pub(crate) async fn next(&self) -> Request {
        let mut waiting = self.waiting.lock().await;
        loop {
            // Who has gone away does not want it done any more.
            match waiting.recv().await {
                Some(request) if !request.answer.is_closed() => return request,
                Some(_) => {}
                None => unreachable!("the desk itself holds a sender"),
            }
        }
    }
}

impl Request {
    pub(crate) fn answer(self, outcome: Outcome) {
        self.answer.send(outcome).ok();
    }
}
