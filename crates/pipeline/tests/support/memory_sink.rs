//! A table in memory that fails as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use lake::RowChanges;
use pipeline::{
    Checkpoint, Commit, DeadLetterQueue, Error, ErrorKind, HeldLetter, LetterItem, Mode, NewColumn, Result, Sink,
    StagedFile, StagedLetter, TableShape,
};
use tokio::time::Instant;
use uuid::Uuid;

/// What the next commit meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the commit fails.
    Reject,
    /// Everything is written, and the answer is lost.
    FailAfterWrite,
    /// The commit takes this long.
    Slow(Duration),
}

/// One table, and what happened to it. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryTable {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<String, i64>,
    /// Each row ever written, in order.
    written: Vec<(String, i64)>,
    checkpoint: Checkpoint,
    epoch: u64,
    faults: VecDeque<Fault>,
    commits: Vec<Instant>,
    /// `letters` and `commit` as they came.
    journal: Vec<String>,
    letters: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<StagedLetter>>,
    announced: Vec<String>,
}

impl MemoryTable {
    pub fn sink(&self, mode: Mode) -> MemorySink {
        MemorySink {
            table: self.clone(),
            shape: shape(mode, DataType::Int64),
            is_widened_next: false,
            is_widened_at_heartbeat: false,
            epoch: 0,
        }
    }

    /// `v` is an int: a larger value is rejected.
    pub fn narrow_sink(&self, mode: Mode) -> MemorySink {
        MemorySink { shape: shape(mode, DataType::Int32), ..self.sink(mode) }
    }

    pub fn dead_letters(&self) -> MemoryDeadLetters {
        MemoryDeadLetters { table: self.clone(), failures: 0 }
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|state| state.faults.extend(faults));
    }

    /// `id=value`, by id.
    pub fn rows(&self) -> Vec<String> {
        self.with(|state| state.rows.iter().map(|(id, value)| format!("{id}={value}")).collect())
    }

    /// `id=value` of each row ever written, in order.
    pub fn written(&self) -> Vec<String> {
        self.with(|state| state.written.iter().map(|(id, value)| format!("{id}={value}")).collect())
    }

    pub fn checkpoint(&self) -> Checkpoint {
        self.with(|state| state.checkpoint.clone())
    }

    /// Goes back to the beginning of the stream.
    pub fn rewind(&self) {
        self.with(|state| state.checkpoint = state.checkpoint.rewind(0));
    }

    pub fn commits(&self) -> Vec<Instant> {
        self.with(|state| state.commits.clone())
    }

    pub fn journal(&self) -> Vec<String> {
        self.with(|state| state.journal.clone())
    }

    /// The files of letters that were told of, and those that are there.
    pub fn announced_and_kept(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.with(|state| (state.announced.iter().cloned().collect(), state.files.keys().cloned().collect()))
    }

    pub fn delete_a_file_of_letters(&self) {
        self.with(|state| state.files.pop_first());
    }

    /// The positions of the letters and their codes.
    pub fn letters(&self) -> BTreeMap<String, String> {
        self.with(|state| state.letters.clone())
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }
}

pub struct MemorySink {
    table: MemoryTable,
    shape: TableShape,
    is_widened_next: bool,
    is_widened_at_heartbeat: bool,
    epoch: u64,
}

impl MemorySink {
    /// `v` is an int, until somebody widens it to a long while the first commit is under way.
    pub fn widened_at_first_commit(self) -> Self {
        Self { shape: shape(self.shape.mode, DataType::Int32), is_widened_next: true, ..self }
    }

    /// `v` is an int, until the first heartbeat finds that somebody widened it to a long.
    pub fn widened_at_first_heartbeat(self) -> Self {
        Self { shape: shape(self.shape.mode, DataType::Int32), is_widened_at_heartbeat: true, ..self }
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn take_over(&mut self) -> Result<Checkpoint> {
        self.table.with(|state| {
            state.epoch += 1;
            self.epoch = state.epoch;
            Ok(state.checkpoint.clone())
        })
    }

    fn shape(&self) -> &TableShape {
        &self.shape
    }

    async fn add_columns(&mut self, _columns: &[NewColumn]) -> Result<()> {
        unreachable!("the shape does not evolve")
    }

    async fn commit(&mut self, changes: RowChanges, commit: Commit<'_>) -> Result<()> {
        let fault = self.table.with(|state| state.faults.pop_front());
        if let Some(Fault::Slow(time)) = fault {
            tokio::time::sleep(time).await;
        }
        self.table.with(|state| {
            if self.epoch != state.epoch || *commit.from != state.checkpoint {
                return Err(Error::new(ErrorKind::Fenced, "commit"));
            }
            if fault == Some(Fault::Reject) {
                return Err(Error::new(ErrorKind::Transient, "commit"));
            }
            state.apply(&changes, &self.shape);
            if std::mem::take(&mut self.is_widened_next) {
                self.shape = shape(self.shape.mode, DataType::Int64);
            }
            state.checkpoint = commit.to.clone();
            state.commits.push(Instant::now());
            state.journal.push("commit".into());
            match fault {
                Some(Fault::FailAfterWrite) => Err(Error::new(ErrorKind::Transient, "hear of a commit")),
                _ => Ok(()),
            }
        })
    }

    async fn heartbeat(&mut self, at: &Checkpoint) -> Result<()> {
        self.table.with(|state| {
            assert_eq!(*at, state.checkpoint);
            state.journal.push("heartbeat".into());
        });
        if std::mem::take(&mut self.is_widened_at_heartbeat) {
            self.shape = shape(self.shape.mode, DataType::Int64);
        }
        Ok(())
    }
}

impl State {
    fn apply(&mut self, changes: &RowChanges, shape: &TableShape) {
        for batch in &changes.deletes {
            for id in batch["id"].as_string::<i32>().iter().flatten() {
                self.rows.remove(id);
            }
        }
        for (id, value) in changes.upserts.iter().flat_map(rows_of) {
            if shape.mode == Mode::Mirror {
                self.rows.insert(id.clone(), value);
            }
            self.written.push((id, value));
        }
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<(String, i64)> {
    let ids = batch["id"].as_string::<i32>().iter().flatten().map(str::to_owned);
    let values = cast(&batch["v"], &DataType::Int64).unwrap();
    ids.zip(values.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default)).collect()
}

fn shape(mode: Mode, value: DataType) -> TableShape {
    let fields = vec![Field::new("id", DataType::Utf8, false), Field::new("v", value, true)];
    TableShape::from_table(Arc::new(Schema::new(fields)), vec!["id".into()], mode, false)
}

/// Keeps letters beside the table they were rejected from.
pub struct MemoryDeadLetters {
    table: MemoryTable,
    failures: usize,
}

impl MemoryDeadLetters {
    /// Fails this often before it keeps anything.
    pub fn failing(self, failures: usize) -> Self {
        Self { failures, ..self }
    }
}

#[async_trait]
impl DeadLetterQueue for MemoryDeadLetters {
    async fn stage(&mut self, commit_id: Uuid, letters: &[StagedLetter]) -> Result<Vec<StagedFile>> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        if self.failures > 0 {
            self.failures -= 1;
            return Err(Error::new(ErrorKind::Transient, "keep letters"));
        }
        Ok(self.table.with(|state| {
            state.journal.push(format!("letters {}", letters.len()));
            let kept = letters.iter().map(|staged| &staged.letter);
            state.letters.extend(kept.map(|letter| (letter.position().to_string(), letter.code.to_owned())));
            let mut files: BTreeMap<String, Vec<StagedLetter>> = BTreeMap::new();
            for staged in letters {
                files.entry(format!("{}/{commit_id}", staged.letter.code)).or_default().push(staged.clone());
            }
            let staged = files.iter().map(|(path, letters)| StagedFile {
                path: path.clone(),
                letters: letters.len() as u32,
                is_to_be_announced: true,
            });
            let staged = staged.collect();
            state.files.extend(files);
            staged
        }))
    }

    async fn announce(&mut self, path: &str) -> Result<()> {
        self.table.with(|state| {
            assert!(state.checkpoint.held.files().iter().any(|file| file.path == path), "it is held");
            state.announced.push(path.to_owned());
        });
        Ok(())
    }

    async fn items(&mut self, path: &str) -> Result<Vec<LetterItem>> {
        Ok(self.table.with(|state| state.files.get(path).into_iter().flatten().map(|staged| staged.item).collect()))
    }

    async fn read(&mut self, path: &str) -> Result<Vec<HeldLetter>> {
        let held = |staged: &StagedLetter| HeldLetter {
            record: staged.letter.record.clone(),
            step: staged.letter.step.as_str().to_owned(),
            code: staged.letter.code.to_owned(),
            reason: staged.letter.reason.clone(),
            rejected_at: jiff::Timestamp::UNIX_EPOCH,
            commit_id: path.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        Ok(self.table.with(|state| state.files.get(path).into_iter().flatten().map(held).collect()))
    }

    async fn remove(&mut self, path: &str) -> Result<()> {
        self.table.with(|state| state.files.remove(path));
        Ok(())
    }
}
